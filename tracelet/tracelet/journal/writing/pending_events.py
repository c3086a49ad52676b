"""Events kept in memory: those that cannot be written now, and those that a new file needs again."""

from __future__ import annotations

from collections import deque
from operator import itemgetter

from tracelet.journal.writing.counters import drain
from tracelet.journal.writing.stream import Stream
from tracelet.journal.writing.unavailable import UnavailableError

_LASTING = (
    "run",
    "params",
    "tags",
    "fact",
)  # what a reader must know about a run, however late its file began
_KEPT = 1000  # the latest of each type
_WAITING = 5000  # the most that wait to be written

Event = tuple[bytes, float]  # encoded, and when it was recorded


class PendingEvents:
    """The events of one writer that have yet to be written, or may have to be written again."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=_WAITING)
        self._lasting: dict[str, deque[Event]] = {type: deque(maxlen=_KEPT) for type in _LASTING}

    def remember(self, type: str, event: Event) -> None:
        """Keep an event that is being recorded, if a new file would need it."""
        if type in self._lasting:
            self._lasting[type].append(event)

    def add(self, event: Event) -> None:
        """Add an event that could not be written."""
        self._waiting.append(event)

    def restore(self) -> None:
        """Put the events that a new file needs in front of the waiting ones."""
        lasting = [event for events in self._lasting.values() for event in list(events)]
        self._waiting.extendleft(sorted(lasting, key=itemgetter(1), reverse=True))

    def write(self, stream: Stream) -> None:
        """Write the waiting events.

        Raises:
            UnavailableError: they cannot be written now; the rest keeps waiting.
        """
        for event in drain(self._waiting):
            try:
                stream.write_event(*event)
            except UnavailableError:
                self._waiting.appendleft(event)
                raise
