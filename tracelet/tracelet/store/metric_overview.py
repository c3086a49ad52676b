"""The metrics of a run with what is best of each."""

from __future__ import annotations

from typing import NamedTuple

from tracelet.store.accumulator import Summary
from tracelet.store.record import RunRecord


class MetricOverview(NamedTuple):
    """The statistics of a metric; ``goal`` is ``"min"``, ``"max"`` or ``None``, and ``best`` what the goal makes of them."""

    name: str
    summary: Summary
    goal: str | None
    best: float | None


def describe_metrics(record: RunRecord) -> list[MetricOverview]:
    """Return the metrics of a run, sorted by name."""
    found = []
    for name, summary in sorted(record.summary().items()):
        goal = None
        found.append(MetricOverview(name, summary, goal, None))
    return found
