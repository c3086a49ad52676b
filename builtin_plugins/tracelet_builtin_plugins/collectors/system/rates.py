"""Rates from counters: measured intervals, counters that wrap or are reset."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping


class Rates:
    """Turns counters into rates per second over measured monotonic intervals.

    A rate is absent at a counter's first sample, and if the counter has gone down (it wrapped or was
    reset). Within ``shortest`` seconds after a sample there are no rates either, since counters that tick
    every 10 ms would give noise; the next rate then covers the whole time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, shortest: float = 0.1) -> None:
        self._clock = clock
        self._shortest = shortest
        self._before: dict[Hashable, tuple[float, dict[str, float]]] = {}

    def per_second(self, key: Hashable, counters: Mapping[str, float]) -> dict[str, float]:
        """Return the rates since this key's last sample, and remember this one."""
        now = self._clock()
        then, old = self._before.get(key, (None, {}))
        if then is not None and now - then < self._shortest:
            return {}
        self._before[key] = (now, dict(counters))
        if then is None:
            return {}
        return {
            name: (value - old[name]) / (now - then)
            for name, value in counters.items()
            if name in old and value >= old[name]
        }

    def keep(self, keys: Iterable[Hashable]) -> None:
        """Forget every key but these."""
        self._before = {key: self._before[key] for key in keys if key in self._before}
