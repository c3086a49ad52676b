"""When to try again: full-jitter backoff, and a breaker that rests a backend after repeated failures."""

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
    """Says when the next attempt may be made.

    ``closed``: at once, or after a delay drawn between 0 and a limit that doubles with each failure in a row (the
    "full jitter" of Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog, 2015).
    After ``breaker_after`` failures in a row it is ``open``: nothing is tried before such a delay, of at least half
    its limit so that a rest is one, is over. Then it is ``half-open`` for one attempt, which closes it or opens it
    again for longer. ``permanent`` (wrong credentials) ends only by :meth:`reset`.
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
        self.failures = 0  # in a row
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
        """Return the seconds until the next attempt may be made; infinite where none may."""
        if self._permanent:
            return float("inf")
        return max(0.0, self._not_before - self._clock())

    def succeeded(self) -> None:
        """Note that an attempt went well."""
        self.failures = 0
        self._not_before = 0.0

    def failed(self, retry_after: float | None = None) -> None:
        """Note that an attempt failed. ``retry_after`` are the seconds that the other side asked for."""
        self.failures += 1
        limit = self.limit(self.failures)
        delay = limit * self._draw()
        if self.failures >= self._settings.breaker_after:
            delay = (limit + delay) / 2
        if retry_after is not None:
            delay = max(delay, min(retry_after, self._settings.retry_after_longest))
        self._not_before = self._clock() + delay

    def limit(self, failures: int) -> float:
        """Return the longest delay after so many failures in a row."""
        doubled = self._settings.retry_first * 2.0 ** min(failures - 1, 60)
        return min(self._settings.retry_longest, doubled)

    def give_up(self) -> None:
        """Never try again."""
        self._permanent = True

    def hurry(self, at_most: float = 0.0) -> None:
        """Have the next attempt made within ``at_most`` seconds: somebody waits for it."""
        self._not_before = min(self._not_before, self._clock() + at_most)

    def reset(self) -> None:
        """Forget all failures: something was changed."""
        self._permanent = False
        self.succeeded()
