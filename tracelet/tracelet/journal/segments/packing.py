"""Lossless packing of series of 64-bit numbers.

A series is replaced by its differences of some order (which are small if it is smooth), these are folded so
that small negative numbers become small positive ones, and their bytes are grouped by significance: most of
the upper bytes are zero and compress to almost nothing. Floats are packed as integers in the same sort order.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from types import ModuleType
from typing import Any

from tracelet.journal.segments import arithmetic

PARTS = struct.Struct("<7I")  # the length in bytes of each part of a chunk
LENGTHS = struct.Struct("<3I")  # how many tags, sizes and times a chunk has

Key = tuple[int, int]  # tag, and how many metrics a row has (0 for points)

Plain = array  # the type of columns without NumPy

_ORDERS = 7  # orders that are tried: 0 to 6
_SAMPLE = 1024  # numbers from which the order is chosen
_LEVEL = 6  # of zlib
_CONSTANT, _DEFLATED, _RAW = range(3)
_PART = struct.Struct("<BI")  # how it is stored, how many bytes it takes


class PackedError(ValueError):
    """The packed data is inconsistent although its checksum is right."""


def use_numpy(wanted: bool | None = None) -> bool:
    """Say whether to use NumPy: as the caller wants, or whether it is installed if ``wanted`` is None.

    Raises:
        ImportError: the caller wants NumPy, and it is not installed.
    """
    if wanted is False:
        return False
    try:
        import numpy  # noqa: F401
    except ImportError:
        if wanted:
            raise
        return False
    return True


def choose_arithmetic(numpy: bool | None = None) -> ModuleType:
    """Return the arithmetic to use: NumPy's if it is installed, unless the caller says otherwise."""
    if not use_numpy(numpy):
        return arithmetic
    from tracelet.journal.segments import arithmetic_numpy

    return arithmetic_numpy


def pack(series: Sequence[Sequence[Any]], code: str, numpy: bool | None = None) -> bytes:
    """Pack several series of int64 (code ``q``) or float64 (``d``)."""
    use = choose_arithmetic(numpy)
    orders, folded = bytearray(), []
    for numbers in series:
        vector = use.from_numbers(numbers, code)
        order = _best_order(use, vector)
        for _ in range(order):
            vector = use.differences(vector)
        orders.append(order)
        folded.append(use.fold(vector))
    return pack_bytes(bytes(orders)) + pack_planes(use.to_bytes(folded), 8)


def unpack(
    data: bytes,
    lengths: Sequence[int],
    code: str,
    numpy: bool | None = None,
    wanted: Sequence[int] | None = None,
) -> list[Any]:
    """Return the series that :func:`pack` packed, given their lengths; of these only the ``wanted``."""
    use = choose_arithmetic(numpy)
    orders, rest = unpack_bytes(data, len(lengths))
    if max(orders, default=0) >= _ORDERS:
        raise PackedError(f"expected an order below {_ORDERS}, found {max(orders)}")
    spans = list(pairwise(accumulate(lengths, initial=0)))
    if wanted is not None:
        orders, spans = bytes(orders[one] for one in wanted), [spans[one] for one in wanted]
    vector = use.unfold(use.from_bytes(unpack_planes(rest, 8, sum(lengths), spans)))
    series, start = [], 0
    for order, (first, last) in zip(orders, spans, strict=True):
        stop = start + last - first
        series.append(use.to_numbers(use.sums(vector[start:stop], order), code))
        start = stop
    return series


def _best_order(use: ModuleType, vector: Any) -> int:
    sample, costs = vector[:_SAMPLE], []
    for _ in range(min(_ORDERS, max(1, len(vector)))):  # a series cannot have more differences than numbers
        costs.append(use.bits(use.fold(sample)))
        sample = use.differences(sample)
    return costs.index(min(costs))


def pack_planes(data: bytes, size: int) -> bytes:
    """Pack items of ``size`` bytes: all first bytes, then all second bytes, ..."""
    return b"".join(pack_bytes(data[place::size]) for place in range(size))


def unpack_planes(
    data: bytes, size: int, count: int, spans: Iterable[tuple[int, int]] | None = None
) -> bytearray:
    """Return the items that :func:`pack_planes` packed, all ``count`` of them or those in some spans."""
    items = bytearray()
    for place in range(size):
        plane, data = unpack_bytes(data, count)
        if spans is not None:
            plane = b"".join([plane[start:stop] for start, stop in spans])
        items = items or bytearray(size * len(plane))
        items[place::size] = plane
    return items


def pack_bytes(data: bytes) -> bytes:
    """Pack bytes with the method that gives the shortest result."""
    if data and data.count(data[0]) == len(data):
        return _PART.pack(_CONSTANT, 1) + data[:1]
    deflated = zlib.compress(data, _LEVEL)
    if len(deflated) < len(data):
        return _PART.pack(_DEFLATED, len(deflated)) + deflated
    return _PART.pack(_RAW, len(data)) + data


def unpack_bytes(data: bytes, count: int) -> tuple[bytes, bytes]:
    """Return the ``count`` bytes that :func:`pack_bytes` packed, and what follows.

    Raises:
        PackedError: there are more or fewer. Finding out takes no more memory than ``count`` bytes.
    """
    if len(data) < _PART.size:
        raise PackedError("a part is missing")
    how, size = _PART.unpack_from(data)
    end = _PART.size + size
    packed, rest = data[_PART.size : end], data[end:]
    if how == _CONSTANT and len(packed) == 1:
        return packed * count, rest
    unpacked = inflate(packed, count) if how == _DEFLATED else packed
    if len(unpacked) != count or how not in (_DEFLATED, _RAW):
        raise PackedError(f"expected {count} bytes in a part, found {len(unpacked)}")
    return unpacked, rest


def inflate(packed: bytes, size: int) -> bytes:
    """Return the ``size`` bytes that a zlib stream holds.

    Raises:
        PackedError: it holds more or fewer, or is not a zlib stream.
    """
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise PackedError(f"expected a zlib stream, found {error}") from None
    if len(data) != size or not stream.eof:
        raise PackedError(f"expected {size} bytes in a zlib stream, found another number")
    return data
