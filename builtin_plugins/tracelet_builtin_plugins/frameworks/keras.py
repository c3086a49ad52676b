"""The framework plugin ``keras``: records what models of Keras 3 report while they are trained and evaluated.

``docs/plugins/keras.md`` says what is recorded.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches, add_callbacks, load_integration

__all__ = ["KerasCapture"]


class KerasCapture(CapturePlugin):
    """Adds a callback where ``fit`` and ``evaluate`` collect theirs, and loops of the program's own that use them."""

    NAME = "keras"
    DESCRIPTION = "Records what Keras reports of epochs, batches and evaluations"
    SCHEMA: ClassVar[dict[str, dict[str, Any]]] = {
        "batches": {
            "type": "integer",
            "default": 1,
            "description": "batches between two records, 0 for none",
        },
    }
    MODULES = {"keras": "patch"}

    @classmethod
    def patch(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the list of callbacks, and the methods that save a model."""
        make = add_callbacks(cls.current, create_callback, place="the training")
        patches.wrap(module.callbacks.CallbackList, "__init__", make)
        for name in ("save", "save_weights", "export"):
            patches.after(module.Model, name, cls.note_saved, suspend=("keras", "torch"))

    def note_saved(self, _result: Any, _model: Any, filepath: Any, *_more: Any, **_named: Any) -> None:
        """Keep the file."""
        self.run.log_artifact(filepath, "checkpoints")


def create_callback(plugin: Any) -> Any:
    """Return a callback that records into the plugin's run. Saved models are recorded by the plugin."""
    return load_integration("keras")(plugin.run, batches=plugin.config["batches"], checkpoints=False)
