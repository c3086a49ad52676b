"""The files of a run's journal, as readers see them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tracelet.journal.compacted import CompactedSegment
from tracelet.journal.format import (
    COMPACTED,
    HEADER,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    SUFFIX,
    SegmentInfo,
    file_name,
    journal_folder,
    parse_file_name,
    unpack_header,
)
from tracelet.journal.scan import Block
from tracelet.journal.segments import Handle


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


class PlainSegment:
    """A segment as it was written. Read plainly: a file may shrink under a mapping."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def block(self, at: int, slots: int) -> Block:
        """Return up to so many slots from place ``at`` on; one that is cut short is filled up with zeros."""
        data = os.pread(self._handle.fd, slots * SLOT, HEADER + at * SLOT)
        return Block(data + bytes(-len(data) % SLOT), False)

    def size(self) -> int:
        """Return how many slots there are."""
        return -(-max(0, os.fstat(self._handle.fd).st_size - HEADER) // SLOT)

    def header(self) -> SegmentInfo | None:
        """Return what the header says, None where it is damaged."""
        return unpack_header(os.pread(self._handle.fd, HEADER, 0))


class Source:
    """Reads slots of one writer by sequence number, whether its segments have been compacted or not."""

    def __init__(self, run_dir: Path, writer: str) -> None:
        self.run_dir = Path(run_dir)
        self.folder = journal_folder(self.run_dir)
        self.writer = writer
        self._segment = -1
        self._file: PlainSegment | CompactedSegment | None = None

    def read(self, seq: int, slots: int) -> bytes:
        """Return up to so many slots from ``seq`` on, none beyond the end of its segment."""
        data = self.block(seq, slots).data
        while (got := len(data) // SLOT) < slots and (more := self._beside(seq, got, slots)):
            data += more
        return data

    def _beside(self, seq: int, got: int, slots: int) -> bytes:
        """Return what a compacted segment has in its next chunk."""
        if not isinstance(self._file, CompactedSegment) or (seq + got) >> SEGMENT_SHIFT != self._segment:
            return b""
        return self.block(seq + got, slots - got).data

    def block(self, seq: int, slots: int) -> Block:
        """Return up to so many slots from ``seq`` on, none beyond the end of its segment.

        Where it ends before the file does and has fewer slots, it ends between two records.
        """
        file = self._open(seq >> SEGMENT_SHIFT)
        if file is None:
            return Block(b"", False)
        at = seq & (SEGMENT_SLOTS - 1)
        return file.block(at, min(slots, SEGMENT_SLOTS - at))

    def size(self, segment: int) -> int:
        """Return how many slots a segment's file has, one that is cut short included."""
        file = self._open(segment)
        return file.size() if file is not None else 0

    def has(self, segment: int) -> bool:
        """Say whether a segment's file is there."""
        return self._open(segment) is not None

    def header(self, segment: int) -> SegmentInfo | None:
        """Return what a segment's header says, None where it is damaged or gone."""
        file = self._open(segment)
        return file.header() if file is not None else None

    def segments(self) -> list[int]:
        """Return the numbers of the segments that exist."""
        return segments(self.run_dir).get(self.writer, [])

    def _open(self, segment: int) -> PlainSegment | CompactedSegment | None:
        if segment != self._segment:
            file = self._find(segment)
            if file is None:
                return None
            self._segment, self._file = segment, file
        return self._file

    def _find(self, segment: int) -> PlainSegment | CompactedSegment | None:
        # Compacting puts the new file there before it takes the old one away: looking twice finds one.
        for kind, suffix in ((PlainSegment, SUFFIX), (CompactedSegment, COMPACTED), (PlainSegment, SUFFIX)):
            with contextlib.suppress(FileNotFoundError):
                name = file_name(self.writer, segment, suffix)
                return kind(Handle(os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)))
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._segment, self._file = -1, None


__all__ = ["Block", "CompactedSegment", "PlainSegment", "Source", "segments", "writers"]
