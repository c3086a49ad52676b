"""What a writer does in the background: syncs, heartbeats, opening windows ahead. Callers never wait for it."""

from __future__ import annotations

import _thread
import contextlib
import threading  # noqa: F401  (its first import takes the importing thread for the main one: not this one)
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracelet.journal.writing.outages import OutageTracker
from tracelet.journal.writing.stream import Stream
from tracelet.journal.writing.unavailable import UnavailableError

INTERVAL = 0.5  # seconds between syncs: the most that a power failure can lose
_BEAT = 5.0  # seconds between heartbeats


class BackgroundThread:
    """Calls a method of an object at an interval, until the object is gone or the thread is stopped.

    A bare daemon thread rather than ``threading.Thread``: starting one never waits, so it is safe in a
    signal handler and in a forked child.
    """

    def __init__(self, method: Callable[[], Any], interval: float = INTERVAL) -> None:
        self._method = weakref.WeakMethod(method)
        self._interval = interval
        self._wakeup = _thread.allocate_lock()
        self._wakeup.acquire()
        self._stopped = False
        self._start_tokens = [True]

    def start(self) -> None:
        """Start the thread, once. If that is impossible (a limit on processes, shutdown), ``is_missing`` is true."""
        try:
            self._start_tokens.pop()
        except IndexError:
            return
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            self._start_tokens.append(True)

    @property
    def is_missing(self) -> bool:
        """Whether the thread could not be started yet."""
        return bool(self._start_tokens)

    def wake(self) -> None:
        """Wake the thread up early. Never waits."""
        try:
            self._wakeup.release()
        except RuntimeError:
            return  # already awake

    def stop(self) -> None:
        """Let the thread end. Never waits."""
        self._stopped = True
        self.wake()

    def _run(self) -> None:
        while not self._stopped:
            self._wakeup.acquire(timeout=self._interval)
            method = self._method()
            if method is None or self._stopped:
                return
            method()
            del method


class Maintenance:
    """Maintains a writer's stream. Errors are ignored: a caller or the next round meets them again."""

    def __init__(self, run_dir: Path, outage: OutageTracker) -> None:
        self._run_dir = run_dir
        self._outage = outage
        self._sync_at = self.beat_at = time.monotonic() + INTERVAL

    def look_ahead(self, stream: Stream) -> None:
        """Open what a caller will need soon."""
        with contextlib.suppress(OSError, UnavailableError):
            stream.look_ahead()

    def is_sync_due(self) -> bool:
        """Say whether it is time for a sync; if so, the next one is an interval away."""
        now = time.monotonic()
        may_retry = now >= self._sync_at
        if may_retry:
            self._sync_at = now + INTERVAL
        return may_retry

    def keep_safe(self, stream: Stream) -> None:
        """Make names survive damage, and records survive a power failure."""
        with contextlib.suppress(UnavailableError):
            stream.list_names()
        if not stream.is_synced:
            self.sync(stream)

    def sync(self, stream: Stream) -> None:
        """Wait until the disk holds what was recorded."""
        try:
            stream.sync()
            self._outage.forget("sync")
        except OSError as error:
            text = f"{self._run_dir}: the disk does not accept what was recorded ({error}); a power failure may lose it"
            self._outage.warn_once("sync", text)

    def beat(self, stream: Stream) -> None:
        """Write a heartbeat if it is time, also during an outage: a full disk still accepts overwrites."""
        now = time.monotonic()
        if now >= self.beat_at:
            self.beat_at = now + _BEAT
            with contextlib.suppress(OSError):  # the next beat may get through; the thread must live to try
                stream.slots.files.write_heartbeat(time.time())
