"""What is to be done for a backend, step by step, and what became of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tracelet.journal import Cursor, EventRecord, PointRecord
from tracelet_hookspecs import MetricData

#: The events that are delivered, and the hook that takes each.
EVENT_HOOKS: Final = {"params": "log_params", "tags": "set_tags", "artifact": "log_artifact"}
#: Metrics that a processor makes of one carry its id, told apart by this much in the index.
DERIVED: Final = 1 << 16

Owner = tuple[str, int, int]  # a record: writer, sequence number, index of the value in it


class Step:
    """One call, or one run of calls, of a backend: points, or one event."""

    __slots__ = ("done", "failures", "hook", "kwargs", "mark", "owner", "points", "refusals")

    def __init__(
        self,
        hook: str,
        points: list[MetricData],
        *,
        kwargs: dict[str, Any] | None = None,
        owner: Owner | None = None,
    ) -> None:
        self.hook = hook
        self.points = points
        self.kwargs = kwargs
        self.owner = owner  # of an event; points carry theirs in their id
        self.done = 0  # points taken, where they are given one by one
        self.failures = 0
        self.refusals = 0
        self.mark: int | None = None  # how many calls had gone well when this was first refused

    def __len__(self) -> int:
        """Return how many points are left to give; an event counts as one."""
        return 1 if self.owner is not None else len(self.points) - self.done

    def owners(self) -> Iterable[Owner]:
        """Return the records that the step is still to deliver."""
        return [self.owner] if self.owner is not None else map(owner_of, self.points[self.done :])

    def split(self) -> list[Step]:
        """Return what is left as two steps; where points are given one by one, the next one stands alone."""
        middle = self.done + (1 if self.hook == "log_metric" else (len(self) + 1) // 2)
        return [self._part(self.done, middle), self._part(middle, len(self.points))]

    def _part(self, start: int, stop: int) -> Step:
        part = Step(self.hook, self.points[start:stop])
        part.failures, part.refusals, part.mark = self.failures, self.refusals, self.mark
        return part


def owner_of(point: MetricData) -> Owner:
    """Return the record that a point was made of."""
    assert point.id is not None
    return point.id[0], point.id[1], point.id[2] % DERIVED


class Entry(NamedTuple):
    """What is booked once a batch is dealt with: of ``routed`` records, those not dropped were delivered."""

    writer: str
    after: Cursor
    routed: int
    excluded: Counter[str]


class Plan:
    """What is to be done for one batch (or several, while one will not go through), and what became of it."""

    def __init__(self) -> None:
        self.steps: deque[Step] = deque()
        self.aside: list[Step] = []  # refused, and waiting for another one to be taken
        self.entries: list[Entry] = []
        self.dropped: dict[Owner, str] = {}  # with the reason
        self.went_well = 0  # calls
        self.is_processed = False  # whether its points went through processors

    def drop(self, step: Step, reason: str) -> None:
        """Give up what is left of a step."""
        self.dropped.update(dict.fromkeys(step.owners(), reason))

    def restore(self) -> None:
        """Put back what was set aside, in its place before the rest."""
        self.steps.extendleft(reversed(self.aside))
        self.aside = []

    def left(self) -> set[Owner]:
        """Return the records that are not delivered yet."""
        return {owner for step in [*self.steps, *self.aside] for owner in step.owners()}


def is_due(record: PointRecord | EventRecord) -> bool:
    """Say whether a record is of a kind that backends get."""
    return isinstance(record, PointRecord) or record.type in EVENT_HOOKS
