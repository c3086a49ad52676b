"""Compacting what a run's processes have finished writing: smaller files with the very same records."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from tracelet.journal.compacted import compacted
from tracelet.journal.format import COMPACTED, HEADER, SEGMENT_SHIFT, SLOT, SUFFIX, SegmentInfo, file_name
from tracelet.journal.lifetime import liveness, runs_here
from tracelet.journal.segments import Handle
from tracelet.journal.source import Source, segments

_PART = ".part"
_ABANDONED = 3600.0  # seconds after which a file that was not finished is taken away
_SURELY_DEAD = 86400.0  # seconds without a heartbeat of a process on another host


class Compaction(NamedTuple):
    """What compacting did. ``left``: writers that are still running, or may be."""

    segments: int
    before: int  # bytes
    after: int
    left: list[str]


def compact(run_dir: Path, *, numpy: bool | None = None) -> Compaction:
    """Compact the segments of all processes of a run that have ended.

    Sequence numbers stay, so cursors stay valid; a reader that has a file open may read on. A crash at any
    moment leaves all records in place; compacting again does what is left to do.

    Raises:
        OSError: there is no room for the new file, or the folder cannot be written.
    """
    done = Compaction(0, 0, 0, [])
    _sweep(Source(run_dir, "").folder)
    for writer, numbers in segments(run_dir).items():
        source = Source(run_dir, writer)
        if not _is_over(run_dir, source, numbers[-1]):
            done.left.append(writer)
            continue
        for segment in numbers:
            before, after = _compact_segment(source, segment, is_last=segment == numbers[-1], numpy=numpy)
            done = done._replace(
                segments=done.segments + (before > 0), before=done.before + before, after=done.after + after
            )
    return done


def _is_over(run_dir: Path, source: Source, last: int) -> bool:
    """Say whether a writer will certainly not write any more."""
    state = liveness(run_dir, source.writer)
    if state != "killed" or runs_here(source):
        return state != "running"
    header = source.header(last)
    return header is not None and time.time() - header.heartbeat > _SURELY_DEAD


def _compact_segment(source: Source, segment: int, *, is_last: bool, numpy: bool | None) -> tuple[int, int]:
    """Put a compacted file in a plain one's place; return their sizes, 0 where there is nothing to do."""
    plain = source.folder / file_name(source.writer, segment, SUFFIX)
    small = source.folder / file_name(source.writer, segment, COMPACTED)
    try:
        data = plain.read_bytes()
    except FileNotFoundError:
        return 0, 0
    if not small.exists():
        slots = data[HEADER:] + bytes((HEADER - len(data)) % SLOT if len(data) > HEADER else 0)
        if is_last:
            slots = slots.rstrip(b"\0") + bytes(-len(slots.rstrip(b"\0")) % SLOT)  # reserved and never used
        _write(small, slots, source.header(segment) or _header_by_name(source.writer, segment), numpy)
    plain.unlink()
    _sync(source.folder)
    return len(data), small.stat().st_size


def _header_by_name(writer: str, segment: int) -> SegmentInfo:
    """Return a header for a segment whose own is damaged."""
    return SegmentInfo(writer, segment, segment << SEGMENT_SHIFT, 0.0, 0.0, 0)


def _write(path: Path, slots: bytes, info: SegmentInfo, numpy: bool | None) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
    try:
        handle = Handle(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        for data in compacted(slots, info, numpy):
            while data:
                data = data[os.write(handle.fd, data) :]
        os.fsync(handle.fd)
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = Handle(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    os.fsync(handle.fd)


def _sweep(folder: Path) -> None:
    """Take away what a crash amid compacting left behind."""
    for part in folder.glob(f".*{_PART}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink()
