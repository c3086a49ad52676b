"""The framework plugin ``transformers``: records what a ``Trainer`` of Transformers logs.

``docs/plugins/transformers.md`` says what is recorded.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, ClassVar, Final

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches
from tracelet_hookspecs import records_into_tracelet

__all__ = ["TransformersCapture"]

_FOLDERS: Final = ("eval", "test")


class TransformersCapture(CapturePlugin):
    """Records what all callbacks of a trainer are told, whatever they are."""

    NAME = "transformers"
    DESCRIPTION = "Records what a Trainer of Transformers logs"
    SCHEMA: ClassVar[dict[str, dict[str, Any]]] = {
        "checkpoints": {
            "type": "boolean",
            "default": False,
            "description": "keep each checkpoint that is saved as an artifact",
        }
    }
    MODULES = {"transformers.trainer_callback": "patch_callbacks", "transformers.trainer": "patch_trainer"}

    @classmethod
    def patch_callbacks(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the one place that calls all callbacks. They change what they are given, so they come second."""
        patches.before(module.CallbackHandler, "call_event", cls.note_event, suspend=("summarywriter",))

    @classmethod
    def patch_trainer(cls, module: ModuleType, patches: Patches) -> None:
        """Have files of a checkpoint recorded as parts of it only."""
        patches.after(module.Trainer, "_save_checkpoint", lambda *_, **__: None, suspend=("torch",))

    def note_event(self, handler: Any, event: str, args: Any, state: Any, _control: Any, **more: Any) -> None:
        """Record an event, unless a callback does it itself."""
        note = getattr(self, f"_{event}", None)
        if note is not None and state.is_world_process_zero and not records_into_tracelet(handler.callbacks):
            note(handler, args, state, **more)

    def _on_train_begin(self, handler: Any, args: Any, _state: Any, **_more: Any) -> None:
        config = getattr(handler.model, "config", None)
        described = config.to_dict() if config is not None and hasattr(config, "to_dict") else None
        self.run.log_params({**args.to_dict(), **({"model": described} if described else {})})

    def _on_log(self, _handler: Any, _args: Any, state: Any, logs: Any = None, **_more: Any) -> None:
        numbers = {key: value for key, value in (logs or {}).items() if isinstance(value, (int, float))}
        if numbers:
            self.run.log({_name_of(key): value for key, value in numbers.items()}, state.global_step)

    def _on_predict(self, handler: Any, args: Any, state: Any, metrics: Any = None, **_more: Any) -> None:
        self._on_log(handler, args, state, metrics)

    def _on_save(self, _handler: Any, args: Any, state: Any, **_more: Any) -> None:
        if self.config["checkpoints"]:
            folder = os.path.join(args.output_dir, f"checkpoint-{state.global_step}")
            self.run.log_artifact(folder, "checkpoints")

    def _on_train_end(self, _handler: Any, _args: Any, state: Any, **_more: Any) -> None:
        if state.best_metric is not None:
            self.run.log({"train/best_metric": state.best_metric}, state.global_step)


def _name_of(key: str) -> str:
    """Return the name that the reporters of Transformers give to a value."""
    folder, _, rest = key.partition("_")
    return f"{folder}/{rest}" if rest and folder in _FOLDERS else f"train/{key}"
