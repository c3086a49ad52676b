"""Reading the file of a compacted segment: a header as in a plain one, then chunks one after the other.

A chunk holds intact records. Its head says which slots they fill, how they are packed, and their checksum.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from tracelet.journal.format import (
    COMPACTED_MAGIC,
    HEADER,
    MAX_CHUNK,
    MAX_CHUNKS,
    SEGMENT_SLOTS,
    SLOT,
    SegmentInfo,
    unpack_header,
)
from tracelet.journal.segments.packing import PackedError, inflate
from tracelet.journal.segments.pieces import Block
from tracelet.journal.segments.unpacking import UnpackedChunk, unpack_slots
from tracelet.safe_files import Descriptor, read_at

# Magic, first slot, slots, bytes, method, 0, checksum, and the checksum of the head.
CHUNK_HEAD = struct.Struct("<4sIIIHHI4xI")
CHUNK_MAGIC = b"TRZC"
RAW, COLUMNS = 0, 1  # how a chunk is packed: the slots themselves, or columns

_LARGEST_FILE = 2 * (HEADER + SEGMENT_SLOTS * SLOT)  # bytes: anything beyond is ignored
_MOST_CANDIDATES = 4096  # places searched for the head of a chunk after a damaged one
_STRIDE = 1 << 18  # bytes


class Chunk(NamedTuple):
    """The place of a chunk's packed slots in the file."""

    first: int  # slot within the segment
    slots: int
    size: int
    method: int
    checksum: int
    offset: int


class CompactedSegment:
    """Reads a compacted segment. Keeps the chunk that was read last.

    Sizes declared in the file are limited to what a segment can hold and to the actual size of the file.
    """

    def __init__(self, file: Descriptor) -> None:
        self._file = file
        self._info = unpack_header(read_at(file, HEADER, 0), COMPACTED_MAGIC)
        self._chunks = _find_chunks(file)
        self._starts = [chunk.first for chunk in self._chunks]
        self._kept: tuple[Chunk | None, Block] = (None, Block(b"", True))

    def header(self) -> SegmentInfo | None:
        """Return what the header says, None if it is damaged."""
        return self._info

    def size(self) -> int:
        """Return how many slots there are."""
        if self._info is not None:
            return min(self._info.slots, SEGMENT_SLOTS)
        return self._chunks[-1].first + self._chunks[-1].slots if self._chunks else 0

    def block(self, at: int, slots: int) -> Block:
        """Return up to ``slots`` slots starting at place ``at``, none beyond the end of their chunk."""
        end = min(at + slots, self.size())
        place = bisect_right(self._starts, at)
        if place and at < self._chunks[place - 1].first + self._chunks[place - 1].slots:
            chunk = self._chunks[place - 1]
            data, trusted = self._unpack(chunk)
            start = (at - chunk.first) * SLOT
            return Block(data[start : start + slots * SLOT], trusted)
        if place < len(self._starts):
            end = min(end, self._starts[place])
        return Block(_damaged(max(0, end - at)), False)

    def chunk_at(self, at: int, seq: int, numpy: bool | None) -> UnpackedChunk | None:
        """Return the chunk that begins at place ``at``, which is ``seq``, to take columns from.

        None if no chunk begins there, or if it is damaged or stores plain slots: use :meth:`block` then.
        """
        place = bisect_left(self._starts, at)
        if place == len(self._starts) or self._starts[place] != at or self._chunks[place].method != COLUMNS:
            return None
        chunk = self._chunks[place]
        packed = self._packed(chunk)
        if packed is None:
            return None
        with contextlib.suppress(PackedError):
            return UnpackedChunk(packed, chunk.slots, seq, numpy)
        return None

    def _packed(self, chunk: Chunk) -> bytes | None:
        """Return the packed content of a chunk, None if it is damaged."""
        packed = read_at(self._file, chunk.size, chunk.offset)
        return packed if zlib.crc32(packed) == chunk.checksum else None

    def _unpack(self, chunk: Chunk) -> Block:
        known, block = self._kept
        if known != chunk:
            block = Block(_damaged(chunk.slots), False)
            packed = self._packed(chunk)
            with contextlib.suppress(PackedError):
                if packed is not None and chunk.method == RAW:
                    block = Block(inflate(packed, chunk.slots * SLOT), False)
                elif packed is not None and chunk.method == COLUMNS:
                    block = Block(unpack_slots(packed, chunk.slots), True)
            self._kept = (chunk, block)
        return block


def _damaged(slots: int) -> bytes:
    """Return a replacement for slots that cannot be read: none of them is intact."""
    return b"\xff" * (slots * SLOT)


def _find_chunks(file: Descriptor) -> list[Chunk]:
    """Go from chunk to chunk; if the head of one is damaged, look for the next one that is intact."""
    chunks: list[Chunk] = []
    offset, size, end, candidates = HEADER, min(file.stat().st_size, _LARGEST_FILE), 0, 0
    while offset < size and len(chunks) < MAX_CHUNKS:
        chunk = _chunk_at(read_at(file, CHUNK_HEAD.size, offset), offset)
        if chunk is not None and end <= chunk.first and chunk.offset + chunk.size <= size:
            chunks.append(chunk)
            offset, end = chunk.offset + chunk.size, chunk.first + chunk.slots
            continue
        candidates += 1
        offset = _next_magic(file, offset + 1, size) if candidates < _MOST_CANDIDATES else size
    return chunks


def _chunk_at(head: bytes, offset: int) -> Chunk | None:
    """Return the chunk whose head this is, None if it is damaged or has impossible values."""
    if len(head) < CHUNK_HEAD.size or head[:4] != CHUNK_MAGIC:
        return None
    if zlib.crc32(head[:-4]).to_bytes(4, "little") != head[-4:]:
        return None
    _, first, slots, size, method, _, checksum, _ = CHUNK_HEAD.unpack(head)
    if not 0 < slots <= MAX_CHUNK or first + slots > SEGMENT_SLOTS or size > 2 * SLOT * slots + 4096:
        return None
    return Chunk(first, slots, size, method, checksum, offset + CHUNK_HEAD.size)


def _next_magic(file: Descriptor, start: int, size: int) -> int:
    """Return where the next head of a chunk may begin."""
    while start < size:
        data = read_at(file, min(_STRIDE, size - start), start)
        place = data.find(CHUNK_MAGIC)
        if place >= 0:
            return start + place
        if len(data) < _STRIDE:
            break
        start += len(data) - len(CHUNK_MAGIC) + 1
    return size
