"""The framework plugin ``lightning``: records what a ``LightningModule`` logs.

``docs/plugins/lightning.md`` says what is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, Final
from weakref import WeakSet

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches
from tracelet_hookspecs import RunView, hookimpl, records_into_tracelet

__all__ = ["LightningCapture"]

#: What writes the same on a lower level: Lightning's own logger for TensorBoard, and this plugin's other wrappers.
_BELOW: Final = ("lightning", "summarywriter")
_ROOTS: Final = {"lightning.pytorch": "lightning.fabric", "pytorch_lightning": "lightning_fabric"}


class LightningCapture(CapturePlugin):
    """Records the reduced values that Lightning gives to its loggers, at its own steps, whatever the loggers are.

    A callback of Lightning's may also call the loggers themselves (the learning rate monitor does), so calls of the
    loggers that come with Lightning are recorded as well; those that several loggers get, once.
    """

    NAME = "lightning"
    DESCRIPTION = "Records what Lightning logs"
    SCHEMA: ClassVar[dict[str, dict[str, Any]]] = {
        "checkpoints": {
            "type": "boolean",
            "default": False,
            "description": "keep each checkpoint that is saved as an artifact",
        }
    }
    MODULES = {
        **{
            f"{root}.trainer.connectors.logger_connector.logger_connector": "patch_metrics" for root in _ROOTS
        },
        **{f"{root}.trainer.trainer": "patch_hyperparameters" for root in _ROOTS},
        **{f"{root}.callbacks.model_checkpoint": "patch_checkpoints" for root in _ROOTS},
        **{f"{fabric}.loggers.tensorboard": "patch_tensorboard" for fabric in _ROOTS.values()},
        **{f"{fabric}.loggers.csv_logs": "patch_csv" for fabric in _ROOTS.values()},
    }

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Record from now on what is logged."""
        #: Loggers beside one that records into tracelet itself.
        self._accompanied: WeakSet[Any] = WeakSet()
        self._latest: tuple[int, Any, dict[str, Any]] | None = None  # which logger got what at which step
        super().run_started(run)

    @classmethod
    def patch_metrics(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the one place that all values pass on their way to the loggers."""
        patches.after(module._LoggerConnector, "log_metrics", cls.note_metrics, suspend=_BELOW)
        patches.after(module._LoggerConnector, "configure_logger", cls.note_loggers)

    @classmethod
    def patch_hyperparameters(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap what gives the hyperparameters to the loggers."""
        patches.after(module, "_log_hyperparams", cls.note_hyperparameters, suspend=_BELOW)

    @classmethod
    def patch_checkpoints(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the writing of checkpoints."""
        patches.after(module.ModelCheckpoint, "_save_checkpoint", cls.note_checkpoint, suspend=("torch",))

    @classmethod
    def patch_tensorboard(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the logger for TensorBoard, for calls that come from elsewhere."""
        patches.after(module.TensorBoardLogger, "log_metrics", cls.note_direct, suspend=("summarywriter",))

    @classmethod
    def patch_csv(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the logger that writes CSV, for calls that come from elsewhere."""
        patches.after(module.CSVLogger, "log_metrics", cls.note_direct)

    def note_loggers(self, _result: Any, connector: Any, *_more: Any) -> None:
        """Find out whether a logger of the trainer records into tracelet itself."""
        loggers = connector.trainer.loggers
        if records_into_tracelet(loggers):
            self._accompanied.update(loggers)

    def note_metrics(
        self, _result: Any, connector: Any, metrics: Mapping[str, Any], step: int | None = None
    ) -> None:
        """Record the values of a step or an epoch, by the rule for the step that Lightning has."""
        trainer = connector.trainer
        if not metrics or not trainer.is_global_zero or self._is_left(trainer):
            return
        values = dict(metrics)
        if step is None:
            given = values.pop("step", None)
            if given is None:
                values.setdefault("epoch", trainer.current_epoch)
                given = trainer.fit_loop.epoch_loop._batches_that_stepped
            step = int(given)
        self.run.log(values, step)

    def note_hyperparameters(self, _result: Any, trainer: Any) -> None:
        """Record the hyperparameters of the module and the data module, as they were at first."""
        if self._is_left(trainer) or not trainer.is_global_zero:
            return
        holders = [each for each in (trainer.lightning_module, trainer.datamodule) if each is not None]
        found = {
            key: value
            for holder in holders
            if holder._log_hyperparams
            for key, value in holder.hparams_initial.items()
            if key != "_class_path"
        }
        if found:
            self.run.log_params(found)

    def note_checkpoint(self, _result: Any, _callback: Any, trainer: Any, filepath: str) -> None:
        """Keep a checkpoint, if that is wanted."""
        if self.config["checkpoints"] and trainer.is_global_zero and not self._is_left(trainer):
            self.run.log_artifact(filepath, "checkpoints")

    def note_direct(
        self, _result: Any, logger: Any, metrics: Mapping[str, Any], step: int | None = None
    ) -> None:
        """Record what something else than the trainer gives to its loggers: to each of them, one after the other."""
        if logger in self._accompanied:
            return
        values, latest = dict(metrics), self._latest
        self._latest = id(logger), step, values
        if latest is None or latest[0] == id(logger) or latest[1:] != (step, values):
            self.run.log(values, step)

    def _is_left(self, trainer: Any) -> bool:
        """Return whether the recording is left to a logger of the trainer."""
        if records_into_tracelet(trainer.loggers):
            self._accompanied.update(trainer.loggers)
            return True
        return False
