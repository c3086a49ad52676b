"""The framework plugin ``lightgbm``: records what boosters report while they are trained.

``docs/plugins/lightgbm.md`` says what is recorded.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tracelet_builtin_plugins.capturing import (
    CapturePlugin,
    Patches,
    add_callbacks,
    load_integration,
    wrap_everywhere,
)

__all__ = ["LightgbmCapture"]


class LightgbmCapture(CapturePlugin):
    """Adds a callback to ``train``, which the estimators call as well, and to ``cv``."""

    NAME = "lightgbm"
    DESCRIPTION = "Records what LightGBM evaluates in each iteration"
    MODULES = {"lightgbm": "patch"}

    @classmethod
    def patch(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the functions that train, and the method that saves a model."""
        make = add_callbacks(cls.current, create_callback, place="the training")
        for function in (module.train, module.cv):
            wrap_everywhere(patches, function, make)
        patches.after(module.Booster, "save_model", cls.note_saved)

    def note_saved(self, _result: Any, _booster: Any, filename: Any, *_more: Any, **_named: Any) -> None:
        """Keep the file."""
        self.run.log_artifact(filename, "checkpoints")


def create_callback(plugin: Any) -> Any:
    """Return a callback that records into the plugin's run."""
    return load_integration("lightgbm")(plugin.run)
