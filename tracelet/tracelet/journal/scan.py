"""From bytes of a segment to pieces: whole records, and slots that hold none."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from tracelet.journal.format import (
    BLOB,
    EMPTY_SLOT,
    KIND_SHIFT,
    MAX_BLOB,
    MAX_ROW,
    MULTI_HEAD,
    POINT,
    POINT_HEAD,
    ROW,
    SLOT,
    SLOT_STRUCT,
    payload_slots,
)

EMPTY, BROKEN, TORN, PARTIAL = -1, -2, -3, -4


class Piece(NamedTuple):
    """One record, or a stretch of slots without one (kinds EMPTY, BROKEN, TORN; PARTIAL: more bytes needed)."""

    kind: int
    seq: int
    slots: int
    identity: int = 0
    step: int = 0
    time: float = 0.0
    value: float = 0.0
    payload: bytes = b""


def pieces(data: bytes, first: int) -> Iterator[Piece]:
    """Take the slots in ``data`` apart; ``first`` is the sequence number of the first one."""
    at, total = 0, len(data) // SLOT
    while at < total:
        piece = piece_at(data, at, first + at)
        yield piece
        at += piece.slots


def piece_at(data: bytes, at: int, seq: int) -> Piece:
    """Return what starts at slot ``at`` of ``data``."""
    start = at * SLOT
    value, step, time, tag, checksum = SLOT_STRUCT.unpack_from(data, start)
    if crc32(data[start : start + POINT_HEAD.size], seq & 0xFFFFFFFF) != checksum:
        return Piece(EMPTY if data[start : start + SLOT] == EMPTY_SLOT else BROKEN, seq, 1)
    kind, identity = tag >> KIND_SHIFT, tag & (1 << KIND_SHIFT) - 1
    if kind in (ROW, BLOB):
        return _long_piece(data, start, seq)
    return Piece(kind, seq, 1, identity, step, time, value)


def _long_piece(data: bytes, start: int, seq: int) -> Piece:
    checksum, count, step, time, tag = MULTI_HEAD.unpack_from(data, start)
    kind, identity = tag >> KIND_SHIFT, tag & (1 << KIND_SHIFT) - 1
    if count > (MAX_ROW if kind == ROW else MAX_BLOB):
        return Piece(BROKEN, seq, 1)
    size = 8 * count if kind == ROW else count
    slots = 1 + payload_slots(size)
    payload = data[start + SLOT : start + SLOT + size]
    if len(data) < start + slots * SLOT and len(payload) < size:
        return Piece(PARTIAL, seq, slots)
    if crc32(payload) != checksum:
        return Piece(TORN, seq, slots)
    return Piece(kind, seq, slots, identity, step, time, 0.0, payload)


def row_values(piece: Piece) -> tuple[float, ...]:
    """Return the values of a ROW."""
    return struct.unpack(f"<{len(piece.payload) // 8}d", piece.payload)


__all__ = [
    "BLOB",
    "BROKEN",
    "EMPTY",
    "PARTIAL",
    "POINT",
    "ROW",
    "TORN",
    "Piece",
    "piece_at",
    "pieces",
    "row_values",
]
