"""Ends runs that the program left open: at exit, after an exception, at SIGTERM."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from typing import NamedTuple

from tracelet.host import leftovers
from tracelet.run import uncaught
from tracelet.run.preemption import Preemption
from tracelet.run.run import Run, outcome_of


class _Failure(NamedTuple):
    text: str | None
    recorded: int  # points of the run at that moment


class _WatchedRun:
    """A run that may be left open, and what has happened to the program since."""

    def __init__(self, run: Run) -> None:
        self.ref = weakref.ref(run)
        self.thread = threading.current_thread()
        self.thread_failure: _Failure | None = None
        self.exit: _Failure | None = None

    def fail(self, error: BaseException | None) -> _Failure | None:
        """Return a failure of now."""
        run = self.ref()
        return _Failure(outcome_of(error)[1], run.writer.recorded) if run is not None and error else None

    def outcome(self, run: Run) -> tuple[str, str | None]:
        """Return how a run ends that the program leaves open.

        The failure of its thread or a call of ``sys.exit`` counts only if nothing was recorded since: otherwise the
        program handled it and went on.
        """
        if (error := uncaught.latest()) is not None:
            return outcome_of(error)
        for failure in (self.exit, self.thread_failure):
            if failure is not None and failure.recorded == run.writer.recorded:
                return "failed", failure.text
        return "finished", None


class _ProgramObserver:
    """Notes on the open runs what may end the program."""

    def thread_failed(self, error: BaseException) -> None:
        """Note the failure on the runs that this thread has started."""
        for watched in list(_watched.values()):
            if watched.thread is threading.current_thread():
                watched.thread_failure = watched.fail(error)

    def exit_called(self, error: SystemExit | None) -> None:
        """Note the exit on all runs."""
        for watched in list(_watched.values()):
            watched.exit = watched.fail(error)


_watched: dict[int, _WatchedRun] = {}
_preemption: Preemption | None = None


def watch(run: Run) -> None:
    """Make sure that a run ends when its program does."""
    for key, watched in list(_watched.items()):
        other = watched.ref()
        if other is None or other.is_closed:
            _watched.pop(key, None)
    _watched[id(run)] = _WatchedRun(run)
    global _preemption
    if _preemption is None:
        _preemption = Preemption(_end_at_once)
        atexit.register(_at_exit)
        leftovers.before_leaving.append(_at_exit)
        leftovers.exit_status.append(uncaught.exit_status)
        uncaught.watch(_ProgramObserver())
    _preemption.catch()


def _at_exit() -> None:
    for watched in reversed(list(_watched.values())):
        run = watched.ref()
        if run is not None and not run.is_closed:
            outcome, text = watched.outcome(run)
            run.writer.is_exiting = True
            run.finish(outcome, error=text)
            run.close_at_once(outcome, text)


def _end_at_once(timeout: float) -> None:
    """End the runs at SIGTERM. A run that is being finished already has at least its outcome recorded."""
    end = time.monotonic() + timeout
    runs = [run for watched in reversed(list(_watched.values())) if (run := watched.ref()) is not None]
    for run in runs:
        run.finish("killed", max(0.1, end - time.monotonic()), error="SIGTERM")
    for run in runs:
        run.close_at_once("killed", "SIGTERM")
