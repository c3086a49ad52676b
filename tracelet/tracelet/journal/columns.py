"""Reading many points at once, as columns."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.journal.follower import Follower
from tracelet.journal.lifetime import writer_facts
from tracelet.journal.records import Damage, EventRecord
from tracelet.journal.source import Source, writers


class Part(NamedTuple):
    """Which stretch of the columns came from which writer."""

    writer: str
    rank: int | None
    type: str
    source: str | None
    start: int
    stop: int


class Columns:
    """All points of one metric: ``steps``, ``times`` and ``values`` of equal length, and ``parts`` by writer."""

    def __init__(self) -> None:
        self.steps: Any = array("q")
        self.times: Any = array("d")
        self.values: Any = array("d")
        self.parts: list[Part] = []

    def __len__(self) -> int:
        return len(self.values)


def read_columns(
    run_dir: Path, names: Iterable[str] | None = None, *, damage: Damage | None = None
) -> dict[str, Columns]:
    """Return the points of a run by metric name, each writer's in the order of recording."""
    wanted = None if names is None else set(names)
    found: dict[str, Columns] = {}
    for writer in writers(run_dir):
        follower = Follower(run_dir, writer)
        rank = (writer_facts(Source(run_dir, writer)) or {}).get("rank")
        while records := follower.read(100_000):
            for record in records:
                if isinstance(record, EventRecord) or (wanted is not None and record.name not in wanted):
                    continue
                columns = found.setdefault(record.name, Columns())
                columns.steps.append(record.step)
                columns.times.append(record.time)
                columns.values.append(record.value)
        for columns in found.values():
            start = columns.parts[-1].stop if columns.parts else 0
            if len(columns) > start:
                columns.parts.append(Part(writer, rank, "scalar", None, start, len(columns)))
        if damage is not None:
            damage.counts.update(follower.damage.counts)
    return found


def read_events(run_dir: Path, *, damage: Damage | None = None) -> list[EventRecord]:
    """Return all events of a run, writer after writer."""
    events: list[EventRecord] = []
    for writer in writers(run_dir):
        follower = Follower(run_dir, writer)
        while records := follower.read(100_000):
            events.extend(record for record in records if isinstance(record, EventRecord))
        if damage is not None:
            damage.counts.update(follower.damage.counts)
    return events
