"""A callback for Keras 3: ``model.fit(..., callbacks=[TraceletCallback()])``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from tracelet.integrations.joining import JoinedRun
from tracelet.integrations.run_slot import missing_package
from tracelet.integrations.saving import SavedFiles
from tracelet.integrations.trainings import series_prefix
from tracelet.run import Run

try:
    import keras
except ImportError as error:
    raise missing_package("keras", ["keras"], error) from error

__all__ = ["TraceletCallback"]

_SAVING: Final = ("save", "save_weights", "export")


class _Progress:
    """What a model has been trained so far, in one run."""

    def __init__(self, run: Run | None, prefix: str) -> None:
        self.run_id = None if run is None else run.id
        self.prefix = prefix
        self.epochs = 0
        self.batches = 0


_progress: WeakKeyDictionary[Any, _Progress] = WeakKeyDictionary()


class TraceletCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Records epochs, batches, stand-alone evaluations, the optimizer's and the model's settings, and saved models.

    Epochs have the names of ``history``: ``loss``, ``val_loss``; batches are ``batch/loss`` (Keras reports running
    means of the epoch there) and ``batch/learning_rate``, counted over the whole training; ``model.evaluate`` is
    ``test/loss``. A second ``fit`` of the same model goes on with its series, another model gets its own: ``2/loss``.
    """

    records_into_tracelet = True

    def __init__(
        self,
        run: Run | None = None,
        *,
        prefix: str | None = None,
        batches: int = 1,
        params: bool = True,
        checkpoints: bool = True,
    ) -> None:
        """Record into ``run``, else into the active run.

        ``prefix`` is put before the names of the series. Every ``batches``-th batch is recorded, none if it is 0.
        """
        super().__init__()
        self.prefix = prefix
        self.batches = batches
        # Whether Keras may call the batch hooks from a thread pool, in any order.
        self.async_safe = not batches
        self.record_params = params
        self.checkpoints = checkpoints
        self._joined = JoinedRun(run)
        self._saved = SavedFiles(self._joined, "checkpoints", "keras")
        self._fitting = False
        self._reset(None, "")

    def _reset(self, run: Run | None, prefix: str) -> None:
        self._names = prefix
        self._progress = _Progress(run, prefix)
        self._first_epoch: int | None = None  # what is added to Keras' number of an epoch
        self._epoch = 0
        self._last_batch = -1  # of this epoch

    # -- training ----------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Choose the run and the names, and record the settings."""
        self._fitting = True
        self._begin()
        progress = self._progress
        progress.batches = max(progress.batches, _iterations(self.model))
        self._first_epoch = None
        if self._joined.joined is None:
            return
        if self.record_params:
            self._joined.log_params({f"{self._names}keras": _settings(self.model, self.params)})
        if self.checkpoints:
            self._saved.watch(self._model, _SAVING)

    def _begin(self) -> None:
        run = self._joined.join()
        known = _progress.get(self._model)
        if run is not None and known is not None and known.run_id == run.id:
            self._progress, self._names = known, known.prefix
            return
        self._reset(run, series_prefix(run, "keras") if self.prefix is None else self.prefix)
        if run is not None:
            _progress[self._model] = self._progress

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Find out which epoch of the model's this is: ``fit`` counts from 0 unless ``initial_epoch`` is given."""
        if self._first_epoch is None:
            self._first_epoch = 0 if epoch else self._progress.epochs
        self._epoch = epoch + self._first_epoch
        self._last_batch = -1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record a batch."""
        self._last_batch = max(self._last_batch, batch)
        if not self.batches or batch % self.batches:
            return
        row = {f"{self._names}batch/{name}": value for name, value in (logs or {}).items()}
        self._joined.log(row, self._progress.batches + batch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record an epoch."""
        progress = self._progress
        progress.batches += self._last_batch + 1
        progress.epochs = max(progress.epochs, self._epoch + 1)
        row = {f"{self._names}{name}": value for name, value in (logs or {}).items()}
        rate = _learning_rate(self.model)
        if rate is not None:
            row.setdefault(f"{self._names}learning_rate", rate)
        self._joined.log(row, self._epoch)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Restore the model's own methods."""
        self._fitting = False
        self._saved.unwatch()

    # -- evaluation --------------------------------------------------------------------------------------

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Choose the run of an evaluation outside of a training."""
        if not self._fitting:
            self._begin()

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Record an evaluation outside of a training, at the number of the model's epochs."""
        if not self._fitting:
            row = {f"{self._names}test/{name}": value for name, value in (logs or {}).items()}
            self._joined.log(row, max(self._progress.epochs - 1, 0))

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.update(_model=None, _progress=_Progress(None, self._names))
        return state


def _settings(model: Any, params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a training is set up with."""
    given = {key: value for key, value in (params or {}).items() if key != "verbose"}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        given["optimizer"] = _config_of(optimizer)
    loss = getattr(model, "loss", None)
    if loss is not None:
        given["loss"] = _name_of(loss)
    model_facts = {"name": getattr(model, "name", None), "class": type(model).__name__}
    for key, read in (("parameters", lambda: model.count_params()), ("layers", lambda: len(model.layers))):
        try:
            model_facts[key] = read()
        except Exception:  # noqa: S112 - a model that is built by its first batch has none yet
            continue
    return {**given, "model": model_facts, "backend": keras.backend.backend()}


def _config_of(optimizer: Any) -> dict[str, Any]:
    try:
        config = dict(optimizer.get_config())
    except Exception:  # an optimizer of the program's own may have none
        return {"name": type(optimizer).__name__}
    rate = config.get("learning_rate")
    if isinstance(rate, Mapping):  # a schedule
        config["learning_rate"] = {"schedule": rate.get("class_name"), **(rate.get("config") or {})}
    elif isinstance(rate, float):
        config["learning_rate"] = float(f"{rate:.7g}")  # the digits that a float32 is sure of
    config["name"] = type(optimizer).__name__  # Keras numbers the names: sgd_1
    return {key: value for key, value in config.items() if value is not None}


def _name_of(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: _name_of(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_name_of(each) for each in value]
    return getattr(value, "name", None) or getattr(value, "__name__", None) or type(value).__name__


def _iterations(model: Any) -> int:
    """Return how many batches the model's optimizer has seen: a model that was saved and loaded goes on from there."""
    try:
        return int(model.optimizer.iterations.numpy())
    except Exception:  # no optimizer, or one that has not been built
        return 0


def _learning_rate(model: Any) -> float | None:
    try:
        return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    except Exception:  # no optimizer, or one of the program's own
        return None
