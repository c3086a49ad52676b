"""What a backend has to be called with for a batch of records, and what became of each call."""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tracelet.journal import Cursor, EventRecord, PointRecord
from tracelet_hookspecs import MetricData, MetricType, RecordId

#: A processor may make several metrics of one. Their ids differ by multiples of this in the index.
DERIVED: Final = 1 << 16


class Point(NamedTuple):
    """The fields of a :class:`MetricData`, which is created again for each call of a backend."""

    name: str
    value: Any
    type: MetricType
    iteration: int | None
    timestamp: float | None
    source: str | None
    metadata: Any
    id: RecordId


def metrics_of(points: Iterable[Point]) -> list[MetricData]:
    """Return points as the objects that a backend may change as it likes."""
    metrics = [MetricData(*point) for point in points]
    for metric in metrics:
        if metric.metadata is not None:
            metric.metadata = copy.deepcopy(metric.metadata)
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

    __slots__ = ("done", "event", "failures", "hook", "mark", "points", "refusals", "writer")

    def __init__(
        self,
        hook: str,
        points: list[Point],
        *,
        writer: str = "",
        event: EventRecord | None = None,
    ) -> None:
        self.hook = hook
        self.points = points
        self.writer = writer  # of the event
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
        return map(record_of, self.points[self.done :])

    def label(self) -> str:
        """Return a name for what comes next, for messages."""
        return self.hook if self.event is not None else repr(self.points[self.done].name)

    def split(self) -> list[Step]:
        """Return what is left as two steps. With ``log_metric``, the first one has the next point alone."""
        middle = self.done + (1 if self.hook == "log_metric" else (len(self) + 1) // 2)
        return [self._part(self.done, middle), self._part(middle, len(self.points))]

    def _part(self, start: int, stop: int) -> Step:
        part = Step(self.hook, self.points[start:stop])
        part.failures, part.refusals, part.mark = self.failures, self.refusals, self.mark
        return part


def record_of(point: Point) -> RecordId:
    """Return the id of the record that a point was made from."""
    writer, sequence, index = point.id
    return writer, sequence, index % DERIVED


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
        """Give up what is left of a step."""
        self.dropped.update(dict.fromkeys(step.records(), reason))

    def restore(self) -> None:
        """Put back what was set aside, before the remaining steps."""
        self.steps.extendleft(reversed(self.aside))
        self.aside = []

    def left(self) -> set[RecordId]:
        """Return the ids of the records that are not delivered yet."""
        return {record for step in [*self.steps, *self.aside] for record in step.records()}
