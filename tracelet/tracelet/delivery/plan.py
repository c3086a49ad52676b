"""From records to what a backend is called with."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.delivery.processors import Processors, copy_of
from tracelet.delivery.reading import Batch
from tracelet.delivery.routes import Routes
from tracelet.journal import Cursor, EventRecord, PointRecord
from tracelet.journal.format import NO_STEP
from tracelet_hookspecs import MetricData, MetricType

#: The events that are delivered, and the hook that takes each.
EVENT_HOOKS: Final = {"params": "log_params", "tags": "set_tags", "artifact": "log_artifact"}
#: Why a record is not meant for a backend.
ROUTES, PROCESSORS, HOOKS, TYPES = "routes", "processors", "hooks", "types"

_TYPES: Final = {kind.value: kind for kind in MetricType}
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


class Planner:
    """Makes plans for one backend."""

    def __init__(
        self,
        run_dir: Path,
        routes: Routes,
        processors: Processors,
        implements: Callable[[str], bool],
        handles: Callable[[MetricType], bool],
    ) -> None:
        """Make a planner.

        Args:
            run_dir: the run's folder, which the paths of artifacts are relative to.
            routes: what goes to the backend.
            processors: what changes metrics on their way.
            implements: whether the backend has a hook.
            handles: whether it takes a type of metrics.
        """
        self._run_dir = run_dir
        self._routes = routes
        self._processors = processors
        self._implements = implements
        self._handles = handles
        self._point_hook = next((hook for hook in ("log_metrics", "log_metric") if implements(hook)), "")
        self._verdicts: dict[tuple[str, str, str | None], str] = {}

    def extend(self, plan: Plan, batch: Batch) -> None:
        """Add what is to be done for a batch."""
        excluded: Counter[str] = Counter()
        if not self._routes.rank(batch.rank):
            excluded[ROUTES] = sum(map(is_due, batch.records))
            plan.entries.append(Entry(batch.writer, batch.after, 0, +excluded))
            return
        routed = 0
        points: list[PointRecord] = []
        for record in batch.records:
            if isinstance(record, PointRecord):
                points.append(record)
            elif record.type in EVENT_HOOKS:
                routed += self._add_points(plan, batch.writer, points, excluded)
                points = []
                routed += self._add_event(plan, batch.writer, record, excluded)
        routed += self._add_points(plan, batch.writer, points, excluded)
        plan.entries.append(Entry(batch.writer, batch.after, routed, excluded))

    def _add_points(self, plan: Plan, writer: str, records: list[PointRecord], excluded: Counter[str]) -> int:
        """Add points in a row, and return how many of the records are on their way."""
        if not records:
            return 0
        if self._processors.present():
            plan.is_processed = True
            points, routed = self._processed(writer, records, excluded)
        else:
            points, routed = self._straight(writer, records, excluded)
        if points:
            plan.steps.append(Step(self._point_hook, points))
        return routed

    def _straight(
        self, writer: str, records: list[PointRecord], excluded: Counter[str]
    ) -> tuple[list[MetricData], int]:
        points: list[MetricData] = []
        for record in records:
            reason = self._against(record.name, record.type, record.source)
            if reason:
                excluded[reason] += 1
            else:
                points.append(metric_of(writer, record))
        return points, len(points)

    def _processed(
        self, writer: str, records: list[PointRecord], excluded: Counter[str]
    ) -> tuple[list[MetricData], int]:
        points: list[MetricData] = []
        routed = 0
        groups = self._processors.run([metric_of(writer, record) for record in records])
        for record, group in zip(records, groups, strict=True):
            reasons = [self._against(point.name, point.type.value, point.source) for point in group]
            kept = [point for point, reason in zip(group, reasons, strict=True) if not reason]
            for at, point in enumerate(kept):
                point = copy_of(point) if at else point  # one object may stand there twice
                point.id = (writer, record.seq, record.index + at * DERIVED)
                points.append(point)
            routed += bool(kept)
            if not kept:
                excluded[reasons[0] if reasons else PROCESSORS] += 1
        return points, routed

    def _against(self, name: str, type: str, source: str | None) -> str:
        """Return why a metric is not for this backend, nothing where it is."""
        key = (name, type, source)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._judge(*key)
        return verdict

    def _judge(self, name: str, type: str, source: str | None, hook: str | None = None) -> str:
        if not (self._point_hook if hook is None else self._implements(hook)):
            return HOOKS
        if not self._routes.metric(name, type, source):
            return ROUTES
        return "" if self._handles(metric_type(type)) else TYPES

    def _add_event(self, plan: Plan, writer: str, event: EventRecord, excluded: Counter[str]) -> int:
        reason = self._against_event(event)
        if reason:
            excluded[reason] += 1
            return 0
        hook = EVENT_HOOKS[event.type]
        plan.steps.append(Step(hook, [], kwargs=self._arguments(event), owner=(writer, event.seq, 0)))
        return 1

    def _against_event(self, event: EventRecord) -> str:
        if not self._implements(EVENT_HOOKS[event.type]):
            return HOOKS
        if event.type == "tags":
            return ""
        if media := event.payload.get("media"):
            name = str(event.payload.get("name") or event.payload["path"])
            return self._judge(name, media, event.payload.get("source"), "log_artifact")
        kind = MetricType.PARAMETER if event.type == "params" else MetricType.ARTIFACT
        if not self._routes.kind(kind.value):
            return ROUTES
        return "" if self._handles(kind) else TYPES

    def _arguments(self, event: EventRecord) -> dict[str, Any]:
        if event.type == "artifact":
            path = str(self._run_dir / event.payload["path"])
            return {"local_path": path, "artifact_path": event.payload.get("artifact_path")}
        return {event.type: event.payload[event.type]}


def is_due(record: PointRecord | EventRecord) -> bool:
    """Say whether a record is of a kind that backends get."""
    return isinstance(record, PointRecord) or record.type in EVENT_HOOKS


def metric_type(type: str) -> MetricType:
    """Return the type of that name; a later version's is ``CUSTOM`` to this one."""
    return _TYPES.get(type, MetricType.CUSTOM)


def metric_of(writer: str, record: PointRecord) -> MetricData:
    """Return a record as backends get it."""
    step = None if record.step == NO_STEP else record.step
    identity = (writer, record.seq, record.index)
    kind = _TYPES.get(record.type, MetricType.CUSTOM)
    return MetricData(record.name, record.value, kind, step, record.time, record.source, None, identity)
