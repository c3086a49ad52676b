"""The files of a run's journal, as readers see them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tracelet.journal.format import (
    COMPACTED,
    COMPACTED_MAGIC,
    FOLDER,
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
from tracelet.logs import get_logger
from tracelet.safe_files import (
    Descriptor,
    LostDescriptorError,
    UnsafeFileError,
    list_folder,
    open_file,
    read_at,
)


def segments(run_dir: Path) -> dict[str, list[int]]:
    """Return each writer's segment numbers, writers in the order in which they began."""
    try:
        names = list_folder(run_dir, FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnsafeFileError as error:
        _warn_once(f"{error}; it is left out")
        return {}
    found: dict[str, list[int]] = {}
    for writer, segment in sorted({parsed for name in names if (parsed := parse_file_name(name))}):
        found.setdefault(writer, []).append(segment)
    return found


def writers(run_dir: Path) -> list[str]:
    """Return the ids of a run's writers in the order in which they began."""
    return list(segments(run_dir))


class PlainSegment:
    """A segment as it was written. It is never mapped for reading: the file may become shorter."""

    def __init__(self, file: Descriptor) -> None:
        self._file = file

    def block(self, at: int, slots: int) -> Block:
        """Return up to ``slots`` slots starting at place ``at``; a truncated slot is padded with zeros."""
        slots = min(slots, self.size() - at)  # a sparse file may claim to be larger than any segment
        if slots <= 0:
            return Block(b"", False)
        data = read_at(self._file, slots * SLOT, HEADER + at * SLOT)
        return Block(data + bytes(-len(data) % SLOT), False)

    def size(self) -> int:
        """Return how many slots there are."""
        return min(-(-max(0, self._file.stat().st_size - HEADER) // SLOT), SEGMENT_SLOTS)

    def header(self) -> SegmentInfo | None:
        """Return what the header says, None if it is damaged."""
        return unpack_header(read_at(self._file, HEADER, 0))


class NewerSegment:
    """A segment of a version that this tracelet does not know: none of its slots can be read."""

    def __init__(self, path: Path, info: SegmentInfo) -> None:
        self._info = info
        self.refusal = (
            f"{path}: expected journal version {VERSION}, found version {info.version}: it was written by a newer "
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
        get_logger("tracelet.journal").warning(text)


class RefusedSegment:
    """An entry that is named like a segment but is not a regular file: it is never read."""

    def __init__(self, error: UnsafeFileError) -> None:
        _warn_once(f"{error}; it is left out")

    def block(self, at: int, slots: int) -> Block:
        """Return nothing."""
        return Block(b"", False)

    def size(self) -> int:
        """Return how many slots can be read: none."""
        return 0

    def header(self) -> SegmentInfo | None:
        """Return nothing: it counts as damaged."""
        return None


File = PlainSegment | CompactedSegment | NewerSegment | RefusedSegment
Answer = TypeVar("Answer")


class Source:
    """Reads slots of one writer by sequence number, whether its segments have been compacted or not."""

    def __init__(self, run_dir: Path, writer: str) -> None:
        self.run_dir = Path(run_dir)
        self.folder = journal_folder(self.run_dir)
        self.writer = writer
        self._segment = -1
        self._file: File | None = None

    def read(self, seq: int, slots: int) -> bytes:
        """Return up to ``slots`` slots starting at ``seq``, none beyond the end of its segment."""
        data = self.block(seq, slots).data
        while (got := len(data) // SLOT) < slots and (more := self._next_chunk(seq, got, slots)):
            data += more
        return data

    def _next_chunk(self, seq: int, got: int, slots: int) -> bytes:
        """Return slots from the next chunk of a compacted segment."""
        if not isinstance(self._file, CompactedSegment) or (seq + got) >> SEGMENT_SHIFT != self._segment:
            return b""
        return self.block(seq + got, slots - got).data

    def block(self, seq: int, slots: int) -> Block:
        """Return up to ``slots`` slots starting at ``seq``, none beyond the end of its segment.

        If it ends before the file does and has fewer slots, it ends between two records.
        """
        at = seq & (SEGMENT_SLOTS - 1)
        size = min(slots, SEGMENT_SLOTS - at)
        return self._ask(seq >> SEGMENT_SHIFT, lambda file: file.block(at, size)) or Block(b"", False)

    def chunk_at(self, seq: int, numpy: bool | None = None) -> UnpackedChunk | None:
        """Return the chunk of a compacted segment that begins at ``seq``; if None, use :meth:`block`."""

        def find(file: File) -> UnpackedChunk | None:
            if isinstance(file, CompactedSegment):
                return file.chunk_at(seq & (SEGMENT_SLOTS - 1), seq, numpy)
            return None

        return self._ask(seq >> SEGMENT_SHIFT, find)

    def size(self, segment: int) -> int:
        """Return how many slots a segment's file has, a truncated one included."""
        return self._ask(segment, lambda file: file.size()) or 0

    def has(self, segment: int) -> bool:
        """Say whether a segment's file is there."""
        return self._open(segment) is not None

    def header(self, segment: int) -> SegmentInfo | None:
        """Return what a segment's header says, None if it is damaged or gone."""
        return self._ask(segment, lambda file: file.header())

    def refusal(self, segment: int) -> str | None:
        """Say why a segment cannot be read though it is intact, None if it can be."""
        file = self._open(segment)
        return file.refusal if isinstance(file, NewerSegment) else None

    def is_compacted(self, segment: int) -> bool:
        """Say whether a segment has been compacted."""
        return isinstance(self._open(segment), CompactedSegment)

    def segments(self) -> list[int]:
        """Return the numbers of the segments that exist."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, UnsafeFileError):
            mine = (name for name in list_folder(self.run_dir, FOLDER) if name.startswith(self.writer))
            found = {parsed for name in mine if (parsed := parse_file_name(name))}
            return sorted(segment for writer, segment in found if writer == self.writer)
        return []

    def _ask(self, segment: int, question: Callable[[File], Answer]) -> Answer | None:
        """Query a segment's file; reopen it if the program has closed its descriptor."""
        for _ in range(3):
            file = self._open(segment)
            if file is None:
                return None
            try:
                return question(file)
            except LostDescriptorError:
                self.close()
        raise LostDescriptorError

    def _open(self, segment: int) -> File | None:
        if segment != self._segment:
            file = self._find(segment)
            if file is None:
                return None
            self._segment, self._file = segment, file
        return self._file

    def _find(self, segment: int) -> File | None:
        # Compacting creates the new file before it removes the old one, so a second try finds one of them.
        for suffix in (SUFFIX, COMPACTED, SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                return _open(self.run_dir, file_name(self.writer, segment, suffix))
        return None

    def close(self) -> None:
        """Close the file."""
        self._segment, self._file = -1, None


def _open(run_dir: Path, name: str) -> File:
    try:
        opened = open_file(run_dir, f"{FOLDER}/{name}")
    except UnsafeFileError as error:
        return RefusedSegment(error)
    is_plain = name.endswith(SUFFIX)
    info = unpack_header(read_at(opened, HEADER, 0), MAGIC if is_plain else COMPACTED_MAGIC)
    if info is not None and info.version != VERSION:
        return NewerSegment(journal_folder(run_dir) / name, info)
    return PlainSegment(opened) if is_plain else CompactedSegment(opened)


__all__ = ["Block", "CompactedSegment", "PlainSegment", "Source", "segments", "writers"]
