"""A bell that wakes one thread, and may be rung from a signal handler."""

from __future__ import annotations

import threading


class WakeEvent:
    """Like an event that is cleared by waiting for it.

    ``threading.Event`` has a lock that its own thread cannot take twice: a signal handler that rings while the
    program below it is ringing would wait for ever.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._rung = False

    def ring(self) -> None:
        """Wake the thread that waits, or that waits next."""
        with self._condition:
            self._rung = True
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, no longer than so many seconds."""
        with self._condition:
            if not self._rung:
                self._condition.wait(None if seconds == float("inf") else seconds)
            self._rung = False
