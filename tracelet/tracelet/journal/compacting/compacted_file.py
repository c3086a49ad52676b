"""Writing the file of a compacted segment."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from tracelet.journal.compacting.table import ChunkTable, UnsuitableError
from tracelet.journal.format import COMPACTED_MAGIC, POINT, ROW, SLOT, SegmentInfo, pack_header
from tracelet.journal.segments.compacted_segment import CHUNK_HEAD, CHUNK_MAGIC, COLUMNS, RAW
from tracelet.journal.segments.packing import PackedError
from tracelet.journal.segments.pieces import EMPTY, POINTS, Piece, pieces
from tracelet.journal.segments.unpacking import unpack_slots

_SLOTS = 32768  # in a chunk, roughly
_LEVEL = 6  # of zlib


class Packed(NamedTuple):
    """The next bytes of the file, and how many points they hold."""

    data: bytes
    points: int


def compact_slots(
    data: bytes, info: SegmentInfo, *, is_last: bool, numpy: bool | None = None
) -> Iterator[Packed]:
    """Yield the contents of a compacted segment's file; ``data`` holds all slots.

    Of a writer's last segment, the empty slots at the end are left out: they were reserved and never used.
    """
    cuts = list(_cuts(data, info.first, is_last))
    yield Packed(pack_header(info._replace(slots=max(cuts, default=0)), COMPACTED_MAGIC), 0)
    start = 0
    for end in cuts:
        yield _chunk(data[start * SLOT : end * SLOT], info.first, start, numpy)
        start = end


def _cuts(data: bytes, first: int, is_last: bool) -> Iterator[int]:
    """Yield the places to cut at, between records."""
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
    method, (packed, points) = COLUMNS, _as_columns(data, base + start, numpy)
    if not packed:
        method, packed = RAW, zlib.compress(data, _LEVEL)
        points = sum(map(_points_in, pieces(data, base + start)))
    head = CHUNK_HEAD.pack(
        CHUNK_MAGIC, start, len(data) // SLOT, len(packed), method, 0, zlib.crc32(packed), 0
    )[:-4]
    return Packed(head + zlib.crc32(head).to_bytes(4, "little") + packed, points)


def _points_in(piece: Piece) -> int:
    if piece.kind == ROW:
        return len(piece.payload) // 8
    return piece.slots if piece.kind in (POINT, POINTS) else 0


def _as_columns(data: bytes, first: int, numpy: bool | None) -> Packed:
    """Return slots packed as columns, after checking that they unpack to the same; nothing if they are damaged."""
    try:
        table = ChunkTable.of(data, first)
        packed = table.pack(numpy)
        again = unpack_slots(packed, len(data) // SLOT, numpy)
        is_same = (
            len(again) == len(data) and ChunkTable.of(again, first, trusted=True).content() == table.content()
        )
    except (UnsuitableError, PackedError):
        return Packed(b"", 0)
    return Packed(packed if is_same else b"", table.points)
