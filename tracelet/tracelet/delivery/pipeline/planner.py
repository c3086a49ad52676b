"""From records to the calls of a backend: routes, processors, and the hook that receives each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from tracelet.delivery.ledger.counting import is_counted
from tracelet.delivery.pipeline.event_calls import hook_for
from tracelet.delivery.pipeline.plan import DERIVED, Entry, Plan, Step, columns_of, metric_type
from tracelet.delivery.pipeline.processors import BackendProcessors
from tracelet.delivery.pipeline.reader import Batch
from tracelet.delivery.pipeline.routes import Routes
from tracelet.journal import EventRecord, PointColumns
from tracelet_hookspecs import MetricColumns, MetricData, MetricType

#: Why a record is not delivered to a backend.
ROUTES, PROCESSORS, HOOKS, TYPES = "routes", "processors", "hooks", "types"

#: The hooks that receive points; a backend's first one is called.
POINT_HOOKS: Final = ("log_columns", "log_metrics", "log_metric")


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
        self._point_hook = next((hook for hook in POINT_HOOKS if implements(hook)), "")
        self._verdicts: dict[tuple[str, str, str | None], str] = {}

    def extend(self, plan: Plan, batch: Batch) -> None:
        """Add the calls for a batch."""
        excluded: Counter[str] = Counter()
        if not self._routes.rank(batch.rank):
            excluded[ROUTES] = sum(map(_counted, batch.chunks))
            plan.entries.append(Entry(batch.writer, batch.after, 0, +excluded))
            return
        routed = 0
        for chunk in batch.chunks:
            if not isinstance(chunk, EventRecord):
                routed += self._add_points(plan, batch.writer, chunk, excluded)
            elif is_counted(chunk):
                routed += self._add_event(plan, batch.writer, chunk, excluded)
            elif hook := hook_for(chunk, self._implements):
                plan.steps.append(Step(hook, batch.writer, event=chunk))
        plan.entries.append(Entry(batch.writer, batch.after, routed, excluded))

    def _add_points(self, plan: Plan, writer: str, chunk: PointColumns, excluded: Counter[str]) -> int:
        """Add consecutive points, and return how many of the records will be delivered."""
        if self._processors.present():
            plan.is_processed = True
            points, routed = self._process(columns_of(writer, chunk), excluded)
        else:
            points = columns_of(writer, self._select(chunk, excluded))
            routed = len(points)
        if points:
            plan.steps.append(Step(self._point_hook, writer, points))
        return routed

    def _select(self, chunk: PointColumns, excluded: Counter[str]) -> PointColumns:
        """Return the points that the routes select."""
        reasons = [self._verdict(*key) for key in chunk.keys]
        if not any(reasons):
            return chunk
        verdicts = list(map(reasons.__getitem__, chunk.key_indices))
        excluded.update(filter(None, verdicts))
        return chunk.where([not verdict for verdict in verdicts])

    def _process(self, columns: MetricColumns, excluded: Counter[str]) -> tuple[MetricColumns, int]:
        """Return the points after processors and routes, and the number of records they come from."""
        points: list[MetricData] = []
        routed = 0
        groups = self._processors.run(columns.points())
        for id, group in zip(columns.ids(), groups, strict=True):
            reasons = [self._verdict(metric.name, metric.type.value, metric.source) for metric in group]
            kept = [metric for metric, reason in zip(group, reasons, strict=True) if not reason]
            for at, metric in enumerate(kept):
                metric.id = (id[0], id[1], id[2] + at * DERIVED)
            points += kept
            routed += bool(kept)
            if not kept:
                excluded[reasons[0] if reasons else PROCESSORS] += 1
        return MetricColumns.from_points(points), routed

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
        plan.steps.append(Step(hook, writer, event=event))
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


def _counted(chunk: PointColumns | EventRecord) -> int:
    """Return how many records of a chunk backends receive."""
    return int(is_counted(chunk)) if isinstance(chunk, EventRecord) else len(chunk)
