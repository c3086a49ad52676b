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
from tracelet.run.active_media import (
    log_audio,
    log_confusion_matrix,
    log_embedding,
    log_html,
    log_mesh,
    log_pr_curve,
    log_roc_curve,
    log_video,
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
    "log_audio",
    "log_confusion_matrix",
    "log_embedding",
    "log_figure",
    "log_histogram",
    "log_html",
    "log_image",
    "log_mesh",
    "log_metric",
    "log_params",
    "log_pr_curve",
    "log_roc_curve",
    "log_table",
    "log_text",
    "log_video",
    "open_ambient",
    "set_tags",
    "start_run",
]
