"""Runs whose program ends without ending them: at exit, by an exception, by SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracelet.run.run import Run

TERM_TIMEOUT: Final = 1.5  # seconds; preemption leaves few, and the promise is two in all

_open: list[weakref.ref[Run]] = []
_crash: list[BaseException] = []
_watching = False
_held = threading.local()  # the signal mask of a thread that is forking


def watch(run: Run) -> None:
    """See to it that a run is ended when its program is."""
    _open[:] = [ref for ref in _open if (other := ref()) is not None and other.outcome is None]
    _open.append(weakref.ref(run))
    global _watching
    if not _watching:
        _watching = True
        atexit.register(_at_exit)
        _chain_excepthook()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_hold_sigterm, after_in_parent=_resume_sigterm, after_in_child=_release_sigterm
            )
    _catch_sigterm()


def _at_exit() -> None:
    from tracelet.run.run import outcome_of

    outcome, text = outcome_of(_crash[-1] if _crash else None)
    _finish_all(outcome, text, None)


def _finish_all(outcome: str, error: str | None, timeout: float | None) -> None:
    for ref in reversed(_open):
        run = ref()
        if run is not None and run.outcome is None:
            run.finish(outcome, timeout, error=error)


def _chain_excepthook() -> None:
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _crash.append(error)
        previous(kind, error, trace)

    sys.excepthook = hook


def _catch_sigterm() -> None:
    """End runs cleanly at SIGTERM, where the program leaves the signal to its default. Its own handler stays."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _hold_sigterm() -> None:
    """Have a SIGTERM wait while a child is being forked.

    One that reached the child between the fork and :func:`_release_sigterm` would go to the inherited handler, and
    the interpreter forgets what is pending there in a new child: the signal would be lost, and the child never die.
    """
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _resume_sigterm() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)


def _release_sigterm() -> None:
    """Give SIGTERM back in a forked child, which has no run to end.

    A handler in Python runs only between two bytecodes: a pool's worker that blocks in a semaphore would
    neither run it nor die, and whoever terminates the pool would wait for ever.
    """
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _resume_sigterm()


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    _finish_all("killed", "SIGTERM", TERM_TIMEOUT)
    # The exit status stays what the signal makes it, so that whoever sent it sees its effect.
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
