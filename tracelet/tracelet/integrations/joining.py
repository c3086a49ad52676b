"""The run that an object in a framework's slot records into."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.errors import NoActiveRunError, TraceletError
from tracelet.integrations.run_slot import RunSlot
from tracelet.logs import get_logger
from tracelet.run import Run, active_run, start_run

log = get_logger("tracelet.integrations")

#: Functions of sklearn.model_selection that fit a copy of the program's estimator on a part of the data.
_SEARCHES: Final = frozenset({"_fit_and_score", "_fit_and_predict", "_permutation_test_score"})
#: Collectors that a child run leaves to its parent.
_OF_THE_PARENT: Final = ("no:system", "no:environment", "no:gpu")


class JoinedRun(RunSlot):
    """The run of an object that is called for one training after another.

    It is chosen when a training starts, and kept until the next one: a framework may call back on another thread. If
    it ends in the middle of a training, the rest is not recorded.
    """

    def __init__(self, run: Run | None = None, **options: Any) -> None:
        super().__init__(run, **options)
        self._given = run
        self._joined: Run | None = None
        self._pid = os.getpid()

    def join(self) -> Run | None:
        """Choose the run for a training that starts now. None inside a search: it reports its results itself."""
        self._joined = None
        if fits_for_search() or (self._pid != os.getpid() and is_called_by("joblib")):
            return None
        self._run = self._given if self._given is not None and self._given.outcome is None else active_run()
        self._joined = self.run
        return self._joined

    @property
    def joined(self) -> Run | None:
        """The run of the current training."""
        if self._joined is not None and self._joined.outcome is not None:
            log.info("run %s has ended; the rest of the training is not recorded", self._joined.id)
            self._joined = None
        return self._joined

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers."""
        if metrics:
            self.attempt(lambda run: run.log(metrics, step))

    def log_params(self, params: Mapping[str, Any] | None) -> None:
        """Record parameters."""
        if params:
            self.attempt(lambda run: run.log_params(params))

    def log_artifact(self, path: Any, artifact_path: str | None = None) -> None:
        """Record a file or folder, if it is there: only one rank may have written it."""
        if isinstance(path, (str, os.PathLike)) and Path(path).exists():
            self.attempt(lambda run: run.log_artifact(path, artifact_path))

    def attempt(self, record: Callable[[Run], None]) -> None:
        """Record something; a training must not end for what is not recorded, unless its run is strict."""
        run = self.joined
        if run is None:
            return
        try:
            record(run)
        except NoActiveRunError:  # it has ended on another thread
            self._joined = None
        except TraceletError as error:
            if run.config.strict:
                raise
            self.report(error)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "pid": self._pid}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        self._pid = state["pid"]

    def __deepcopy__(self, memo: dict[int, Any]) -> JoinedRun:
        return JoinedRun(self._given, **self.options)


def fits_for_search() -> bool:
    """Return whether scikit-learn is fitting a copy of an estimator now, to compare it or to cross-validate it."""
    if "sklearn" not in sys.modules:
        return False
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in _SEARCHES and _module_of(frame).startswith("sklearn.model_selection."):
            return True
        frame = frame.f_back
    return False


def is_called_by(package: str) -> bool:
    """Return whether a function of this package is on the stack."""
    frame: Any = sys._getframe(1)
    while frame is not None and not _module_of(frame).startswith(f"{package}."):
        frame = frame.f_back
    return frame is not None


def _module_of(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", ""))


def start_child(parent: Run, name: str, *, group: str | None = None, run_id: str | None = None) -> Run:
    """Start a run inside another one, which measures the machine for both. With ``run_id``, it may exist already."""
    if parent.adoptable:
        parent.adopt()  # of `tracelet run`: it is the parent, not the child
        parent.settle_name()
    config = {"quiet": True, "project": parent.project}
    return start_run(
        name,
        parent=parent,
        group=group,
        plugins=list(_OF_THE_PARENT),
        config=config,
        dir=parent.config.dir,
        run_id=run_id,
        resume=run_id is not None,
    )
