"""Runs as a table: a row per run, with its parameters, tags and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tracelet.errors import UsageError
from tracelet.messages import one_of
from tracelet.store.accumulator import STATISTICS, Summary
from tracelet.store.goals import best_value
from tracelet.store.record import RunRecord

_FIRST: Final = ("id", "name", "project", "group", "outcome", "started_at", "duration")


def runs_table(records: Sequence[RunRecord], statistic: str = "last") -> dict[str, Any]:
    """Return columns by name: the run's own, then ``params.X``, ``tags.X`` and ``metrics.X`` of all runs."""
    known = (*STATISTICS, "best")
    if statistic not in known:
        raise UsageError(f"statistic: expected {one_of(known)}, found {statistic!r}")
    table: dict[str, Any] = {name: [getattr(one, name) for one in records] for name in _FIRST}
    table |= _group_columns("params", [one.params for one in records])
    table |= _group_columns("tags", [one.tags for one in records])
    statistics = [
        {name: _statistic(one, name, summary, statistic) for name, summary in one.summary().items()}
        for one in records
    ]
    return table | _group_columns("metrics", statistics)


def _statistic(record: RunRecord, metric: str, summary: Summary, statistic: str) -> Any:
    if statistic == "best":
        return best_value(summary, record.goal(metric))
    return summary[statistic]  # type: ignore[literal-required]


def _group_columns(group: str, rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names: Iterable[str] = dict.fromkeys(name for row in rows for name in row)
    return {f"{group}.{name}": [row.get(name) for row in rows] for name in sorted(names)}
