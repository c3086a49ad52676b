"""A callback for XGBoost: ``xgboost.train(..., callbacks=[TraceletCallback()])``, ``XGBClassifier(callbacks=...)``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Final

from tracelet.integrations.joining import JoinedRun
from tracelet.integrations.run_slot import missing_package
from tracelet.integrations.saving import SavedFiles
from tracelet.integrations.trainings import series_prefix
from tracelet.run import Run

try:
    import xgboost
except ImportError as error:
    raise missing_package("xgboost", ["xgboost"], error) from error

__all__ = ["TraceletCallback"]

#: Parts of a booster's configuration that hold what a user may set.
_PARAMETERS: Final = ("learner_train_param", "tree_train_param", "dart_train_param", "lambda_rank_param")


class TraceletCallback(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """Records the evaluation of each boosting round, the parameters, and the models that XGBoost saves.

    The series are named as in ``evals_result``: ``train/logloss``; those of ``xgboost.cv`` are
    ``cv/test/logloss/mean`` and ``cv/test/logloss/std``. A training that continues a model counts its rounds on from
    the model's. Fits inside a search of scikit-learn are not recorded; the final one is.
    """

    records_into_tracelet = True

    def __init__(
        self,
        run: Run | None = None,
        *,
        prefix: str | None = None,
        params: bool = True,
        checkpoints: bool = True,
    ) -> None:
        """Record into ``run``, else into the active run. ``prefix`` is put before the names of the series."""
        super().__init__()
        self.prefix = prefix
        self.params = params
        self.checkpoints = checkpoints
        self._joined = JoinedRun(run)
        self._saved = SavedFiles(self._joined, "checkpoints", "xgboost")
        self._start("", 0)

    def _start(self, prefix: str, first: int) -> None:
        self._names = prefix
        self._first = first  # the number of this training's first round
        self._recorded = 0
        self._history: Mapping[str, Mapping[str, list[Any]]] = {}

    def before_training(self, model: Any) -> Any:
        """Choose the run, and record the parameters."""
        run = self._joined.join() if _is_first_rank() else None
        if hasattr(model, "cvfolds"):
            self._start(self._name(run, "cv", "cv/"), 0)
            model_of_params = model.cvfolds[0].bst if model.cvfolds else None
        else:
            first = model.num_boosted_rounds()
            self._start(self._name(run, "xgboost", "", continued=first > 0), first)
            model_of_params = model
            if self.checkpoints and run is not None:
                self._saved.watch(model, ("save_model",))
        if run is not None and self.params and model_of_params is not None:
            self._joined.log_params({f"{self._names}xgboost": read_parameters(model_of_params)})
        return model

    def _name(self, run: Run | None, counter: str, start: str, *, continued: bool = False) -> str:
        if self.prefix is not None:
            return self.prefix
        return start + series_prefix(run, counter, continued=continued)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Record the round. Never stops the training."""
        self._history = evals_log
        self._record_rounds()
        return False

    def _record_rounds(self) -> None:
        """Record the rounds that are new. A callback before this one may have kept the latest from it."""
        series = {
            f"{self._names}{data}/{metric}": values
            for data, metrics in self._history.items()
            for metric, values in metrics.items()
        }
        rounds = max(map(len, series.values()), default=0)
        for at in range(self._recorded, rounds):
            row: dict[str, Any] = {}
            for name, values in series.items():
                if at < len(values):
                    row.update(_scores(name, values[at]))
            self._joined.log(row, self._first + at)
        self._recorded = max(rounds, self._recorded)

    def after_training(self, model: Any) -> Any:
        """Record what is left, and the best round if the training stopped early."""
        self._record_rounds()
        self._saved.unwatch()
        best: dict[str, Any] = {}
        for key in ("best_iteration", "best_score"):
            with contextlib.suppress(AttributeError, TypeError):  # it did not stop early
                best[self._names + key] = getattr(model, key)
        self._joined.log(best, self._first + max(self._recorded - 1, 0))
        return model


def _scores(name: str, value: Any) -> dict[str, Any]:
    """Return a round's value under its name; of a cross-validation its mean and its standard deviation."""
    if isinstance(value, tuple):
        return {f"{name}/mean": value[0], f"{name}/std": value[1]}
    return {name: value}


def read_parameters(booster: Any) -> dict[str, Any]:
    """Return the parameters of a booster, those with default values included."""
    learner = json.loads(booster.save_config()).get("learner", {})
    found: dict[str, Any] = {}
    _collect(learner, found)
    return found


def _collect(part: Mapping[str, Any], found: dict[str, Any]) -> None:
    for key, value in part.items():
        if key in _PARAMETERS and isinstance(value, Mapping):
            found.update({name: _plain(text) for name, text in value.items()})
        elif key == "objective" and isinstance(value, Mapping):
            found.setdefault("objective", value.get("name"))
        elif isinstance(value, Mapping):
            _collect(value, found)


def _plain(text: Any) -> Any:
    """Return a number that XGBoost shows as a text; it has the digits that a float32 is sure of."""
    try:
        return int(text)
    except (TypeError, ValueError):
        pass
    try:
        return float(f"{float(text):.7g}")
    except (TypeError, ValueError):
        return text


def _is_first_rank() -> bool:
    from xgboost import collective

    return not collective.is_distributed() or collective.get_rank() == 0
