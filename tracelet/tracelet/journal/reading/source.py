"""The files of a run's journal, as readers see them."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from tracelet.journal.format import (
    COMPACTED,
    COMPACTED_MAGIC,
    HEADER,
    MAGIC,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    SUFFIX,
    VERSION,
    SegmentInfo,
    file_name,
    journal_folder,
    parse_file_name,
    unpack_header,
)
from tracelet.journal.segments.compacted_segment import CompactedSegment
from tracelet.journal.segments.pieces import Block
from tracelet.journal.segments.unpacking import UnpackedChunk
from tracelet.safe_files import Descriptor


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

    def __init__(self, handle: Descriptor) -> None:
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


class NewerSegment:
    """A segment of a version that this tracelet does not know: no slot of it can be read."""

    def __init__(self, path: Path, info: SegmentInfo) -> None:
        self._info = info
        self.refusal = (
            f"{path}: expected journal version {VERSION}, found version {info.version}: it was made by a newer "
            "tracelet and is left out; upgrade tracelet to read it"
        )
        _warn_once(self.refusal)

    def block(self, at: int, slots: int) -> Block:
        """Return nothing."""
        return Block(b"", False)

    def size(self) -> int:
        """Return how many slots can be read: none."""
        return 0

    def header(self) -> SegmentInfo | None:
        """Return what the header says."""
        return self._info


_warned: set[str] = set()


def _warn_once(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        logging.getLogger("tracelet.journal").warning(text)


File = PlainSegment | CompactedSegment | NewerSegment


class Source:
    """Reads slots of one writer by sequence number, whether its segments have been compacted or not."""

    def __init__(self, run_dir: Path, writer: str) -> None:
        self.run_dir = Path(run_dir)
        self.folder = journal_folder(self.run_dir)
        self.writer = writer
        self._segment = -1
        self._file: File | None = None

    def read(self, seq: int, slots: int) -> bytes:
        """Return up to so many slots from ``seq`` on, none beyond the end of its segment."""
        data = self.block(seq, slots).data
        while (got := len(data) // SLOT) < slots and (more := self._next_chunk(seq, got, slots)):
            data += more
        return data

    def _next_chunk(self, seq: int, got: int, slots: int) -> bytes:
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

    def unpacked(self, seq: int, numpy: bool | None = None) -> UnpackedChunk | None:
        """Return the chunk of a compacted segment that begins at ``seq``, None where :meth:`block` is to be asked."""
        file = self._open(seq >> SEGMENT_SHIFT)
        if isinstance(file, CompactedSegment):
            return file.unpacked(seq & (SEGMENT_SLOTS - 1), seq, numpy)
        return None

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

    def refusal(self, segment: int) -> str | None:
        """Say why a segment can not be read though it is whole, None where it can."""
        file = self._open(segment)
        return file.refusal if isinstance(file, NewerSegment) else None

    def is_compacted(self, segment: int) -> bool:
        """Say whether a segment has been compacted."""
        return isinstance(self._open(segment), CompactedSegment)

    def segments(self) -> list[int]:
        """Return the numbers of the segments that exist."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mine = (name for name in os.listdir(self.folder) if name.startswith(self.writer))
            found = {parsed for name in mine if (parsed := parse_file_name(name))}
            return sorted(segment for writer, segment in found if writer == self.writer)
        return []

    def _open(self, segment: int) -> File | None:
        if segment != self._segment:
            file = self._find(segment)
            if file is None:
                return None
            self._segment, self._file = segment, file
        return self._file

    def _find(self, segment: int) -> File | None:
        # Compacting puts the new file there before it takes the old one away: looking twice finds one.
        for suffix in (SUFFIX, COMPACTED, SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                return _open(self.folder / file_name(self.writer, segment, suffix))
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._segment, self._file = -1, None


def _open(path: Path) -> File:
    handle = Descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    kind, magic = (PlainSegment, MAGIC) if path.suffix == SUFFIX else (CompactedSegment, COMPACTED_MAGIC)
    info = unpack_header(os.pread(handle.fd, HEADER, 0), magic)
    return kind(handle) if info is None or info.version == VERSION else NewerSegment(path, info)


__all__ = ["Block", "CompactedSegment", "PlainSegment", "Source", "segments", "writers"]
