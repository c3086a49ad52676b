"""Reading the file of a compacted segment: a header as in a plain one, then chunks one after the other.

A chunk holds intact records. Its head says which slots they fill, how they are packed, and their checksum.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import NamedTuple

from tracelet.journal.format import COMPACTED_MAGIC, HEADER, SLOT, SegmentInfo, unpack_header
from tracelet.journal.segments.pieces import Block
from tracelet.journal.segments.unpacking import UnpackedChunk, unpack_slots
from tracelet.safe_files import Descriptor

CHUNK_HEAD = struct.Struct(
    "<4sIIIHHI4xI"
)  # magic, first slot, slots, bytes, method, 0, checksum; checksum of the head
CHUNK_MAGIC = b"TRZC"
RAW, COLUMNS = 0, 1  # how a chunk is packed: the slots themselves, or columns


class Chunk(NamedTuple):
    """Where the packed slots of a chunk stand in the file."""

    first: int  # slot within the segment
    slots: int
    size: int
    method: int
    checksum: int
    offset: int


class CompactedSegment:
    """Reads a compacted segment. Keeps the chunk that was read last."""

    def __init__(self, handle: Descriptor) -> None:
        self._handle = handle
        self._info = unpack_header(os.pread(handle.fd, HEADER, 0), COMPACTED_MAGIC)
        self._chunks = _find_chunks(handle.fd)
        self._kept: tuple[Chunk | None, Block] = (None, Block(b"", True))

    def header(self) -> SegmentInfo | None:
        """Return what the header says, None where it is damaged."""
        return self._info

    def size(self) -> int:
        """Return how many slots there are."""
        if self._info is not None:
            return self._info.slots
        return self._chunks[-1].first + self._chunks[-1].slots if self._chunks else 0

    def block(self, at: int, slots: int) -> Block:
        """Return up to so many slots from place ``at`` on, none beyond the chunk that it is in."""
        end = min(at + slots, self.size())
        for chunk in self._chunks:
            if chunk.first <= at < chunk.first + chunk.slots:
                data, trusted = self._unpack(chunk)
                start = (at - chunk.first) * SLOT
                return Block(data[start : start + slots * SLOT], trusted)
            if chunk.first > at:
                end = min(end, chunk.first)
                break
        return Block(_damaged(max(0, end - at)), False)

    def unpacked(self, at: int, seq: int, numpy: bool | None) -> UnpackedChunk | None:
        """Return the chunk that begins at place ``at``, which is ``seq``, to take columns from.

        None where none begins, and where it is damaged or holds slots as they were: :meth:`block` has them.
        """
        for chunk in self._chunks:
            if chunk.first == at and chunk.method == COLUMNS and (packed := self._packed(chunk)) is not None:
                return UnpackedChunk(packed, seq, numpy)
        return None

    def _packed(self, chunk: Chunk) -> bytes | None:
        """Return what a chunk holds, None where it is damaged."""
        packed = os.pread(self._handle.fd, chunk.size, chunk.offset)
        return packed if zlib.crc32(packed) == chunk.checksum else None

    def _unpack(self, chunk: Chunk) -> Block:
        known, block = self._kept
        if known != chunk:
            packed = self._packed(chunk)
            if packed is None:
                block = Block(_damaged(chunk.slots), False)
            elif chunk.method == RAW:
                block = Block(zlib.decompress(packed), False)
            else:
                block = Block(unpack_slots(packed), True)
            self._kept = (chunk, block)
        return block


def _damaged(slots: int) -> bytes:
    """Return what stands for slots that cannot be read: none of them is whole."""
    return b"\xff" * (slots * SLOT)


def _find_chunks(handle: int) -> list[Chunk]:
    """Go from chunk to chunk; where one's head is damaged, look for the next one that is whole."""
    chunks, offset, size = [], HEADER, os.fstat(handle).st_size
    while offset < size:
        chunk = _chunk_at(os.pread(handle, CHUNK_HEAD.size, offset), offset)
        if chunk is None:
            offset = _next_head(handle, offset + 1, size)
            continue
        chunks.append(chunk)
        offset = chunk.offset + chunk.size
    return chunks


def _chunk_at(head: bytes, offset: int) -> Chunk | None:
    if len(head) < CHUNK_HEAD.size or zlib.crc32(head[:-4]).to_bytes(4, "little") != head[-4:]:
        return None
    magic, first, slots, size, method, _, checksum, _ = CHUNK_HEAD.unpack(head)
    return (
        Chunk(first, slots, size, method, checksum, offset + CHUNK_HEAD.size)
        if magic == CHUNK_MAGIC
        else None
    )


def _next_head(handle: int, start: int, size: int) -> int:
    data = os.pread(handle, size - start, start)
    place = data.find(CHUNK_MAGIC)
    while place >= 0:
        if _chunk_at(data[place : place + CHUNK_HEAD.size], 0) is not None:
            return start + place
        place = data.find(CHUNK_MAGIC, place + 1)
    return size
