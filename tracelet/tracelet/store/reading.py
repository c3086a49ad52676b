"""Asking the journal: the one room of the store that knows how journals are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tracelet.journal import Columns, Damage, EventRecord, liveness, read_columns, read_events, writers
from tracelet.journal.source import Source
from tracelet.store.history import History
from tracelet.store.outcome import Sign


def read_said(run_dir: Path, damage: Damage | None = None) -> Iterator[tuple[str, EventRecord]]:
    """Yield all events of a run, each with the id of the process that recorded it."""
    writer, last = "", -1
    for event in read_events(run_dir, damage=damage):
        if event.type == "writer":
            writer = str(event.payload.get("id") or "")
        elif event.seq <= last:  # another process, of which the first event is damaged
            writer = ""
        last = event.seq
        yield writer, event


def read_history(run_dir: Path) -> History:
    """Return what all events of a run add up to."""
    history = History()
    for writer, event in read_said(run_dir):
        history.hear(writer, event)
    return history


def read_sign(run_dir: Path, writer: str) -> Sign:
    """Return the last sign of life of a process of a run."""
    source = Source(run_dir, writer)
    numbers = source.segments()
    header = source.header(numbers[-1]) if numbers else None
    return Sign(liveness(run_dir, writer), abs(header.heartbeat) if header is not None else 0.0)


def read_signs(run_dir: Path) -> dict[str, Sign]:
    """Return the last sign of life of each process of a run."""
    return {writer: read_sign(run_dir, writer) for writer in writers(run_dir)}


def read_points(run_dir: Path, names: Iterable[str] | None, damage: Damage) -> dict[str, Columns]:
    """Return the points of a run by metric."""
    return read_columns(run_dir, names, damage=damage)
