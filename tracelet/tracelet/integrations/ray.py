"""A callback for Ray Tune: ``RunConfig(callbacks=[TraceletLoggerCallback()])``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.errors import TraceletError
from tracelet.integrations.joining import start_child
from tracelet.integrations.run_slot import missing_package
from tracelet.logs import get_logger
from tracelet.run import Run, active_run, start_run
from tracelet.run.job import short_hash

try:
    from ray.tune.logger import LoggerCallback
except ImportError as error:
    raise missing_package("ray", ["'ray[tune]'"], error) from error

__all__ = ["TraceletLoggerCallback"]

log = get_logger("tracelet.integrations")

#: What Tune adds to each result, which is no measurement, or is the step itself.
_NOT_MEASURED: Final = frozenset(
    {
        *(
            "config",
            "checkpoint_dir_name",
            "date",
            "done",
            "experiment_tag",
            "hostname",
            "iterations_since_restore",
        ),
        *("node_ip", "pid", "should_checkpoint", "timestamp", "training_iteration", "trial_id", "trial_name"),
    }
)


class TraceletLoggerCallback(LoggerCallback):  # type: ignore[misc]
    """Records a sweep of Ray Tune: each trial in a run of its own, inside the sweep's run.

    The sweep's run is the one given, else the active one, else a new one. A trial's run has the trial's configuration,
    each result by ``training_iteration``, and the outcome ``finished``, ``failed``, or ``pruned`` if the scheduler has
    stopped it. A trial that is tried again, and one of a restored experiment, continues its run.
    """

    records_into_tracelet = True

    def __init__(self, run: Run | None = None, **options: Any) -> None:
        """``options`` are the arguments of :func:`tracelet.start_run` for a sweep's run that is started here."""
        self.options = options
        self._run = run
        self._is_started = False
        self._sweep_id: str | None = None
        self._trials: dict[str, Run] = {}
        self._pruned: set[str] = set()
        self._scheduler: Any = None
        self._reported: set[str] = set()

    # -- the sweep -------------------------------------------------------------------------------------

    def setup(self, *args: Any, **spec: Any) -> None:
        """Find the scheduler: a trial's result does not say who has stopped the trial."""
        frame: Any = sys._getframe(1)
        while frame is not None and not hasattr(frame.f_locals.get("self"), "scheduler_alg"):
            frame = frame.f_back
        self._scheduler = frame.f_locals["self"].scheduler_alg if frame is not None else None

    def _sweep(self, trial: Any) -> Run:
        """Return the sweep's run. It is chosen when the first trial starts: by then, Tune has restored the state."""
        if self._run is None or self._run.outcome is not None:
            self._run = active_run()
        if self._run is None:
            known = self._sweep_id or self._parent_of(trial)
            again = {"run_id": known, "resume": True} if known is not None else {}
            self._run = start_run(**{"name": trial.experiment_dir_name, **self.options, **again})
            self._is_started = True
        if self._sweep_id != self._run.id:
            self._sweep_id = self._run.id
            self._run.log_params(
                {"ray": {"experiment": trial.experiment_dir_name, "scheduler": self._named()}}
            )
        return self._run

    def _parent_of(self, trial: Any) -> str | None:
        """Return the run that a trial was inside before the experiment was restored, if there is one."""
        from tracelet.config import program_config, program_file
        from tracelet.store import open_store

        folder = self.options.get("dir") or program_config(program_file(), {}).dir
        try:
            parent: str | None = open_store(folder).run(_run_id(trial)).parent
        except TraceletError:
            return None
        return parent

    def _named(self) -> str | None:
        return type(self._scheduler).__name__ if self._scheduler is not None else None

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """End what is still open: trials that were interrupted, and the sweep's run if it was started here."""
        for trial_id in list(self._trials):
            self._trials.pop(trial_id).finish("killed")
        if self._is_started and self._run is not None:
            self._run.finish()
            self._run, self._is_started = None, False

    def get_state(self) -> dict[str, Any]:
        """Return what Tune saves with the experiment."""
        return {"sweep": self._sweep_id}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what Tune has saved."""
        self._sweep_id = state.get("sweep")

    def __getstate__(self) -> dict[str, Any]:
        return {"options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["options"])  # type: ignore[misc]

    # -- its trials ------------------------------------------------------------------------------------

    def log_trial_start(self, trial: Any) -> None:
        """Open a trial's run, unless the trial is merely tried again."""
        self._attempt(lambda: self._run_of(trial).log_params(trial.config or {}))

    def _run_of(self, trial: Any) -> Run:
        run = self._trials.get(trial.trial_id)
        if run is None:
            sweep, group = self._sweep(trial), trial.experiment_dir_name
            run = _elsewhere(lambda: start_child(sweep, str(trial), group=group, run_id=_run_id(trial)))
            self._trials[trial.trial_id] = run
            run.set_tags({"ray": {"experiment": group, "trial": trial.trial_id}})
        return run

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Record a result."""
        if result.get("done") and self._is_pruned(trial, result):
            self._pruned.add(trial.trial_id)
        measured = {key: value for key, value in result.items() if key not in _NOT_MEASURED}
        self._attempt(lambda: self._run_of(trial).log(_numbers(measured), result.get("training_iteration")))

    def _is_pruned(self, trial: Any, result: Mapping[str, Any]) -> bool:
        """Return whether the scheduler has stopped a trial before it came to its end."""
        scheduler = self._scheduler
        if scheduler is None or self._named() == "FIFOScheduler":
            return False
        longest = getattr(scheduler, "_max_t_attr", None) or getattr(scheduler, "_max_t", None)
        reached = result.get(getattr(scheduler, "_time_attr", "training_iteration"))
        if longest is not None and reached is not None and reached >= longest:
            return False
        criteria = getattr(trial, "stopping_criterion", {}).items()
        flat = _flat(result)
        return not any(
            isinstance(limit, (int, float)) and flat.get(key, limit - 1) >= limit for key, limit in criteria
        )

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """End a trial's run."""
        run = self._trials.pop(trial.trial_id, None)
        if run is None:
            return
        outcome = "failed" if failed else "pruned" if trial.trial_id in self._pruned else "finished"
        self._pruned.discard(trial.trial_id)
        error = _error(trial) if failed else None
        self._attempt(lambda: run.finish(outcome, error=error))

    def _attempt(self, record: Callable[[], Any]) -> None:
        """Record something; a sweep must not end for what is not recorded, unless its run is strict."""
        try:
            record()
        except TraceletError as error:
            if self._run is not None and self._run.config.strict:
                raise
            if str(error) not in self._reported:
                self._reported.add(str(error))
                log.warning("%s", error)


def _run_id(trial: Any) -> str:
    """Return the id of a trial's run: the same in a restored experiment, wherever its folder was moved to."""
    return f"ray-{short_hash(f'{trial.experiment_dir_name} {trial.trial_id}')}"


def _elsewhere(start: Callable[[], Run]) -> Run:
    """Start a run on a thread of its own, so that it does not become the active run of the program."""
    found: list[Run] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            found.append(start())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, name="tracelet-trial")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(
            _flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
        )
    return flat


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what can be recorded as a metric: results may hold texts and lists as well."""
    kept = {}
    for key, value in _flat(values).items():
        if isinstance(value, (bool, int, float)) or (
            hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0
        ):
            kept[key] = value
    return kept


def _error(trial: Any) -> str | None:
    """Return the last line of what a trial raised, which Tune has just written to a file."""
    try:
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):
        return None
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), None)
