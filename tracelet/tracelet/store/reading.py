"""Asking the journal: the one room of the store that knows how journals are read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tracelet.journal import Columns, Damage, EventRecord, liveness, read_columns, read_events
from tracelet.journal.format import FOLDER, journal_folder, parse_file_name
from tracelet.journal.reading.source import Source
from tracelet.store.history import History
from tracelet.store.outcome import LastSeen

Files = list[list[int]]  # of each segment of a process: number, bytes, time of change (ns), inode

_TICK: Final = 2.0  # seconds: a folder changed so recently may change again without showing it


def folder_changed(run_dir: str | os.PathLike[str]) -> int:
    """Return when the journal's folder changed last (ns), 0 where that is too recent to tell."""
    changed = os.stat(os.path.join(run_dir, FOLDER)).st_mtime_ns
    return changed if time.time() - changed / 1e9 > _TICK else 0


def files_of(run_dir: Path) -> dict[str, Files]:
    """Return the segments of each process of a run."""
    found: dict[str, Files] = {}
    with os.scandir(journal_folder(run_dir)) as entries:
        for entry in entries:
            parsed = parse_file_name(entry.name)
            if parsed is not None:
                status = entry.stat()
                found.setdefault(parsed[0], []).append(
                    [parsed[1], status.st_size, status.st_mtime_ns, status.st_ino]
                )
    return {writer: sorted(found[writer]) for writer in sorted(found)}


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


def read_sign(run_dir: Path, writer: str) -> LastSeen:
    """Return the last sign of life of a process of a run."""
    source = Source(run_dir, writer)
    numbers = source.segments()
    header = source.header(numbers[-1]) if numbers else None
    at = abs(header.heartbeat) if header is not None else 0.0
    return LastSeen(liveness(run_dir, writer), at, source.refusal(numbers[-1]) if numbers else None)


def read_points(run_dir: Path, names: Iterable[str] | None, damage: Damage) -> dict[str, Columns]:
    """Return the points of a run by metric."""
    return read_columns(run_dir, names, damage=damage)
