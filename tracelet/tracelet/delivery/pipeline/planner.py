"""From records to the calls of a backend: routes, processors, and the hook that receives each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from tracelet.delivery.ledger.counting import is_counted
from tracelet.delivery.pipeline.event_calls import hook_for
from tracelet.delivery.pipeline.plan import DERIVED, Entry, Plan, Point, Step, id_of_record
from tracelet.delivery.pipeline.processors import BackendProcessors
from tracelet.delivery.pipeline.reader import Batch
from tracelet.delivery.pipeline.routes import Routes
from tracelet.journal import EventRecord, PointRecord
from tracelet.journal.format import NO_STEP
from tracelet_hookspecs import MetricData, MetricType

#: Why a record is not delivered to a backend.
ROUTES, PROCESSORS, HOOKS, TYPES = "routes", "processors", "hooks", "types"

_TYPES: Final = {kind.value: kind for kind in MetricType}
_CUSTOM: Final = MetricType.CUSTOM
_point: Final[Callable[[Iterable[Any]], Point]] = partial(
    tuple.__new__, Point
)  # quick: no check of the length


class Planner:
    """Makes plans for one backend."""

    def __init__(
        self,
        routes: Routes,
        processors: BackendProcessors,
        implements: Callable[[str], bool],
        handles: Callable[[MetricType], bool],
    ) -> None:
        """Make a planner.

        Args:
            routes: selects what goes to the backend.
            processors: change metrics on their way.
            implements: says whether the backend has a hook.
            handles: says whether the backend accepts a type of metric.
        """
        self._routes = routes
        self._processors = processors
        self._implements = implements
        self._handles = handles
        self._point_hook = next((hook for hook in ("log_metrics", "log_metric") if implements(hook)), "")
        self._verdicts: dict[tuple[str, str, str | None], str] = {}

    def extend(self, plan: Plan, batch: Batch) -> None:
        """Add the calls for a batch."""
        excluded: Counter[str] = Counter()
        if not self._routes.rank(batch.rank):
            excluded[ROUTES] = sum(map(is_counted, batch.records))
            plan.entries.append(Entry(batch.writer, batch.after, 0, +excluded))
            return
        routed = begin = 0
        for at, event in batch.events():
            routed += self._add_points(plan, batch.writer, batch.records[begin:at], excluded)
            if is_counted(event):
                routed += self._add_event(plan, batch.writer, event, excluded)
            begin = at + 1
        routed += self._add_points(plan, batch.writer, batch.records[begin:], excluded)
        plan.entries.append(Entry(batch.writer, batch.after, routed, excluded))

    def _add_points(self, plan: Plan, writer: str, records: list[Any], excluded: Counter[str]) -> int:
        """Add consecutive points, and return how many of the records will be delivered."""
        if not records:
            return 0
        if self._processors.present():
            plan.is_processed = True
            points, routed = self._process(writer, records, excluded)
        else:
            points = self._convert(writer, records, excluded)
            routed = len(points)
        if points:
            plan.steps.append(Step(self._point_hook, points))
        return routed

    def _convert(self, writer: str, records: list[PointRecord], excluded: Counter[str]) -> list[Point]:
        """Return the points that the routes select. This runs for each point, so it has to be quick."""
        rows: list[tuple[Any, ...]] = []
        append, verdicts, judge, types = rows.append, self._verdicts, self._verdict, _TYPES
        for seq, index, name, kind, source, step, when, value in records:
            key = (name, kind, source)
            reason = verdicts[key] if key in verdicts else judge(*key)
            if reason:
                excluded[reason] += 1
                continue
            iteration = None if step == NO_STEP else step
            append(
                (name, value, types.get(kind, _CUSTOM), iteration, when, source, None, (writer, seq, index))
            )
        return list(map(_point, rows))

    def _process(
        self, writer: str, records: list[PointRecord], excluded: Counter[str]
    ) -> tuple[list[Point], int]:
        points: list[Point] = []
        routed = 0
        groups = self._processors.run([_metric_of(writer, record) for record in records])
        for record, group in zip(records, groups, strict=True):
            reasons = [self._verdict(metric.name, metric.type.value, metric.source) for metric in group]
            kept = [metric for metric, reason in zip(group, reasons, strict=True) if not reason]
            writer_id, seq, index = id_of_record(writer, record)
            points += (
                _point_of(metric, (writer_id, seq, index + at * DERIVED)) for at, metric in enumerate(kept)
            )
            routed += bool(kept)
            if not kept:
                excluded[reasons[0] if reasons else PROCESSORS] += 1
        return points, routed

    def _verdict(self, name: str, type: str, source: str | None) -> str:
        """Return why a metric is not delivered to this backend, "" if it is."""
        key = (name, type, source)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._judge(*key, self._point_hook)
        return verdict

    def _judge(self, name: str, type: str, source: str | None, hook: str) -> str:
        if not hook:
            return HOOKS
        if not self._routes.metric(name, type, source):
            return ROUTES
        return "" if self._handles(metric_type(type)) else TYPES

    def _add_event(self, plan: Plan, writer: str, event: EventRecord, excluded: Counter[str]) -> int:
        hook = hook_for(event, self._implements)
        if reason := self._verdict_on_event(event, hook):
            excluded[reason] += 1
            return 0
        plan.steps.append(Step(hook, [], writer=writer, event=event))
        return 1

    def _verdict_on_event(self, event: EventRecord, hook: str) -> str:
        if not hook:
            return HOOKS
        if event.type not in ("params", "artifact"):
            return ""
        payload = event.payload
        if event.type == "artifact" and (media := payload.get("media")):
            name, source = payload.get("name") or payload.get("path"), payload.get("source")
            return self._judge(str(name), str(media), source if isinstance(source, str) else None, hook)
        kind = MetricType.PARAMETER if event.type == "params" else MetricType.ARTIFACT
        if not self._routes.kind(kind.value):
            return ROUTES
        return "" if self._handles(kind) else TYPES


def metric_type(type: str) -> MetricType:
    """Return the type of this name. One that only a later version knows is ``CUSTOM``."""
    return _TYPES.get(type, _CUSTOM)


def _metric_of(writer: str, record: PointRecord) -> MetricData:
    """Return a record as processors receive it."""
    step = None if record.step == NO_STEP else record.step
    kind = metric_type(record.type)
    identity = id_of_record(writer, record)
    return MetricData(record.name, record.value, kind, step, record.time, record.source, None, identity)


def _point_of(metric: MetricData, identity: tuple[str, int, int]) -> Point:
    """Return what a processor made, as a point with this id."""
    return Point(
        *(metric.name, metric.value, metric.type, metric.iteration, metric.timestamp, metric.source),
        *(metric.metadata, identity),
    )
