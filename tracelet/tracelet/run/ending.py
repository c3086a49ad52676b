"""Ends runs that the program left open: at exit, after an exception, at SIGTERM."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from typing import NamedTuple

from tracelet.run import uncaught
from tracelet.run.preemption import Preemption
from tracelet.run.run import Run, outcome_of


class _WatchedRun(NamedTuple):
    ref: weakref.ref[Run]
    thread: int  # that started it


_watched: dict[int, _WatchedRun] = {}
_preemption: Preemption | None = None


def watch(run: Run) -> None:
    """Make sure that a run ends when its program does."""
    for key, watched in list(_watched.items()):
        other = watched.ref()
        if other is None or other.is_closed:
            _watched.pop(key, None)
    _watched[id(run)] = _WatchedRun(weakref.ref(run), threading.get_ident())
    global _preemption
    if _preemption is None:
        _preemption = Preemption(_end_at_once)
        atexit.register(_at_exit)
        uncaught.watch(_recorded)
    _preemption.catch()


def _recorded() -> dict[int, int]:
    runs = [watched.ref() for watched in list(_watched.values())]
    return {id(run): run.writer.recorded for run in runs if run is not None}


def _at_exit() -> None:
    for watched in reversed(list(_watched.values())):
        run = watched.ref()
        if run is not None and not run.is_closed:
            outcome, text = outcome_of(uncaught.failure_of(id(run), run.writer.recorded, watched.thread))
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
