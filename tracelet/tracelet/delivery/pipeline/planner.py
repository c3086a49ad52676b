"""From records to what a backend is called with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tracelet.delivery.pipeline.plan import DERIVED, EVENT_HOOKS, Entry, Plan, Step, is_due
from tracelet.delivery.pipeline.processors import Processors, copy_of
from tracelet.delivery.pipeline.reader import Batch
from tracelet.delivery.pipeline.routes import Routes
from tracelet.journal import EventRecord, PointRecord
from tracelet.journal.format import NO_STEP
from tracelet_hookspecs import MetricData, MetricType

#: Why a record is not meant for a backend.
ROUTES, PROCESSORS, HOOKS, TYPES = "routes", "processors", "hooks", "types"

_TYPES: Final = {kind.value: kind for kind in MetricType}
_CUSTOM: Final = MetricType.CUSTOM


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
        routed = begin = 0
        for at, event in batch.events():
            routed += self._add_points(plan, batch.writer, batch.records[begin:at], excluded)
            if event.type in EVENT_HOOKS:
                routed += self._add_event(plan, batch.writer, event, excluded)
            begin = at + 1
        routed += self._add_points(plan, batch.writer, batch.records[begin:], excluded)
        plan.entries.append(Entry(batch.writer, batch.after, routed, excluded))

    def _add_points(self, plan: Plan, writer: str, records: list[Any], excluded: Counter[str]) -> int:
        """Add points in a row, and return how many of the records are on their way."""
        if not records:
            return 0
        if self._processors.present():
            plan.is_processed = True
            points, routed = self._processed(writer, records, excluded)
        else:
            points = self._straight(writer, records, excluded)
            routed = len(points)
        if points:
            plan.steps.append(Step(self._point_hook, points))
        return routed

    def _straight(self, writer: str, records: list[PointRecord], excluded: Counter[str]) -> list[MetricData]:
        """Return points as they are. (This is gone through for each of them: it has to be quick.)"""
        points: list[MetricData] = []
        append, verdicts, judge, types = points.append, self._verdicts, self._against, _TYPES
        for seq, index, name, kind, source, step, when, value in records:
            key = (name, kind, source)
            reason = verdicts[key] if key in verdicts else judge(*key)
            if reason:
                excluded[reason] += 1
                continue
            append(
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
            )
        return points

    def _processed(
        self, writer: str, records: list[PointRecord], excluded: Counter[str]
    ) -> tuple[list[MetricData], int]:
        points: list[MetricData] = []
        routed = 0
        groups = self._processors.run([_metric_of(writer, record) for record in records])
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


def metric_type(type: str) -> MetricType:
    """Return the type of that name; a later version's is ``CUSTOM`` to this one."""
    return _TYPES.get(type, _CUSTOM)


def _metric_of(writer: str, record: PointRecord) -> MetricData:
    """Return a record as processors get it."""
    step = None if record.step == NO_STEP else record.step
    identity = (writer, record.seq, record.index)
    kind = metric_type(record.type)
    return MetricData(record.name, record.value, kind, step, record.time, record.source, None, identity)
