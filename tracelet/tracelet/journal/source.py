"""The files of a run's journal, as readers see them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tracelet.journal.format import (
    HEADER,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    SegmentInfo,
    file_name,
    journal_folder,
    offset_of,
    parse_file_name,
    unpack_header,
)


class Block(NamedTuple):
    """Some slots. ``trusted``: they come out of a compacted file, checked already, without checksums."""

    data: bytes
    trusted: bool

    @property
    def slots(self) -> int:
        """How many slots it has."""
        return len(self.data) // SLOT


def segments(run_dir: Path) -> dict[str, list[int]]:
    """Return each writer's segment numbers, writers in the order in which they began."""
    try:
        names = os.listdir(journal_folder(Path(run_dir)))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found: dict[str, list[int]] = {}
    for writer, segment in sorted({parsed for name in names if (parsed := parse_file_name(name))}):
        found.setdefault(writer, []).append(segment)
    return found


def writers(run_dir: Path) -> list[str]:
    """Return the ids of a run's writers in the order in which they began."""
    return list(segments(run_dir))


class Source:
    """Reads slots of one writer by sequence number. Uses plain reads: a file may shrink under a mapping."""

    def __init__(self, run_dir: Path, writer: str) -> None:
        self.run_dir = Path(run_dir)
        self.folder = journal_folder(self.run_dir)
        self.writer = writer
        self._segment = -1
        self._handle = -1

    def read(self, seq: int, slots: int) -> bytes:
        """Return up to so many whole slots from ``seq`` on, none beyond the end of its segment."""
        return self.block(seq, slots).data

    def block(self, seq: int, slots: int) -> Block:
        """Return up to so many slots from ``seq`` on; one that is cut short is filled up with zeros."""
        handle = self._open(seq >> SEGMENT_SHIFT)
        if handle < 0:
            return Block(b"", False)
        slots = min(slots, SEGMENT_SLOTS - (seq & (SEGMENT_SLOTS - 1)))
        data = os.pread(handle, slots * SLOT, offset_of(seq))
        return Block(data + bytes(-len(data) % SLOT), False)

    def size(self, segment: int) -> int:
        """Return how many slots a segment's file has, one that is cut short included."""
        handle = self._open(segment)
        return -(-max(0, os.fstat(handle).st_size - HEADER) // SLOT) if handle >= 0 else 0

    def header(self, segment: int) -> SegmentInfo | None:
        """Return what a segment's header says, None where it is damaged or gone."""
        handle = self._open(segment)
        return unpack_header(os.pread(handle, HEADER, 0)) if handle >= 0 else None

    def segments(self) -> list[int]:
        """Return the numbers of the segments that exist."""
        return segments(self.run_dir).get(self.writer, [])

    def _open(self, segment: int) -> int:
        if segment != self._segment:
            try:
                handle = os.open(self.folder / file_name(self.writer, segment), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return -1
            self.close()
            self._segment, self._handle = segment, handle
        return self._handle

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
        self._segment = self._handle = -1

    def __del__(self) -> None:
        self.close()
