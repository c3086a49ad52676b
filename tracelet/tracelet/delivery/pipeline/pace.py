"""How often a feed looks at the journal: often enough to be current, seldom enough not to be felt."""

from __future__ import annotations

from typing import Final

from tracelet.delivery.limits import Settings

_DUTY: Final = 20  # with nothing left to do, rest this many times as long as the work took
_LOOKING: Final = 50  # after a look that found nothing new, rest at least this many times as long as it took
_SLOWEST: Final = 16


class Pace:
    """Says how long to rest once a backend has everything.

    After work, in proportion to it, so that a feed that keeps up is at work for a twentieth of the time at most;
    after nothing, longer each time.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worked = 0.0
        self._idle = settings.poll_shortest
        self._look = 0.0
        self._slowness = 1

    def worked(self, seconds: float) -> None:
        """Note what was done since the last rest."""
        self._worked += seconds
        self._idle = self._settings.poll_shortest

    def looked(self, seconds: float) -> None:
        """Note how long a look took that found nothing. (A run of a thousand processes has as many files.)"""
        self._look = seconds

    def rest(self) -> float:
        """Return the seconds to rest now."""
        if self._worked:
            pause = max(self._settings.poll_shortest, _DUTY * self._worked)
            self._worked = 0.0
        else:
            pause = self._idle
            self._idle *= 1.5
        return max(min(pause, self._settings.poll_longest), _LOOKING * self._look) * self._slowness

    def slow_down(self) -> bool:
        """Rest twice as long from now on. ``False`` where it is slow enough already."""
        if self._slowness >= _SLOWEST:
            return False
        self._slowness *= 2
        return True
