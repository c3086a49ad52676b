"""Experiment tracking as a plugin host. Public names are resolved on first use, so that importing costs nothing."""

from __future__ import annotations

TYPE_CHECKING = (
    False  # type checkers know this name; importing typing would cost more than everything else here
)
if TYPE_CHECKING:
    from typing import Any

    from tracelet.compat.original.session import (
        ArtifactType,
        Experiment,
        ExperimentConfig,
        capture_dataset,
        capture_hyperparams,
        capture_model,
        create_artifact,
        get_active_experiment,
        start_logging,
        stop_logging,
    )
    from tracelet.errors import (
        ConfigError,
        NoActiveRunError,
        PluginError,
        RecordingError,
        StoreError,
        TraceletError,
        UsageError,
    )
    from tracelet.run import (
        Run,
        active_run,
        define_metric,
        end_run,
        finish,
        flush,
        log,
        log_artifact,
        log_audio,
        log_confusion_matrix,
        log_embedding,
        log_figure,
        log_histogram,
        log_html,
        log_image,
        log_mesh,
        log_metric,
        log_params,
        log_pr_curve,
        log_roc_curve,
        log_table,
        log_text,
        log_video,
        set_tags,
        start_run,
    )
    from tracelet.store import open_store
    from tracelet_hookspecs import hookimpl, hookspec

__version__ = "0.1.0"

__all__ = [
    "ArtifactType",
    "ConfigError",
    "Experiment",
    "ExperimentConfig",
    "NoActiveRunError",
    "PluginError",
    "RecordingError",
    "Run",
    "StoreError",
    "TraceletError",
    "UsageError",
    "active_run",
    "capture_dataset",
    "capture_hyperparams",
    "capture_model",
    "create_artifact",
    "define_metric",
    "end_run",
    "finish",
    "flush",
    "get_active_experiment",
    "hookimpl",
    "hookspec",
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
    "open_store",
    "set_tags",
    "start_logging",
    "start_run",
    "stop_logging",
]

_HOMES = {
    "hookimpl": "tracelet_hookspecs",
    "hookspec": "tracelet_hookspecs",
    "open_store": "tracelet.store",
    **dict.fromkeys(
        (
            *("ArtifactType", "Experiment", "ExperimentConfig", "capture_dataset", "capture_hyperparams"),
            *("capture_model", "create_artifact", "get_active_experiment", "start_logging", "stop_logging"),
        ),
        "tracelet.compat.original.session",
    ),
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "tracelet.errors"),
}
#: What other trackers call it.
_ELSEWHERE = {
    **dict.fromkeys(("init", "set_experiment", "start"), "start_run"),
    **dict.fromkeys(("end", "close", "stop"), "end_run"),
    **dict.fromkeys(
        ("log_param", "log_hyperparams", "log_hparams", "log_parameters", "config"), "log_params"
    ),
    **dict.fromkeys(("log_metrics", "log_scalars", "add_scalars", "log_dict"), "log"),
    **dict.fromkeys(("log_scalar", "add_scalar", "report_scalar"), "log_metric"),
    **dict.fromkeys(("set_tag", "add_tags", "add_tag", "log_tags"), "set_tags"),
    **dict.fromkeys(("log_artifacts", "save", "log_file", "log_model", "Artifact"), "log_artifact"),
    **dict.fromkeys(("Image", "add_image", "log_images"), "log_image"),
    **dict.fromkeys(("Table", "log_dataframe"), "log_table"),
    **dict.fromkeys(("Histogram", "add_histogram"), "log_histogram"),
    **dict.fromkeys(("run", "get_run", "current_run"), "active_run"),
    **dict.fromkeys(("Api", "search_runs", "Store", "load"), "open_store"),
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it, and keep it."""
    if name not in __all__:
        raise _UnknownNameError(name)
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "tracelet.run")), name)
    globals()[name] = value
    return value


class _UnknownNameError(AttributeError):
    """A name that is not public. ``from tracelet import submodule`` raises it, too, so the hint is made when shown."""

    def __str__(self) -> str:
        name = self.args[0]
        return f"module 'tracelet' has no attribute {name!r}{_hint(name)}"


def _hint(name: str) -> str:
    """Return what is probably meant by a name that other trackers have, or that is misspelled."""
    if name.startswith("_"):
        return ""
    from tracelet.messages import closest

    meant = _ELSEWHERE.get(name) or closest(name, __all__, cutoff=0.75)
    return f"; did you mean tracelet.{meant}?" if meant else ""


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
