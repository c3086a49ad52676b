"""From records to the calls of a backend: routes, processors, and the hook that receives each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from tracelet.delivery.ledger.counting import is_counted
from tracelet.delivery.pipeline.event_calls import hook_for
from tracelet.delivery.pipeline.plan import DERIVED, Entry, Metadata, Plan, Step, metric_type, metrics_of
from tracelet.delivery.pipeline.processors import BackendProcessors
from tracelet.delivery.pipeline.reader import Batch
from tracelet.delivery.pipeline.routes import Routes
from tracelet.journal import EventRecord, PointRecord
from tracelet.journal.format import NO_STEP
from tracelet_hookspecs import MetricData, MetricType

#: Why a record is not delivered to a backend.
ROUTES, PROCESSORS, HOOKS, TYPES = "routes", "processors", "hooks", "types"

#: The name, type and source of a record.
_METRIC: Final = itemgetter(2, 3, 4)


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
            elif hook := hook_for(event, self._implements):
                plan.steps.append(Step(hook, batch.writer, [], event=event))
            begin = at + 1
        routed += self._add_points(plan, batch.writer, batch.records[begin:], excluded)
        plan.entries.append(Entry(batch.writer, batch.after, routed, excluded))

    def _add_points(self, plan: Plan, writer: str, records: list[Any], excluded: Counter[str]) -> int:
        """Add consecutive points, and return how many of the records will be delivered."""
        if not records:
            return 0
        metadata: Metadata = {}
        if self._processors.present():
            plan.is_processed = True
            points, routed = self._process(writer, records, excluded, metadata)
        else:
            points = self._select(records, excluded)
            routed = len(points)
        if points:
            plan.steps.append(Step(self._point_hook, writer, points, metadata=metadata))
        return routed

    def _select(self, records: list[PointRecord], excluded: Counter[str]) -> list[PointRecord]:
        """Return the points that the routes select."""
        keys = set(map(_METRIC, records))
        reasons = {key: reason for key in keys if (reason := self._verdict(*key))}
        if not reasons:
            return records
        excluded.update(reasons[key] for key in map(_METRIC, records) if key in reasons)
        return [record for record in records if _METRIC(record) not in reasons]

    def _process(
        self, writer: str, records: list[PointRecord], excluded: Counter[str], metadata: Metadata
    ) -> tuple[list[PointRecord], int]:
        """Return the points after processors and routes, and the number of records they come from."""
        points: list[PointRecord] = []
        routed = 0
        groups = self._processors.run(metrics_of(writer, records, {}))
        for record, group in zip(records, groups, strict=True):
            reasons = [self._verdict(metric.name, metric.type.value, metric.source) for metric in group]
            kept = [metric for metric, reason in zip(group, reasons, strict=True) if not reason]
            for at, metric in enumerate(kept):
                point = _point_of(metric, record.seq, record.index + at * DERIVED)
                points.append(point)
                if metric.metadata is not None:
                    metadata[point.seq, point.index] = metric.metadata
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
        plan.steps.append(Step(hook, writer, [], event=event))
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


def _point_of(metric: MetricData, seq: int, index: int) -> PointRecord:
    """Return a processor's result as a record at this place."""
    step = NO_STEP if metric.iteration is None else metric.iteration
    when = metric.timestamp or 0.0
    return PointRecord(seq, index, metric.name, metric.type.value, metric.source, step, when, metric.value)
