"""The metrics of a run with what is best of each."""

from __future__ import annotations

from typing import NamedTuple

from tracelet.store.accumulator import Summary
from tracelet.store.goals import best_value
from tracelet.store.record import RunRecord


class MetricOverview(NamedTuple):
    """The statistics of a metric; ``goal`` says which value counts, ``best`` is that value."""

    name: str
    summary: Summary
    goal: str | None
    best: float | None


def describe_metrics(record: RunRecord) -> list[MetricOverview]:
    """Return the metrics of a run, sorted by name."""
    found = []
    for name, summary in sorted(record.summary().items()):
        goal = record.goal(name)
        found.append(MetricOverview(name, summary, goal, best_value(summary, goal)))
    return found
