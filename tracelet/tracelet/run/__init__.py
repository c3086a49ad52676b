"""What a training program uses: start a run, record into it, end it."""

from tracelet.run.active import (
    end_run,
    finish,
    flush,
    log,
    log_artifact,
    log_figure,
    log_histogram,
    log_image,
    log_metric,
    log_params,
    log_table,
    log_text,
    open_ambient,
    set_tags,
    start_run,
)
from tracelet.run.current import active_run
from tracelet.run.run import Run

__all__ = [
    "Run",
    "active_run",
    "end_run",
    "finish",
    "flush",
    "log",
    "log_artifact",
    "log_figure",
    "log_histogram",
    "log_image",
    "log_metric",
    "log_params",
    "log_table",
    "log_text",
    "open_ambient",
    "set_tags",
    "start_run",
]
