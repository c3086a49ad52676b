"""A callback for Optuna: ``study.optimize(objective, callbacks=[TraceletCallback()])``."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Final

from tracelet.integrations.joining import start_child
from tracelet.integrations.run_slot import missing_package
from tracelet.logs import get_logger
from tracelet.run import Run, active_run, start_run

try:
    import optuna
except ImportError as error:
    raise missing_package("optuna", ["optuna"], error) from error

__all__ = ["TraceletCallback"]

log = get_logger("tracelet.integrations")

_OUTCOMES: Final = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}


class TraceletCallback:
    """Records a study: each trial in a run of its own, and the course of the study in the active run.

    A trial's run has its parameters, its value, its intermediate values by step, its duration, and the outcome
    ``finished``, ``pruned`` or ``failed``. The study's run has the value and the duration of each trial at the trial's
    number, the best value so far, and the best parameters.

    A callback is called after a trial. To record what the objective logs itself in the trial's run, and trials that
    raise, wrap the objective: ``study.optimize(callback.track(objective), callbacks=[callback])``.
    """

    records_into_tracelet = True

    def __init__(self, run: Run | None = None, *, trials: bool = True) -> None:
        """Record the study in ``run``, else in the active run. ``trials=False`` makes no runs of the trials."""
        self.trials = trials
        self._given = run
        self._run: Run | None = None
        self._lock = threading.RLock()  # with n_jobs, trials run in threads
        self._tracked: dict[tuple[str, int], Run | None] = {}  # None: it has ended, and is recorded
        self._described: set[str] = set()
        self._best: dict[str, int] = {}  # the number of the best trial so far, by study

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Record a trial that has ended."""
        with self._lock:
            run = self._study_run(study)
            self._record_in_study(run, study, trial)
            key = study.study_name, trial.number
            is_tracked, child = key in self._tracked, self._tracked.pop(key, None)
        if not is_tracked and self.trials:
            child = self._start_trial(run, study.study_name, trial.number)
        if child is not None:
            _record_trial(child, study, trial)
            child.finish(_OUTCOMES.get(trial.state.name, trial.state.name.lower()))

    def track(self, objective: Callable[[optuna.Trial], Any]) -> Callable[[optuna.Trial], Any]:
        """Return an objective that records what it logs in the run of its trial."""

        @functools.wraps(objective)
        def tracked(trial: optuna.Trial) -> Any:
            study = trial.study
            with self._lock:
                run = self._study_run(study)
            child = self._start_trial(run, study.study_name, trial.number)
            try:
                result = objective(trial)
            except optuna.TrialPruned:
                self._keep(study, trial, child)
                raise
            except BaseException as error:
                self._keep(study, trial, None)
                # Unless the study catches it, the callback is not called.
                _record_failed(child, study, trial)
                child.finish("failed", error=f"{type(error).__name__}: {error}")
                raise
            self._keep(study, trial, child)
            return result

        return tracked

    def _keep(self, study: optuna.Study, trial: optuna.Trial, child: Run | None) -> None:
        with self._lock:
            self._tracked[study.study_name, trial.number] = child

    def _start_trial(self, run: Run, study_name: str, number: int) -> Run:
        return start_child(run, f"{run.name}-trial-{number}", group=study_name)

    def _study_run(self, study: optuna.Study) -> Run:
        """Return the run of the study: chosen once, since a worker thread has no run of its own."""
        run = self._run or self._given or active_run() or start_run()
        if run.outcome is not None:
            run = active_run() or start_run()
        self._run = run
        if study.study_name not in self._described:
            self._described.add(study.study_name)
            run.log_params({"optuna": _settings(study)})
        return run

    def _record_in_study(self, run: Run, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        row: dict[str, Any] = _values(study, trial)
        if trial.duration is not None:
            row["trial_seconds"] = trial.duration.total_seconds()
        if len(study.directions) == 1:
            row.update(self._record_best(run, study))
        if row:
            run.log(row, trial.number)

    def _record_best(self, run: Run, study: optuna.Study) -> dict[str, Any]:
        try:
            best = study.best_trial
        except ValueError:  # none is complete yet
            return {}
        if self._best.get(study.study_name) != best.number:
            self._best[study.study_name] = best.number
            run.log_params({"optuna": {"best_trial": best.number, "best_params": best.params}})
        return {f"best_{_names(study)[0]}": best.value}

    def __getstate__(self) -> dict[str, Any]:
        return {"trials": self.trials}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(trials=state["trials"])  # type: ignore[misc]


def _record_trial(
    run: Run, study: optuna.Study, trial: optuna.trial.FrozenTrial, state: str | None = None
) -> None:
    run.log_params(trial.params)
    if trial.user_attrs:
        run.log_params({"user_attrs": trial.user_attrs})
    for step, value in sorted(trial.intermediate_values.items()):
        run.log({"intermediate_value": value}, step)
    row: dict[str, Any] = _values(study, trial)
    if trial.duration is not None:
        row["trial_seconds"] = trial.duration.total_seconds()
    if row:
        run.log(row, trial.number)
    run.set_tags(_tags(study.study_name, trial.number, state or trial.state.name))


def _record_failed(run: Run, study: optuna.Study, trial: optuna.Trial) -> None:
    known = (each for each in study.get_trials(deepcopy=False) if each.number == trial.number)
    for frozen in known:
        _record_trial(run, study, frozen, state="FAIL")


def _tags(study_name: str, number: int, state: str) -> dict[str, Any]:
    return {"optuna": {"study": study_name, "trial": number, "state": state.lower()}}


def _names(study: optuna.Study) -> list[str]:
    """Return the names of the values of a trial."""
    count = len(study.directions)
    if study.metric_names and len(study.metric_names) == count:
        return list(study.metric_names)
    return ["value"] if count == 1 else [f"value_{index}" for index in range(count)]


def _values(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> dict[str, float]:
    """Return the values of a trial: a pruned one has its latest intermediate value, a failed one has none."""
    values = trial.values if trial.values is not None else []
    return dict(zip(_names(study), values, strict=False))


def _settings(study: optuna.Study) -> dict[str, Any]:
    directions = [direction.name.lower() for direction in study.directions]
    return {
        "study": study.study_name,
        "direction": directions[0] if len(directions) == 1 else directions,
        "sampler": type(study.sampler).__name__,
        "pruner": type(study.pruner).__name__,
    }
