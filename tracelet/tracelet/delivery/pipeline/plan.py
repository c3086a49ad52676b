"""The calls of a backend for a batch of records, and the result of each call."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from tracelet.delivery.ledger.counting import is_counted
from tracelet.journal import Cursor, EventRecord, PointColumns
from tracelet_hookspecs import MetricColumns, MetricKey, MetricType, RecordId

#: A processor may derive several metrics from one. Their ids differ by multiples of this in the index.
DERIVED: Final = 1 << 16

_TYPES: Final = {kind.value: kind for kind in MetricType}
_CUSTOM: Final = MetricType.CUSTOM


def metric_type(type: str) -> MetricType:
    """Return the type of this name. An unknown type, of a later version, becomes ``CUSTOM``."""
    return _TYPES.get(type, _CUSTOM)


def columns_of(writer: str, points: PointColumns) -> MetricColumns:
    """Return points of the journal as plugins see them, without copying."""
    keys = [MetricKey(name, metric_type(kind), source) for name, kind, source in points.keys]
    key_indices = points.key_indices
    distinct = {key: at for at, key in enumerate(dict.fromkeys(keys))}
    if len(distinct) < len(keys):  # types of a later version have all become CUSTOM
        key_indices = array("I", [distinct[keys[at]] for at in key_indices])
    return MetricColumns(
        writer,
        distinct,
        key_indices=key_indices,
        steps=points.steps,
        times=points.times,
        values=points.values,
        sequences=points.sequences,
        indexes=points.indexes,
    )


def id_of_event(writer: str, event: EventRecord) -> RecordId:
    """Return the id of an event, which has a single value."""
    return writer, event.seq, 0


_NONE: Final = MetricColumns(
    "", (), key_indices=b"", steps=b"", times=b"", values=b"", sequences=b"", indexes=b""
)


class Step:
    """One call of a backend, or one series of ``log_metric`` calls: points, or one event."""

    __slots__ = ("done", "event", "failures", "hook", "mark", "points", "refusals", "writer")

    def __init__(
        self,
        hook: str,
        writer: str,
        points: MetricColumns = _NONE,
        *,
        event: EventRecord | None = None,
    ) -> None:
        self.hook = hook
        self.writer = writer
        self.points = points  # from the journal, or as processors have changed them
        self.event = event
        self.done = 0  # points accepted so far, with log_metric
        self.failures = 0
        self.refusals = 0
        self.mark: int | None = None  # how many calls had succeeded when this one was first refused

    def __len__(self) -> int:
        """Return how many points are left to deliver; an event counts as one."""
        return 1 if self.event is not None else len(self.points) - self.done

    def records(self) -> Iterable[RecordId]:
        """Return the ids of the records that the step is still to deliver."""
        if self.event is not None:
            return [id_of_event(self.writer, self.event)]
        left = self.points[self.done :]
        return (
            (self.writer, seq, index % DERIVED)
            for seq, index in zip(left.sequences, left.indexes, strict=True)
        )

    def first_sequence(self) -> int:
        """Return the lowest sequence number of the records that the step is still to deliver."""
        return self.event.seq if self.event is not None else min(self.points.sequences[self.done :])

    def label(self) -> str:
        """Return a name for what comes next, for messages."""
        if self.event is not None:
            return self.hook
        return repr(self.points.keys[self.points.key_indices[self.done]].name)

    def split(self) -> list[Step]:
        """Return what is left as two steps. With ``log_metric``, the first one has the next point alone."""
        middle = self.done + (1 if self.hook == "log_metric" else (len(self) + 1) // 2)
        return [self._part(self.done, middle), self._part(middle, len(self.points))]

    def _part(self, start: int, stop: int) -> Step:
        part = Step(self.hook, self.writer, self.points[start:stop])
        part.failures, part.refusals, part.mark = self.failures, self.refusals, self.mark
        return part


class Entry(NamedTuple):
    """What to book after a batch: of ``routed`` records, all that were not dropped have been delivered."""

    writer: str
    after: Cursor
    routed: int
    excluded: Counter[str]


class Plan:
    """The calls for one batch (or for several, while one of them does not succeed), and their results."""

    def __init__(self) -> None:
        self.steps: deque[Step] = deque()
        self.aside: list[Step] = []  # refused; they wait until something else is accepted
        self.entries: list[Entry] = []
        self.dropped: dict[RecordId, str] = {}  # with the reason
        self.successes = 0  # calls
        self.is_processed = False  # whether processors have handled its points

    def drop(self, step: Step, reason: str) -> None:
        """Drop the rest of a step. The accounts do not contain events that only ``log_event`` receives."""
        if step.event is None or is_counted(step.event):
            self.dropped.update(dict.fromkeys(step.records(), reason))

    def restore(self) -> None:
        """Put back what was set aside, before the remaining steps."""
        self.steps.extendleft(reversed(self.aside))
        self.aside = []

    def first_left(self) -> int | None:
        """Return the lowest sequence number of the records that are not delivered yet."""
        return min((step.first_sequence() for step in [*self.steps, *self.aside] if len(step)), default=None)
