"""The framework plugin ``xgboost``: records what boosters report while they are trained.

``docs/plugins/xgboost.md`` says what is recorded.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches, add_callbacks, load_integration

__all__ = ["XgboostCapture"]


class XgboostCapture(CapturePlugin):
    """Adds a callback where all trainings of XGBoost collect theirs: ``train``, ``cv`` and the estimators."""

    NAME = "xgboost"
    DESCRIPTION = "Records what XGBoost evaluates in each round"
    MODULES = {"xgboost.callback": "patch_callbacks", "xgboost.core": "patch_saving"}

    @classmethod
    def patch_callbacks(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the container of callbacks."""
        make = add_callbacks(cls.current, create_callback, place="the training")
        patches.wrap(module.CallbackContainer, "__init__", make)

    @classmethod
    def patch_saving(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap what saves a model."""
        patches.after(module.Booster, "save_model", cls.note_saved)

    def note_saved(self, _result: Any, _booster: Any, fname: Any, *_more: Any) -> None:
        """Keep the file."""
        self.run.log_artifact(fname, "checkpoints")


def create_callback(plugin: Any) -> Any:
    """Return a callback that records into the plugin's run. Saved models are recorded by the plugin."""
    return load_integration("xgboost")(plugin.run, checkpoints=False)
