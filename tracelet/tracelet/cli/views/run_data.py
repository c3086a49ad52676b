"""Runs as the data that ``--json`` prints, and the selection of their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tracelet.cli.diagnostics import suggest
from tracelet.errors import StoreError

if TYPE_CHECKING:
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord


def describe_run(record: RunRecord) -> dict[str, Any]:
    """Return a run without its metrics. Times are seconds since the epoch."""
    return {
        "id": record.id,
        "name": record.name,
        "project": record.project,
        "outcome": record.outcome,
        "error": record.error,
        "problem": record.problem,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "duration": record.duration,
        "host": record.host,
        "dir": record.location,
        "params": record.params,
        "tags": record.tags,
        "group": record.group,
        "parent": record.parent,
        "job_type": record.job_type,
        "notes": record.notes,
        "archived": record.archived,
    }


def describe_run_fully(record: RunRecord, metrics: Iterable[MetricSummary]) -> dict[str, Any]:
    """Return everything known about a run except its points."""
    from tracelet.delivery import progress

    return {
        **describe_run(record),
        "metrics": [metric.as_dict() for metric in metrics],
        "children": record.children,
        "edits": record.edits,
        "artifacts": record.artifacts,
        "facts": record.facts,
        "processes": [
            {"id": one.id, "pid": one.pid, "host": one.host, "rank": one.rank, "child": one.is_child}
            for one in record.writers
        ],
        "plugins": record.plugins,
        "overhead": record.overhead,
        "dropped": record.dropped,
        "damage": record.damage,
        "delivery": record.status,
        "pending": {each.backend: each.pending for each in progress(record.dir)},
    }


def match_metrics(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match any pattern (``train/*``), or all names if there is no pattern.

    Raises :class:`StoreError` for a pattern that matches nothing, naming the closest metric.
    """
    from tracelet.store.metric_keys import select_metrics

    if not patterns:
        return list(names)
    for pattern in patterns:
        if not names or not select_metrics(pattern, names, missing_ok=True):
            hint = suggest(pattern, names) or ("" if names else "; the run has no metrics")
            raise StoreError(f"no metric {pattern!r}{hint}")
    chosen = set(select_metrics(patterns, names))
    return [name for name in names if name in chosen]
