"""What a feed is doing, and waiting for it to be done."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

STARTING: Final = "starting"
DELIVERING: Final = "delivering"
IDLE: Final = "idle"  # the backend has everything
RETRYING: Final = "retrying"
STANDBY: Final = "standby"  # another process delivers
RESTING: Final = "resting"  # no use in trying: it hangs, its credentials are wrong, it is not active
STOPPED: Final = "stopped"


class WaitableWorker(ABC):
    """A feed that can be waited for, wherever it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._waiting = 0  # threads that wait for everything to be delivered
        self._progress = threading.Condition(threading.RLock())  # a signal handler may come in between

    @abstractmethod
    def position(self, writer: str) -> int:
        """Return how far a writer is delivered, as a sequence number."""

    @abstractmethod
    def is_hopeless(self) -> bool:
        """Say whether it is no use to wait.

        That is a backend that rests, is another process's, or has its breaker open and has failed once more since
        somebody began to wait.
        """

    def hurry(self) -> None:
        """Somebody is about to wait for everything to be delivered: try now, and do not rest for long."""
        with self._progress:
            self._waiting += 1
            self._on_hurry()

    def calm(self) -> None:
        """Nobody waits any more."""
        with self._progress:
            self._waiting -= 1
            self._on_calm()

    @abstractmethod
    def _on_hurry(self) -> None: ...

    @abstractmethod
    def _on_calm(self) -> None: ...

    def wait(self, targets: Mapping[str, int], end: float) -> bool:
        """Wait until each writer is delivered up to a sequence number, no longer than the monotonic time ``end``.

        To be called between :meth:`hurry` and :meth:`calm`. Gives up early where it is no use.
        """
        with self._progress:
            while not self.reached(targets):
                left = end - time.monotonic()
                if left <= 0 or self.is_hopeless():
                    return False
                self._progress.wait(min(left, 0.1))
        return True

    def reached(self, targets: Mapping[str, int]) -> bool:
        """Say whether each writer is delivered up to a sequence number."""
        return all(self.position(writer) >= target for writer, target in targets.items())


class WakeEvent:
    """Like an event that is cleared by waiting for it.

    ``threading.Event`` has a lock that its own thread cannot take twice: a signal handler that rings while the
    program below it is ringing would wait for ever.
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
        """Wait until it rings, no longer than so many seconds."""
        with self._condition:
            if not self._is_set:
                self._condition.wait(None if seconds == float("inf") else seconds)
            self._is_set = False
