"""A callback for LightGBM: ``lightgbm.train(..., callbacks=[TraceletCallback()])``, ``fit(..., callbacks=...)``."""

from __future__ import annotations

from typing import Any

from tracelet.integrations.joining import JoinedRun
from tracelet.integrations.run_slot import missing_package
from tracelet.integrations.trainings import series_prefix
from tracelet.run import Run

try:
    import lightgbm  # noqa: F401 - LightGBM's callbacks are functions, so there is no class to inherit from
except ImportError as error:
    raise missing_package("lightgbm", ["lightgbm"], error) from error

__all__ = ["TraceletCallback"]


class TraceletCallback:
    """Records the evaluation of each iteration, and the parameters.

    The series are named as in ``record_evaluation``: ``valid_0/binary_logloss``; those of ``lightgbm.cv`` are
    ``cv/valid/binary_logloss/mean`` and ``cv/valid/binary_logloss/std``. A training with ``init_model`` counts on from
    the model's iterations. Fits inside a search of scikit-learn are not recorded; the final one is.
    """

    records_into_tracelet = True
    before_iteration = False

    def __init__(self, run: Run | None = None, *, prefix: str | None = None, params: bool = True) -> None:
        """Record into ``run``, else into the active run. ``prefix`` is put before the names of the series."""
        self.order = 25  # before early stopping, which ends the iteration's callbacks
        self.prefix = prefix
        self.params = params
        self._names = ""
        self._joined = JoinedRun(run)

    def __call__(self, env: Any) -> None:
        """Record one iteration."""
        if env.iteration == env.begin_iteration:
            self._start(env)
        row: dict[str, Any] = {}
        for data, metric, value, _, *deviation in env.evaluation_result_list or ():
            name = f"{self._names}{data}/{metric}"
            if deviation and deviation[0] is not None:
                row.update({f"{name}/mean": value, f"{name}/std": deviation[0]})
            else:
                row[name] = value
        self._joined.log(row, env.iteration)

    def _start(self, env: Any) -> None:
        run = self._joined.join()
        is_cv = hasattr(env.model, "boosters")
        if self.prefix is not None:
            self._names = self.prefix
        elif is_cv:
            self._names = "cv/" + series_prefix(run, "lightgbm.cv")
        else:
            self._names = series_prefix(run, "lightgbm", continued=env.begin_iteration > 0)
        if run is not None and self.params:
            params = {key: _plain(value) for key, value in env.params.items()}
            self._joined.log_params({f"{self._names}lightgbm": params})


def _plain(value: Any) -> Any:
    """Return a parameter; a function of the program's own by its name."""
    return getattr(value, "__qualname__", repr(value)) if callable(value) else value
