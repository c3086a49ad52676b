"""Runs as data, and the commands' way to find them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tracelet.cli.mistakes import closest
from tracelet.errors import StoreError

if TYPE_CHECKING:
    from tracelet.cli.views.trends import MetricSummary
    from tracelet.store import RunRecord


def described(record: RunRecord) -> dict[str, Any]:
    """Return a run without what it measured, as ``--json`` prints it. Times are seconds since the epoch."""
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


def fully_described(record: RunRecord, metrics: Iterable[MetricSummary]) -> dict[str, Any]:
    """Return all that is known of a run but its points."""
    from tracelet.delivery import progress

    return {
        **described(record),
        "metrics": [course.as_dict() for course in metrics],
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


def matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that any pattern (``train/*``) matches; all of them where there is no pattern.

    Raises :class:`StoreError` for a pattern that matches none, naming the closest metric.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            hint = closest(pattern, names) or ("" if names else "; the run has no metrics")
            raise StoreError(f"no metric {pattern!r}{hint}")
    if not patterns:
        return list(names)
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
