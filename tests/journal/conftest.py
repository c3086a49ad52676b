"""What the tests of the journal share: a run's folder, and everything that can be read from it."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest

from tracelet.journal import (
    Cursor,
    Damage,
    EventRecord,
    Follower,
    PointRecord,
    Record,
    Writer,
    read_columns,
    writers,
)

SAID_BY_ITSELF = frozenset({"writer", "outcome", "drops", "skip"})


class Journal:
    """The journal in one run's folder."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.open: list[Writer] = []

    def writer(self, facts: dict[str, Any] | None = None, **options: Any) -> Writer:
        writer = Writer(self.run_dir, facts or {}, **options)
        self.open.append(writer)
        return writer

    def follow(self, writer: str | None = None, cursor: Cursor | None = None) -> Follower:
        return Follower(self.run_dir, writer or writers(self.run_dir)[0], cursor)

    def records(self, writer: str | None = None, damage: Damage | None = None) -> list[Record]:
        """Read everything of one writer (the first, unless named), slice by slice."""
        follower, found = self.follow(writer), []
        while (records := follower.read(997)) or follower.is_waiting:
            found += records
        if damage is not None:
            damage.counts.update(follower.damage.counts)
        return found

    def points(self, writer: str | None = None) -> list[PointRecord]:
        return [record for record in self.records(writer) if isinstance(record, PointRecord)]

    def events(self, writer: str | None = None) -> list[EventRecord]:
        """The events that a program recorded itself."""
        found = [record for record in self.records(writer) if isinstance(record, EventRecord)]
        return [event for event in found if event.type not in SAID_BY_ITSELF]

    def values(self, name: str, **options: Any) -> list[float]:
        """All values of a metric, over all writers, as the quick way of reading gives them."""
        columns = read_columns(self.run_dir, **options).get(name)
        return [] if columns is None else [float(value) for value in columns.values]

    def files(self) -> list[Path]:
        return sorted((self.run_dir / "journal").iterdir())


@pytest.fixture
def journal(tmp_path: Path):
    journal = Journal(tmp_path / "run")
    yield journal
    for writer in journal.open:
        writer.close()


def same(left: float, right: float) -> bool:
    """Say whether two floats are the same to the bit (as far as NaN allows)."""
    return struct.pack("<d", left) == struct.pack("<d", right) or (math.isnan(left) and math.isnan(right))
