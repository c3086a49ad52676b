"""The writer's background thread: syncs, beats, looks ahead. Callers never wait for it."""

from __future__ import annotations

import _thread
import threading  # noqa: F401  (its first import takes the importing thread for the main one: not the keeper's)
import weakref
from collections.abc import Callable
from typing import Any

INTERVAL = 0.5  # seconds between syncs: what losing power may cost


class BackgroundThread:
    """Calls a method of an object at an interval, until the object is gone or the keeper is stopped.

    A bare daemon thread rather than ``threading.Thread``: starting one waits for nothing, so it is safe in a
    signal handler and in a forked child.
    """

    def __init__(self, method: Callable[[], Any], interval: float = INTERVAL) -> None:
        self._method = weakref.WeakMethod(method)
        self._interval = interval
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._stopped = False
        self._start_tokens = [True]

    def start(self) -> None:
        """Start the thread, once. At interpreter shutdown there will be none, which only costs the syncs."""
        try:
            self._start_tokens.pop()
            _thread.start_new_thread(self._run, ())
        except (IndexError, RuntimeError):
            return

    def ring(self) -> None:
        """Wake the thread up early. Never waits."""
        try:
            self._bell.release()
        except RuntimeError:
            return  # it is awake already

    def stop(self) -> None:
        """Let the thread end. Never waits."""
        self._stopped = True
        self.ring()

    def _run(self) -> None:
        while not self._stopped:
            self._bell.acquire(timeout=self._interval)
            method = self._method()
            if method is None or self._stopped:
                return
            method()
            del method
