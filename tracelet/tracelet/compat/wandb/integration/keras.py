"""Callbacks for Keras. Each is a subclass of Keras' own, made when it is first asked for."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from tracelet.compat.wandb.calls import log
from tracelet.compat.wandb.current import require_run

_OFFERED: Final = ("WandbCallback", "WandbMetricsLogger", "WandbModelCheckpoint")


def __getattr__(name: str) -> Any:
    if name in _OFFERED:
        return _classes()[name]
    raise AttributeError(f"wandb.integration.keras has no {name!r}; it offers {', '.join(_OFFERED)}")


@cache
def _classes() -> dict[str, Any]:
    import keras

    class WandbMetricsLogger(keras.callbacks.Callback):  # type: ignore[misc]
        """Logs metrics at the end of each epoch as ``epoch/NAME``, and of every n-th batch as ``batch/NAME``."""

        def __init__(
            self, log_freq: Any = "epoch", initial_global_step: int = 0, *args: Any, **kwargs: Any
        ) -> None:
            super().__init__()
            require_run("WandbMetricsLogger()")
            self._every = None if log_freq == "epoch" else 1 if log_freq == "batch" else int(log_freq)
            self._batch = initial_global_step
            run = require_run("WandbMetricsLogger()")
            run.define_metric("epoch/epoch")
            run.define_metric("epoch/*", step_metric="epoch/epoch")
            if self._every:
                run.define_metric("batch/batch_step")
                run.define_metric("batch/*", step_metric="batch/batch_step")

        def _rate(self) -> dict[str, float]:
            try:
                return {"learning_rate": float(self.model.optimizer.learning_rate)}
            except (AttributeError, TypeError, ValueError):
                return {}

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Log the metrics of an epoch."""
            values = {**(logs or {}), "epoch": epoch, **self._rate()}
            log({f"epoch/{name}": value for name, value in values.items()})

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            """Log the metrics of a batch."""
            if self._every and batch % self._every == 0:
                values = {**(logs or {}), "batch_step": self._batch, **self._rate()}
                log({f"batch/{name}": value for name, value in values.items()})
                self._batch += self._every

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Log the metrics of a batch of training."""
            self.on_batch_end(batch, logs)

    class WandbModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
        """Saves checkpoints as Keras does, and logs each as an artifact."""

        def _save_model(self, *args: Any, **kwargs: Any) -> None:
            import os

            super()._save_model(*args, **kwargs)
            path = str(self.filepath)
            if os.path.exists(path):
                run = require_run("WandbModelCheckpoint()")
                run.log_model(path, f"run_{run.id}_model")

    class WandbCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Logs the metrics of each epoch under their own names."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Log the metrics of an epoch."""
            log({"epoch": epoch, **(logs or {})})

    return {each.__name__: each for each in (WandbMetricsLogger, WandbModelCheckpoint, WandbCallback)}
