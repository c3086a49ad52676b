"""Outages: what is dropped, when to try again, and one warning for the user."""

from __future__ import annotations

import time
from collections import deque

from tracelet.journal.writing.counters import Tally, drain
from tracelet.journal.writing.unavailable import UnavailableError

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds between attempts


class OutageTracker:
    """Tracks a writer's outages. ``fault`` is the current reason why it cannot record, or None."""

    def __init__(self, fault: UnavailableError | None = None) -> None:
        self.fault = fault
        self._drops: dict[str, Tally] = {}
        self._recorded_drops: dict[str, int] = {}
        self._retry_at = 0.0
        self._wait = _FIRST_WAIT
        self._notices: deque[str] = deque()
        self._warned: set[str] = set()
        self._reasons: set[str] = set()  # of the current outage

    def begin(self, fault: UnavailableError, where: str) -> None:
        """Recording has stopped, or another attempt has failed."""
        self._retry_at = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        self.fault = fault
        self._reasons.add(fault.reason)
        self.warn_once(
            fault.reason,
            f"{where}: recording has stopped ({fault.reason}). The program continues, what it logs is counted as "
            "dropped, and recording resumes as soon as possible.",
        )

    def end(self) -> None:
        """Recording continues. If it stops again, that is reported again."""
        self.fault = None
        self._wait = _FIRST_WAIT
        self._warned -= self._reasons
        self._reasons = set()

    def retry_now(self) -> None:
        """Make the next attempt possible at once."""
        self._retry_at = 0.0

    def may_retry(self) -> bool:
        """Say whether it is time for another attempt."""
        return time.monotonic() >= self._retry_at

    def drop(self, reason: str, points: int) -> None:
        """Count points that were not recorded."""
        tally = self._drops.get(reason)
        if tally is None:
            tally = self._drops.setdefault(reason, Tally())
        tally.add(points)

    @property
    def drops(self) -> dict[str, int]:
        """How many points were dropped, by reason."""
        return {reason: tally.value for reason, tally in self._drops.copy().items()}

    def unrecorded_drops(self) -> dict[str, int] | None:
        """Return the drops if the journal does not have them yet, else None."""
        drops = self.drops
        return drops if drops != self._recorded_drops else None

    def drops_recorded(self, drops: dict[str, int]) -> None:
        """Store which drops the journal has."""
        self._recorded_drops = drops

    def warn_once(self, subject: str, text: str) -> None:
        """Leave a warning for :meth:`report`, once per subject until that is forgotten."""
        if subject not in self._warned:
            self._warned.add(subject)
            self.warn(text)

    def warn(self, text: str) -> None:
        """Leave a warning for :meth:`report`."""
        self._notices.append(text)

    def forget(self, subject: str) -> None:
        """Let the subject be reported again: the trouble was over in the meantime."""
        self._warned.discard(subject)

    def report(self) -> None:
        """Log the warnings. Never on a caller's thread: logging takes locks."""
        for text in drain(self._notices):
            from tracelet.logs import get_logger

            get_logger("tracelet.journal").warning(text)
