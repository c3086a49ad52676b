"""Ends runs that the program left open: at exit, after an exception, at SIGTERM."""

from __future__ import annotations

import atexit
import time
import weakref
from typing import TYPE_CHECKING

from tracelet.run import uncaught
from tracelet.run.preemption import Preemption

if TYPE_CHECKING:
    from tracelet.run.run import Run

_open: list[weakref.ref[Run]] = []
_preemption: Preemption | None = None


def watch(run: Run) -> None:
    """Make sure that a run ends when its program does."""
    _open[:] = [ref for ref in _open if (other := ref()) is not None and other.outcome is None]
    _open.append(weakref.ref(run))
    global _preemption
    if _preemption is None:
        _preemption = Preemption(_end_at_once)
        atexit.register(_at_exit)
        uncaught.watch()
    _preemption.catch()


def _at_exit() -> None:
    from tracelet.run.run import outcome_of

    outcome, text = outcome_of(uncaught.latest())
    _finish_all(outcome, text, None)


def _end_at_once(timeout: float) -> None:
    """End the runs at SIGTERM. A run that is being finished already has at least its outcome recorded."""
    _finish_all("killed", "SIGTERM", timeout)
    for ref in _open:
        if (run := ref()) is not None:
            run.cut_short()


def _finish_all(outcome: str, error: str | None, timeout: float | None) -> None:
    end = None if timeout is None else time.monotonic() + timeout
    for ref in reversed(_open):
        run = ref()
        if run is not None and run.outcome is None:
            run.finish(outcome, None if end is None else max(0.1, end - time.monotonic()), error=error)
