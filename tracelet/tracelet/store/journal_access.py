"""Reading a run's journal for the store: its files, its events, and the last sign of life of its processes."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import Final

from tracelet.journal import liveness, read_events_by_writer
from tracelet.journal.format import FOLDER, journal_folder, parse_file_name
from tracelet.journal.reading.source import Source
from tracelet.store.event_values import check_time
from tracelet.store.history import History
from tracelet.store.outcome import LastSeen

Files = list[list[int]]  # of each segment of a process: number, bytes, time of change (ns), inode

_TICK: Final = 2.0  # seconds: a folder that changed this recently may change again with the same time stamp


def folder_changed(run_dir: str | os.PathLike[str]) -> int:
    """Return when the journal's folder changed last (ns), or 0 if that is too recent to rely on."""
    status = os.lstat(
        f"{run_dir}{os.sep}{FOLDER}"
    )  # for each of many runs: os.path.join would take longer than this
    if not stat.S_ISDIR(status.st_mode):
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, f"the folder {FOLDER!r} is a symbolic link, which is not followed")
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    changed = status.st_mtime_ns
    return changed if time.time() - changed / 1e9 > _TICK else 0


def list_segments(run_dir: Path) -> dict[str, Files]:
    """Return the segments of each process of a run. Links, pipes and other special files are left out."""
    folder_changed(run_dir)
    found: dict[str, Files] = {}
    with os.scandir(journal_folder(run_dir)) as entries:
        for entry in entries:
            parsed = parse_file_name(entry.name)
            if parsed is not None and entry.is_file(follow_symlinks=False):
                status = entry.stat()
                found.setdefault(parsed[0], []).append(
                    [parsed[1], status.st_size, status.st_mtime_ns, status.st_ino]
                )
    return {writer: sorted(found[writer]) for writer in sorted(found)}


def read_history(run_dir: Path) -> History:
    """Return what all events of a run add up to."""
    history = History()
    for writer, events in read_events_by_writer(run_dir).items():
        for event in events:
            history.add_event(writer, event)
    return history


def read_last_seen(run_dir: Path, writer: str) -> LastSeen:
    """Return the last sign of life of a process of a run."""
    source = Source(run_dir, writer)
    numbers = source.segments()
    header = source.header(numbers[-1]) if numbers else None
    at = check_time(abs(header.heartbeat)) if header is not None else None
    return LastSeen(liveness(run_dir, writer), at or 0.0, source.refusal(numbers[-1]) if numbers else None)
