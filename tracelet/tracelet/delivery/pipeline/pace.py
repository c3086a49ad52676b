"""How often a worker reads the journal: often enough to be current, rarely enough not to slow the program."""

from __future__ import annotations

from typing import Final

from tracelet.delivery.limits import Settings

_DUTY: Final = 20  # with nothing left to do, wait this many times as long as the work took
_LOOKING: Final = 50  # after a read that found nothing new, wait at least this many times as long as it took
_SLOWEST: Final = 16


class Pace:
    """Decides how long a worker waits once its backend has everything.

    After work, the wait is proportional to it, so that a worker that keeps up is busy for a twentieth of the time at
    most. After a read that found nothing, each wait is longer than the one before.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worked = 0.0
        self._idle = settings.poll_shortest
        self._look = 0.0
        self._slowness = 1

    def worked(self, seconds: float) -> None:
        """Record the time spent on work since the last wait."""
        self._worked += seconds
        self._idle = self._settings.poll_shortest

    def looked(self, seconds: float) -> None:
        """Record how long a read took that found nothing. (A run of a thousand processes has as many files.)"""
        self._look = seconds

    def rest(self) -> float:
        """Return the seconds to wait now."""
        if self._worked:
            pause = max(self._settings.poll_shortest, _DUTY * self._worked)
            self._worked = 0.0
        else:
            pause = self._idle
            self._idle *= 1.5
        return max(min(pause, self._settings.poll_longest), _LOOKING * self._look) * self._slowness

    def slow_down(self) -> bool:
        """Wait twice as long from now on. Return ``False`` if the limit has been reached."""
        if self._slowness >= _SLOWEST:
            return False
        self._slowness *= 2
        return True
