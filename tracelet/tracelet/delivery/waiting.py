"""What a worker is doing, and waiting until it is done."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

STARTING: Final = "starting"
DELIVERING: Final = "delivering"
IDLE: Final = "idle"  # the backend has everything
GATHERING: Final = "gathering"  # the backend prefers fewer and larger batches
RETRYING: Final = "retrying"
STANDBY: Final = "standby"  # another process delivers
RESTING: Final = "resting"  # retrying is pointless: it hangs, its credentials are wrong, or it is not active
STOPPED: Final = "stopped"

#: The status of a worker that has done nothing yet.
INITIAL_STATUS: Final[Mapping[str, Any]] = {
    "state": STARTING,
    "delivered": 0,
    "excluded": 0,
    "dropped": {},
    "retries": 0,
    "error": None,
    "breaker": "closed",
    "lag_s": 0.0,
}


class DeliveryWorker(ABC):
    """Delivers to one backend, wherever that runs. Other threads can wait until it is done."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._waiting = 0  # threads that wait until everything is delivered
        self._progress = threading.Condition(threading.RLock())  # reentrant, for signal handlers

    # -- what each kind of worker does -----------------------------------------------------------------

    @property
    @abstractmethod
    def state(self) -> str:
        """What the worker is doing."""

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def stop(self, timeout: float) -> bool:
        """Stop after the current batch, or after ``timeout`` seconds; return whether it has stopped."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Have it stop after the current batch. Returns at once."""

    @abstractmethod
    def reconfigure(self) -> None:
        """Take up changed routes, or a plugin that was fixed or restarted."""

    @abstractmethod
    def slow_down(self) -> bool:
        """Wait twice as long between batches from now on. Return ``False`` if the limit has been reached."""

    @abstractmethod
    def status(self) -> dict[str, Any]:
        """Return the worker's state and counts, as JSON can hold them."""

    @abstractmethod
    def position(self, writer: str) -> int:
        """Return how far a writer is delivered, as a sequence number."""

    @abstractmethod
    def is_hopeless(self) -> bool:
        """Say whether waiting is no use.

        That is so for a backend that rests or is another process's, and for one whose breaker is open and that has
        failed once more since a thread began to wait.
        """

    @abstractmethod
    def _on_hurry(self) -> None: ...

    @abstractmethod
    def _on_calm(self) -> None: ...

    # -- waiting ---------------------------------------------------------------------------------------

    def hurry(self) -> None:
        """Try now, and pause only briefly: a thread is about to wait until everything is delivered."""
        with self._progress:
            self._waiting += 1
            self._on_hurry()

    def calm(self) -> None:
        """Return to the usual pace: a thread has stopped waiting."""
        with self._progress:
            self._waiting -= 1
            self._on_calm()

    def wait(self, targets: Mapping[str, int], end: float) -> bool:
        """Wait until each writer is delivered up to a sequence number, until the monotonic time ``end`` at most.

        To be called between :meth:`hurry` and :meth:`calm`. Returns early if waiting is no use.
        """
        with self._progress:
            while not self.has_reached(targets):
                left = end - time.monotonic()
                if left <= 0 or self.is_hopeless():
                    return False
                self._progress.wait(min(left, 0.1))
        return True

    def has_reached(self, targets: Mapping[str, int]) -> bool:
        """Say whether each writer is delivered up to a sequence number."""
        return all(self.position(writer) >= target for writer, target in targets.items())


class WakeEvent:
    """Wakes one thread; like an event that waiting clears. May be set from a signal handler.

    ``threading.Event`` has a lock that its own thread cannot take twice: a signal handler that sets the event while
    the interrupted code is setting it would wait forever.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._is_set = False

    def set(self) -> None:
        """Wake the thread that waits, or that waits next."""
        with self._condition:
            self._is_set = True
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until the event is set, but not longer than ``seconds``."""
        with self._condition:
            if not self._is_set:
                self._condition.wait(None if seconds == float("inf") else seconds)
            self._is_set = False
