"""When to retry: full-jitter backoff, and a circuit breaker that pauses a backend after repeated failures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from tracelet.delivery.limits import Settings

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"
PERMANENT: Final = "permanent"


class Breaker:
    """Decides when the next attempt may be made.

    ``closed``: at once, or after a random delay between 0 and a limit that doubles with each consecutive failure (the
    "full jitter" of Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog, 2015).
    After ``breaker_after`` consecutive failures it is ``open``: the next attempt waits for such a delay, of at least
    half the limit. Then it is ``half-open`` for one attempt, which closes it, or opens it again for longer.
    ``permanent`` (wrong credentials) ends only by :meth:`reset`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._draw = draw
        self.failures = 0  # consecutive
        self._not_before = 0.0
        self._permanent = False

    @property
    def state(self) -> str:
        """``closed``, ``open``, ``half-open`` or ``permanent``."""
        if self._permanent:
            return PERMANENT
        if self.failures < self._settings.breaker_after:
            return CLOSED
        return OPEN if self.wait() > 0 else HALF_OPEN

    def wait(self) -> float:
        """Return the seconds until the next attempt may be made; infinity if none may."""
        if self._permanent:
            return float("inf")
        return max(0.0, self._not_before - self._clock())

    def succeeded(self) -> None:
        """Record a successful attempt."""
        self.failures = 0
        self._not_before = 0.0

    def failed(self, retry_after: float | None = None) -> None:
        """Record a failed attempt. ``retry_after`` is the delay in seconds that the service asked for."""
        self.failures += 1
        limit = self.limit(self.failures)
        delay = limit * self._draw()
        if self.failures >= self._settings.breaker_after:
            delay = (limit + delay) / 2
        if retry_after is not None:
            delay = max(delay, min(retry_after, self._settings.retry_after_longest))
        self._not_before = self._clock() + delay

    def limit(self, failures: int) -> float:
        """Return the longest delay after that number of consecutive failures."""
        doubled = self._settings.retry_first * 2.0 ** min(failures - 1, 60)
        return min(self._settings.retry_longest, doubled)

    def give_up(self) -> None:
        """Make no further attempt."""
        self._permanent = True

    def hurry(self, at_most: float = 0.0) -> None:
        """Allow the next attempt within ``at_most`` seconds, because the program is waiting for it."""
        self._not_before = min(self._not_before, self._clock() + at_most)

    def reset(self) -> None:
        """Forget all failures, because something has changed."""
        self._permanent = False
        self.succeeded()
