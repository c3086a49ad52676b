"""The calls of a backend for a batch of records, and the result of each call."""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tracelet.delivery.ledger.counting import is_counted
from tracelet.journal import Cursor, EventRecord, PointRecord
from tracelet.journal.format import NO_STEP
from tracelet_hookspecs import MetricData, MetricType, RecordId

#: A processor may derive several metrics from one. Their ids differ by multiples of this in the index.
DERIVED: Final = 1 << 16


#: What a processor has attached to points, by sequence number and index.
Metadata = dict[tuple[int, int], Any]

_TYPES: Final = {kind.value: kind for kind in MetricType}
_CUSTOM: Final = MetricType.CUSTOM


def metric_type(type: str) -> MetricType:
    """Return the type of this name. An unknown type, of a later version, becomes ``CUSTOM``."""
    return _TYPES.get(type, _CUSTOM)


def metrics_of(writer: str, points: Iterable[PointRecord], metadata: Metadata) -> list[MetricData]:
    """Return points as new objects, which a backend may change as it likes.

    This runs for each point of each call, so it has to be quick.
    """
    types = _TYPES
    metrics = [
        MetricData(
            name,
            value,
            types.get(kind, _CUSTOM),
            None if step == NO_STEP else step,
            when,
            source,
            None,
            (writer, seq, index),
        )
        for seq, index, name, kind, source, step, when, value in points
    ]
    if metadata:
        for metric in metrics:
            assert metric.id is not None
            metric.metadata = copy.deepcopy(metadata.get(metric.id[1:]))
    return metrics


def id_of_event(writer: str, event: EventRecord) -> RecordId:
    """Return the id of an event, which has a single value."""
    return writer, event.seq, 0


def id_of_record(writer: str, record: PointRecord | EventRecord) -> RecordId:
    """Return the id of any record."""
    if isinstance(record, EventRecord):
        return id_of_event(writer, record)
    return writer, record.seq, record.index


class Step:
    """One call of a backend, or one series of ``log_metric`` calls: points, or one event."""

    __slots__ = ("done", "event", "failures", "hook", "mark", "metadata", "points", "refusals", "writer")

    def __init__(
        self,
        hook: str,
        writer: str,
        points: list[PointRecord],
        *,
        event: EventRecord | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        self.hook = hook
        self.writer = writer
        self.points = points  # from the journal, or as processors have changed them
        self.event = event
        self.metadata = metadata or {}
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
        return ((self.writer, point.seq, point.index % DERIVED) for point in self.points[self.done :])

    def label(self) -> str:
        """Return a name for what comes next, for messages."""
        return self.hook if self.event is not None else repr(self.points[self.done].name)

    def split(self) -> list[Step]:
        """Return what is left as two steps. With ``log_metric``, the first one has the next point alone."""
        middle = self.done + (1 if self.hook == "log_metric" else (len(self) + 1) // 2)
        return [self._part(self.done, middle), self._part(middle, len(self.points))]

    def _part(self, start: int, stop: int) -> Step:
        part = Step(self.hook, self.writer, self.points[start:stop], metadata=self.metadata)
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

    def left(self) -> set[RecordId]:
        """Return the ids of the records that are not delivered yet."""
        return {record for step in [*self.steps, *self.aside] for record in step.records()}
