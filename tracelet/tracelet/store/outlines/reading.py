"""What outlines need of a store: which runs are worth one, and a run whose events are known from its outline."""

from __future__ import annotations

from tracelet.store.history import History
from tracelet.store.record import RunRecord
from tracelet.store.store import Store


def largest_runs(store: Store, points: int, limit: int) -> list[str]:
    """Return the newest runs that have ended and have so many points, the newest first."""
    sql = (
        "SELECT runs.id FROM runs JOIN metrics ON metrics.run = runs.number WHERE runs.outcome != 'running'"
        " GROUP BY runs.number HAVING TOTAL(metrics.count) >= ? ORDER BY runs.started DESC LIMIT ?"
    )
    return store._index.select_column(sql, (points, limit))


def run_ids(store: Store) -> set[str]:
    """Return the ids of all runs."""
    return set(store._location.run_ids())


def read_outlined(store: Store, id: str, history: History) -> RunRecord:
    """Return a run whose events add up to ``history``."""
    return store._read(store._location.runs / id, history)
