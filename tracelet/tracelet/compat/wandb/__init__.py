"""A drop-in for ``wandb``: its recording calls, recorded into tracelet.

``tracelet run --shield wandb train.py`` puts it in the place of the real package. docs/drop-ins.md lists the calls.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from tracelet.compat.module_names import PACKAGES

__version__ = PACKAGES["wandb"]

_HERE: Final = "tracelet.compat.wandb"
_HOMES: Final = {
    "starting": ("init", "login", "setup", "teardown", "require", "attach"),
    "calls": (
        *(
            "alert",
            "define_metric",
            "finish",
            "link_artifact",
            "link_model",
            "log",
            "log_artifact",
            "log_code",
        ),
        *("log_model", "mark_preempting", "pin_config_keys", "save", "unwatch", "use_artifact", "use_model"),
        *("watch", "termlog", "termwarn", "termerror", "join", "restore", "config", "summary"),
    ),
    "data_types": (
        *("Audio", "Classes", "Graph", "Histogram", "Html", "Image", "JoinedTable", "Molecule", "Object3D"),
        *("Plotly", "Table", "Video", "box3d"),
    ),
    "artifacts": ("Artifact", "ArtifactTTL"),
    "plot": ("plot_table", "visualize"),
    "sweeps": ("agent", "sweep"),
    "settings": ("Settings",),
    "wandb_run": ("Run",),
    "config_values": ("Config",),
    "errors": ("CommError", "Error", "UsageError", "AlertLevel"),
    "api": ("Api",),
}
_WHERE: Final = {name: module for module, names in _HOMES.items() for name in names}
_MODULES: Final = {
    **dict.fromkeys(("data_types", "errors", "plot", "util", "integration"), ""),
    **dict.fromkeys(("keras", "lightgbm", "xgboost"), "integration."),
}
_ALIASES: Final = {"apis": "api", "sdk": ""}
_CLOSEST: Final = {
    "controller": "wandb.sweep with wandb.agent, which run the sweep in this process,",
    "sklearn": "wandb.plot.confusion_matrix, wandb.plot.roc_curve or wandb.log",
    "tensorboard": "tracelet's plugin 'summarywriter' (tracelet run -p summarywriter)",
    "EvalTable": "wandb.Table",
    "Evaluation": "wandb.Table",
    "catboost": "wandb.log in a callback",
    "jupyter": "tracelet in the notebook: a run shows itself",
    "gym": "wandb.Video",
    "Timeline": "wandb.Table",
}

__all__ = [
    *_WHERE,
    "run",
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    """Return what is imported on first use, and ``run``, which changes."""
    if name == "run":
        from tracelet.compat.wandb.current import current_run

        return current_run()
    if name in _ALIASES:
        return importlib.import_module(f"{_HERE}.{_ALIASES[name]}".rstrip("."))
    from tracelet.compat.offered import find_name

    return find_name("wandb", name, globals(), where=_WHERE, modules=_MODULES, closest_calls=_CLOSEST)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
