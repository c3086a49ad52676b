"""Parsing the bytes of a segment into pieces: intact records, and slots without one."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from tracelet.journal.format import (
    BLOB,
    EMPTY_SLOT,
    ID_MASK,
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
from tracelet.journal.segments.checksums import are_intact, up_to_grid

EMPTY, BROKEN, TORN, PARTIAL = -1, -2, -3, -4
POINTS = 256  # several points in a row

_LARGEST_STRETCH, _SMALLEST_STRETCH = 4096, 64  # slots
_LOST_SLOT = b"\xff" * SLOT  # replaces a slot of a compacted segment that cannot be read
_KIND = 27  # offset of the kind in a slot
_NATIVE = sys.byteorder == "little" and array("I").itemsize == 4


class Piece(NamedTuple):
    """One record, or a stretch of slots.

    ``kind`` is a kind of record, or POINTS (that many points, in ``payload``), EMPTY (slots never filled),
    BROKEN (the checksum fails), TORN (an intact head with a damaged payload), PARTIAL (a head whose payload
    continues beyond the data).
    """

    kind: int
    seq: int
    slots: int
    identity: int = 0
    step: int = 0
    time: float = 0.0
    value: float = 0.0
    payload: bytes | memoryview = b""


class Block(NamedTuple):
    """Some slots. ``trusted``: they have been checked as a whole and have no checksums of their own."""

    data: bytes
    trusted: bool

    @property
    def slots(self) -> int:
        """How many slots it has."""
        return len(self.data) // SLOT


def pieces(data: bytes, first: int, *, trusted: bool = False) -> Iterator[Piece]:
    """Parse the slots in ``data``; ``first`` is the sequence number of the first one.

    Trusted data has been checked as a whole; its slots have no checksums.
    """
    view, at, total = memoryview(data), 0, len(data) // SLOT
    stretch, singly, pause = _LARGEST_STRETCH, 0 if _NATIVE else total, _SMALLEST_STRETCH
    while at < total:
        if at >= singly:
            size = min(stretch, total - at, up_to_grid(first + at))
            part = view[at * SLOT : (at + size) * SLOT]
            if size > 1 and _are_points(part, first + at, trusted):
                yield Piece(POINTS, first + at, size, payload=part)
                at += size
                stretch, pause = min(stretch * 4, _LARGEST_STRETCH), _SMALLEST_STRETCH
                continue
            if size > _SMALLEST_STRETCH:
                stretch = max(size // 4, _SMALLEST_STRETCH)
                continue
            singly, pause = at + pause, min(pause * 2, _LARGEST_STRETCH)
        piece = piece_at(view, at, first + at, trusted=trusted)
        if piece.kind == EMPTY:
            piece = piece._replace(slots=_count_alike(data, at, b"\0"))
        elif piece.kind == BROKEN and data[at * SLOT : (at + 1) * SLOT] == _LOST_SLOT:
            piece = piece._replace(slots=_count_alike(data, at, b"\xff"))
        yield piece
        at += piece.slots


def _count_alike(data: bytes, at: int, filling: bytes) -> int:
    """Return how many slots from this one on are filled with the same byte."""
    start, size = at * SLOT, 4 * SLOT
    while True:
        part = data[start : start + size]
        if filled := len(part.lstrip(filling)):
            return (start + len(part) - filled) // SLOT - at
        if len(part) < size:
            return len(data) // SLOT - at
        start, size = start + size, 4 * size


def _are_points(data: memoryview, first: int, trusted: bool) -> bool:
    slots = len(data) // SLOT
    if data[_KIND] != POINT or data[(slots - 1) * SLOT + _KIND] != POINT:
        return False
    return bytes(data[_KIND::SLOT]).count(POINT) == slots and (trusted or are_intact(data, first))


def piece_at(data: bytes | memoryview, at: int, seq: int, *, trusted: bool = False) -> Piece:
    """Return the piece that starts at slot ``at`` of ``data``."""
    start = at * SLOT
    value, step, time, tag, checksum = SLOT_STRUCT.unpack_from(data, start)
    if not trusted:
        if crc32(data[start : start + POINT_HEAD.size], seq & 0xFFFFFFFF) != checksum:
            return Piece(EMPTY if data[start : start + SLOT] == EMPTY_SLOT else BROKEN, seq, 1)
    elif not tag:
        return Piece(EMPTY, seq, 1)
    kind = tag >> KIND_SHIFT
    if kind in (ROW, BLOB):
        return _long_piece(data, start, seq, trusted)
    return Piece(kind, seq, 1, tag & ID_MASK, step, time, value)


def _long_piece(data: bytes | memoryview, start: int, seq: int, trusted: bool) -> Piece:
    checksum, size, step, time, tag = MULTI_HEAD.unpack_from(data, start)
    kind = tag >> KIND_SHIFT
    if size > (MAX_ROW if kind == ROW else MAX_BLOB):
        return Piece(BROKEN, seq, 1)
    if kind == ROW:
        size *= 8
    slots = 1 + payload_slots(size)
    if len(data) < start + slots * SLOT:
        return Piece(PARTIAL, seq, slots)
    payload = data[start + SLOT : start + SLOT + size]
    if not trusted and crc32(payload) != checksum:
        return Piece(TORN, seq, slots)
    return Piece(kind, seq, slots, tag & ID_MASK, step, time, 0.0, payload)


def row_values(piece: Piece) -> tuple[float, ...]:
    """Return the values of a ROW."""
    return row_struct(len(piece.payload) // 8).unpack(piece.payload)


@lru_cache(maxsize=1024)
def row_struct(count: int) -> struct.Struct:
    """Return the layout of a row's values."""
    return struct.Struct(f"<{count}d")


class Points(NamedTuple):
    """The columns of a POINTS piece."""

    tags: array[int]
    steps: array[int]
    times: array[float]
    values: array[float]


def point_columns(piece: Piece) -> Points:
    """Parse a POINTS piece."""
    doubles = _items("d", piece.payload)
    tags, steps = _items("I", piece.payload)[6::8], _items("q", piece.payload)[1::4]
    return Points(tags, steps, doubles[2::4], doubles[0::4])


def _items(code: str, data: bytes | memoryview) -> Any:
    items: array[Any] = array(code)
    items.frombytes(data)
    return items


def places_of(tags: Sequence[int]) -> dict[int, Sequence[int]]:
    """Return the places of each distinct tag; as ranges if the tags alternate, as in a loop."""
    distinct = dict.fromkeys(tags)  # in order of first appearance
    period = len(distinct)
    if len(set(tags[:period])) == period and tags[period:] == tags[:-period]:
        return {tags[start]: range(start, len(tags), period) for start in range(period)}
    places: dict[int, list[int]] = {tag: [] for tag in distinct}
    for place, tag in enumerate(tags):
        places[tag].append(place)
    return dict(places)
