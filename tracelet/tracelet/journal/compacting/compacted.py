"""The file of a compacted segment: a header as in a plain one, then chunks one after the other.

A chunk is whole records: it says which slots, how they are packed, and the checksum of what is packed.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from tracelet.journal.compacting.chunks import Table, UnsuitableError
from tracelet.journal.compacting.unpacking import Unpacked, unpack_slots
from tracelet.journal.format import (
    COMPACTED_MAGIC,
    HEADER,
    POINT,
    ROW,
    SLOT,
    SegmentInfo,
    pack_header,
    unpack_header,
)
from tracelet.journal.handle import Handle
from tracelet.journal.reading.scan import EMPTY, POINTS, Block, Piece, pieces

_HEAD = struct.Struct(
    "<4sIIIHHI4xI"
)  # magic, first slot, slots, bytes, method, 0, checksum; then that of the head
_MAGIC = b"TRZC"
_RAW, _COLUMNS = 0, 1  # how a chunk is packed: its slots as they are, or as columns
_SLOTS = 32768  # in a chunk, more or less
_LEVEL = 6  # of zlib


class Chunk(NamedTuple):
    """Where the packed slots of a chunk stand in the file."""

    first: int  # slot within the segment
    slots: int
    size: int
    method: int
    checksum: int
    offset: int


# --- writing -----------------------------------------------------------------------------------------------


class Packed(NamedTuple):
    """The next bytes of the file, and how many points they hold."""

    data: bytes
    points: int


def compacted(
    data: bytes, info: SegmentInfo, *, is_last: bool, numpy: bool | None = None
) -> Iterator[Packed]:
    """Give the contents of a compacted segment's file, of which ``data`` is all slots.

    Of a writer's last segment, the empty slots at the end are left out: they were reserved and never used.
    """
    cuts = list(_cuts(data, info.first, is_last))
    yield Packed(pack_header(info._replace(slots=max(cuts, default=0)), COMPACTED_MAGIC), 0)
    start = 0
    for end in cuts:
        yield _chunk(data[start * SLOT : end * SLOT], info.first, start, numpy)
        start = end


def _cuts(data: bytes, first: int, is_last: bool) -> Iterator[int]:
    """Give the places where to cut: between records."""
    start = end = 0
    total = len(data) // SLOT
    for piece in pieces(data, first):
        at, end = piece.seq - first, min(piece.seq - first + piece.slots, total)
        if is_last and end == total and piece.kind == EMPTY:
            end = at
        if end > start and (end - start >= _SLOTS or end in (total, at)):
            yield end
            start = end


def _chunk(data: bytes, base: int, start: int, numpy: bool | None) -> Packed:
    method, (packed, points) = _COLUMNS, _as_columns(data, base + start, numpy)
    if not packed:
        method, packed = _RAW, zlib.compress(data, _LEVEL)
        points = sum(map(_points_in, pieces(data, base + start)))
    head = _HEAD.pack(_MAGIC, start, len(data) // SLOT, len(packed), method, 0, zlib.crc32(packed), 0)[:-4]
    return Packed(head + zlib.crc32(head).to_bytes(4, "little") + packed, points)


def _points_in(piece: Piece) -> int:
    if piece.kind == ROW:
        return len(piece.payload) // 8
    return piece.slots if piece.kind in (POINT, POINTS) else 0


def _as_columns(data: bytes, first: int, numpy: bool | None) -> Packed:
    """Return slots packed as columns, after a proof that they come back; nothing where they are damaged."""
    try:
        table = Table.of(data, first)
        packed = table.pack(numpy)
        again = unpack_slots(packed, numpy)
        is_same = (
            len(again) == len(data) and Table.of(again, first, trusted=True).content() == table.content()
        )
    except UnsuitableError:
        return Packed(b"", 0)
    return Packed(packed if is_same else b"", table.points)


# --- reading -----------------------------------------------------------------------------------------------


class CompactedSegment:
    """Reads a compacted segment. Keeps the chunk that was read last."""

    def __init__(self, handle: Handle) -> None:
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

    def unpacked(self, at: int, seq: int, numpy: bool | None) -> Unpacked | None:
        """Return the chunk that begins at place ``at``, which is ``seq``, to take columns from.

        None where none begins, and where it is damaged or holds slots as they were: :meth:`block` has them.
        """
        for chunk in self._chunks:
            if chunk.first == at and chunk.method == _COLUMNS and (packed := self._packed(chunk)) is not None:
                return Unpacked(packed, seq, numpy)
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
            elif chunk.method == _RAW:
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
        chunk = _chunk_at(os.pread(handle, _HEAD.size, offset), offset)
        if chunk is None:
            offset = _next_head(handle, offset + 1, size)
            continue
        chunks.append(chunk)
        offset = chunk.offset + chunk.size
    return chunks


def _chunk_at(head: bytes, offset: int) -> Chunk | None:
    if len(head) < _HEAD.size or zlib.crc32(head[:-4]).to_bytes(4, "little") != head[-4:]:
        return None
    magic, first, slots, size, method, _, checksum, _ = _HEAD.unpack(head)
    return Chunk(first, slots, size, method, checksum, offset + _HEAD.size) if magic == _MAGIC else None


def _next_head(handle: int, start: int, size: int) -> int:
    data = os.pread(handle, size - start, start)
    place = data.find(_MAGIC)
    while place >= 0:
        if _chunk_at(data[place : place + _HEAD.size], 0) is not None:
            return start + place
        place = data.find(_MAGIC, place + 1)
    return size
