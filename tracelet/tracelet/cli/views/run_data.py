"""Runs as the data that ``--json`` prints, and the selection of their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
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
        "dir": record.dir,
        "params": record.params,
        "tags": record.tags,
    }


def describe_run_fully(record: RunRecord, metrics: Iterable[MetricSummary]) -> dict[str, Any]:
    """Return everything known about a run except its points."""
    from tracelet.delivery import progress

    return {
        **describe_run(record),
        "metrics": [metric.as_dict() for metric in metrics],
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

    A metric whose name is the pattern, letter by letter, matches it too. Raises :class:`StoreError` for a pattern
    that matches nothing, naming the closest metric.
    """
    if not patterns:
        return list(names)
    known, chosen = set(names), set[str]()
    for pattern in patterns:
        matches = [pattern] if pattern in known else [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            hint = suggest(pattern, names) or ("" if names else "; the run has no metrics")
            raise StoreError(f"no metric {pattern!r}{hint}")
        chosen.update(matches)
    return [name for name in names if name in chosen]
