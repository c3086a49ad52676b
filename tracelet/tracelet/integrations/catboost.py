"""A callback for CatBoost: ``model.fit(..., callbacks=[TraceletCallback()])``. CatBoost takes none on a GPU."""

from __future__ import annotations

import sys
from typing import Any

from tracelet.integrations.joining import JoinedRun
from tracelet.integrations.run_slot import missing_package
from tracelet.integrations.trainings import series_prefix
from tracelet.run import Run

try:
    import catboost  # noqa: F401 - CatBoost takes any object with a method after_iteration
except ImportError as error:
    raise missing_package("catboost", ["catboost"], error) from error

__all__ = ["TraceletCallback"]


class TraceletCallback:
    """Records the metrics of each iteration, and the parameters.

    The series are named as in ``model.evals_result_``: ``learn/Logloss``, ``validation/Logloss``, and counted as
    CatBoost prints them, from 0. A training with ``init_model`` counts on from the model's trees. Fits inside a search
    of scikit-learn are not recorded; the final one is.
    """

    records_into_tracelet = True

    def __init__(self, run: Run | None = None, *, prefix: str | None = None, params: bool = True) -> None:
        """Record into ``run``, else into the active run. ``prefix`` is put before the names of the series."""
        self.prefix = prefix
        self.params = params
        self._joined = JoinedRun(run)
        self._names = ""
        self._first = 0  # the number of this training's first iteration
        self._latest = sys.maxsize
        self._lengths: dict[str, int] = {}

    def after_iteration(self, info: Any) -> bool:
        """Record one iteration. Never stops the training."""
        if info.iteration <= self._latest:
            self._start()
        self._latest = info.iteration
        row: dict[str, Any] = {}
        for data, metrics in info.metrics.items():
            for metric, values in metrics.items():
                name = f"{self._names}{data}/{metric}"
                if len(values) != self._lengths.get(
                    name
                ):  # with metric_period, not all iterations have a value
                    self._lengths[name] = len(values)
                    row[name] = values[-1]
        self._joined.log(row, self._first + info.iteration - 1)
        return True

    def _start(self) -> None:
        run = self._joined.join()
        model, base = _find_training()
        self._first = getattr(base, "tree_count_", None) or 0
        self._lengths = {}
        if self.prefix is not None:
            self._names = self.prefix
        else:
            self._names = series_prefix(run, "catboost", continued=self._first > 0)
        if run is not None and self.params and model is not None:
            params = {key: _plain(value) for key, value in model.get_params().items()}
            self._joined.log_params({f"{self._names}catboost": params})


def _find_training() -> tuple[Any, Any]:
    """Return the model that is being trained and the one that it continues: CatBoost does not pass them on."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "_train" and frame.f_globals.get("__name__") == "catboost.core":
            return frame.f_locals.get("self"), frame.f_locals.get("init_model")
        frame = frame.f_back
    return None, None


def _plain(value: Any) -> Any:
    """Return a parameter; a function or object of the program's own by its name."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if callable(value) or type(value).__module__ == "__main__":
        return getattr(value, "__qualname__", type(value).__qualname__)
    return value
