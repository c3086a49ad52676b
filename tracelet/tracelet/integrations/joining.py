"""The run that an object in a framework's slot records into."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.errors import NoActiveRunError, TraceletError
from tracelet.logs import get_logger
from tracelet.run import Run, active_run, start_run

log = get_logger("tracelet.integrations")

#: Functions of sklearn.model_selection that fit a copy of the program's estimator on a part of the data.
_SEARCHES: Final = frozenset({"_fit_and_score", "_fit_and_predict", "_permutation_test_score"})
#: Collectors that a child run leaves to its parent.
_OF_THE_PARENT: Final = ("no:system", "no:environment", "no:gpu")


class JoinedRun:
    """The run that an object records into: the one given to it, else the active one, else one that it starts.

    It is chosen when a training starts, and kept until the next one: a framework may call back on another thread.
    Copies and pickles of the object choose anew, so that they work in another process.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._given = run
        self._run: Run | None = None
        self._pid = os.getpid()

    def join(self) -> Run | None:
        """Choose the run for a training that starts now. None inside a search: it reports its results itself."""
        self._run = None
        if not fits_for_search() and not (self._pid != os.getpid() and is_called_by("joblib")):
            given = self._given
            is_open = given is not None and given.outcome is None
            self._run = given if is_open else active_run() or start_run()
        return self._run

    @property
    def run(self) -> Run | None:
        """The run of the current training."""
        return self._run

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers."""
        if metrics:
            self._attempt(lambda run: run.log(metrics, step))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters."""
        if params:
            self._attempt(lambda run: run.log_params(params))

    def log_artifact(self, path: Any, artifact_path: str | None = None) -> None:
        """Record a file or folder, if it is there: only one rank may have written it."""
        if isinstance(path, (str, os.PathLike)) and Path(path).exists():
            self._attempt(lambda run: run.log_artifact(path, artifact_path))

    def call(self, record: Callable[[Run], None]) -> None:
        """Record something else."""
        self._attempt(record)

    def _attempt(self, record: Callable[[Run], None]) -> None:
        run = self._run
        if run is None:
            return
        try:
            record(run)
        except NoActiveRunError:
            log.info("run %s has ended; the rest of the training is not recorded", run.id)
            self._run = None
        except TraceletError as error:
            if run.config.strict:
                raise
            log.warning("run %s: %s", run.id, error)

    def __deepcopy__(self, memo: Any) -> JoinedRun:
        return JoinedRun(self._given)

    def __getstate__(self) -> dict[str, Any]:
        return {"_given": None, "_run": None, "_pid": self._pid}


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


def start_child(parent: Run, name: str, *, group: str | None = None) -> Run:
    """Start a run inside another one, which measures the machine for both."""
    if parent.adoptable:
        parent.adopt()  # of `tracelet run`: it is the parent, not the child
    tags = {"parent": parent.id, **({"group": group} if group else {})}
    config = {"quiet": True, "project": parent.project}
    return start_run(name, tags=tags, plugins=list(_OF_THE_PARENT), config=config, dir=parent.config.dir)
