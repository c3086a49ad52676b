"""Columns of points as bytes: little-endian int64 steps, float64 values and times. NumPy is used if it is installed.

Bytes are what the journal holds and what can be compared exactly: every bit of a NaN counts.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zlib import crc32

from tracelet.errors import UsageError
from tracelet.journal.format import KIND_SHIFT, POINT, POINT_HEAD, SLOT, seal
from tracelet.journal.segments.packing import use_numpy

WIDTH: Final = 8  # bytes of one number in a column
_END_OF_TIME: Final = 253402300800.0  # the year 10000
_HEAD: Final = SLOT - 4  # bytes that the checksum of a slot covers


class Columns(NamedTuple):
    """Points of one metric: the same number of bytes in each column."""

    steps: bytes
    values: bytes
    times: bytes

    @property
    def points(self) -> int:
        """The number of points."""
        return len(self.steps) // WIDTH

    def part(self, start: int, stop: int) -> Columns:
        """Return the points from one place to another."""
        return Columns._make(column[start * WIDTH : stop * WIDTH] for column in self)


EMPTY: Final = Columns(b"", b"", b"")


def as_columns(name: str, steps: Any, values: Any, times: Any, default: float = 0.0) -> tuple[Columns, int]:
    """Return columns, and how many times were impossible and became the nearest valid one.

    No times at all mean that the source does not say: all become the default.

    Raises:
        UsageError: the lengths differ, or an item is no number.
    """
    try:
        if not len(times) and len(steps):
            times = array("d", [default]) * len(steps)
        columns = Columns(_pack(steps, "q"), _pack(values, "d"), _pack(times, "d"))
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"points of {name!r}: expected int64 steps and float64 values and times, found {error}"
        ) from None
    if not len(columns.steps) == len(columns.values) == len(columns.times):
        lengths = ", ".join(str(len(column) // WIDTH) for column in columns)
        raise UsageError(f"points of {name!r}: expected columns of equal length, found {lengths}")
    valid, wrong = _valid_times(columns.times)
    return columns._replace(times=valid), wrong


def _pack(numbers: Sequence[Any], code: str) -> bytes:
    kind = getattr(getattr(numbers, "dtype", None), "kind", "")
    if kind:
        if code == "q" and kind not in "iu":
            raise TypeError(f"an array of {numbers.dtype}")  # type: ignore[attr-defined]
        if kind == "u" and len(numbers) and int(numbers.max()) >> 63:  # type: ignore[attr-defined]
            raise OverflowError("a step beyond int64")
        return bytes(numbers.astype("<i8" if code == "q" else "<f8").tobytes())  # type: ignore[attr-defined]
    packed = numbers if isinstance(numbers, array) and numbers.typecode == code else array(code, numbers)
    if sys.byteorder == "big":
        packed = array(code, packed)
        packed.byteswap()
    return packed.tobytes()


def unpack(data: bytes, code: str) -> array[Any]:
    """Return a column as numbers."""
    numbers = array(code)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _valid_times(data: bytes) -> tuple[bytes, int]:
    """Return times between 1970 and 9999, as a reader of the journal has them, and how many had to be changed."""
    if use_numpy():
        import numpy as np

        times = np.frombuffer(data, "<f8")
        wrong = int(np.count_nonzero(~((times >= 0) & (times < _END_OF_TIME))))
    else:
        wrong = sum(not 0 <= time < _END_OF_TIME for time in unpack(data, "d"))
    if not wrong:
        return data, 0
    return _pack([valid_time(time) for time in unpack(data, "d")], "d"), wrong


def valid_time(time: float) -> float:
    """Return the nearest time that the journal accepts."""
    if math.isnan(time):
        return 0.0
    return min(max(time, 0.0), math.nextafter(_END_OF_TIME, 0.0))


# --- what is new -------------------------------------------------------------------------------------------------


class KnownSeries:
    """The points of one metric that earlier imports have recorded, to find those that are new.

    A source that has grown begins with what is known, so whole columns are compared as bytes. If the order has changed,
    the rest is compared point by point, and each known point accounts for one.
    """

    def __init__(self, known: Columns = EMPTY) -> None:
        self._known = known
        self._at = 0
        self._left: Counter[tuple[bytes, bytes, bytes]] | None = None

    def find_new(self, columns: Columns) -> Columns:
        """Return those of the next points that are not known."""
        if self._left is None:
            size = min(columns.points, self._known.points - self._at)
            if columns.part(0, size) == self._known.part(self._at, self._at + size):
                self._at += size
                return columns.part(size, columns.points)
            rest = self._known.part(self._at, self._known.points)
            self._left = Counter(_points(rest))
        return self._without_known(columns, self._left)

    def _without_known(self, columns: Columns, left: Counter[tuple[bytes, bytes, bytes]]) -> Columns:
        fresh = []
        for point in _points(columns):
            if left[point]:
                left[point] -= 1
            else:
                fresh.append(point)
        return Columns._make(map(b"".join, zip(*fresh, strict=True))) if fresh else EMPTY


def _points(columns: Columns) -> list[tuple[bytes, bytes, bytes]]:
    places = range(0, len(columns.steps), WIDTH)
    steps, values, times = ([column[at : at + WIDTH] for at in places] for column in columns)
    return list(zip(steps, values, times, strict=True))


# --- slots of the journal ----------------------------------------------------------------------------------------


def encode_points(identity: int, columns: Columns, first: int) -> bytes:
    """Return the slots of points of one metric, the first of which has sequence number ``first``."""
    tag = POINT << KIND_SHIFT | identity
    if use_numpy() and columns.points > 64:
        return _encode_with_numpy(tag, columns, first)
    rows = zip(
        unpack(columns.values, "d"), unpack(columns.steps, "q"), unpack(columns.times, "d"), strict=True
    )
    pack = POINT_HEAD.pack
    return b"".join([seal(pack(*row, tag), seq) for seq, row in enumerate(rows, first)])


def _encode_with_numpy(tag: int, columns: Columns, first: int) -> bytes:
    import numpy as np

    count = columns.points
    slots: Any = np.empty(
        count, [("value", "<f8"), ("step", "<i8"), ("time", "<f8"), ("tag", "<u4"), ("sum", "<u4")]
    )
    slots["value"] = np.frombuffer(columns.values, "<f8")
    slots["step"] = np.frombuffer(columns.steps, "<i8")
    slots["time"] = np.frombuffer(columns.times, "<f8")
    slots["tag"] = tag
    words: Any = slots.view("<u2").reshape(count, SLOT // 2)
    seeds: Any = np.arange(first, first + count, dtype=np.uint64).astype("<u4").view("<u2").reshape(count, 2)
    tables, constant = _tables()
    sums: Any = np.full(count, constant, "<u4")
    for place, table in enumerate(tables):
        word = words[:, place]
        sums ^= table[word ^ seeds[:, place] if place < 2 else word]
    slots["sum"] = sums
    return bytes(slots.tobytes())


@lru_cache(maxsize=1)
def _tables() -> tuple[list[Any], int]:
    """Return what each 16 bits of a slot's head add to its CRC-32, and the CRC-32 of zeros.

    A CRC is linear: that of a head is the XOR of what its parts add. Seeding it with a number is XORing the number onto
    the first four bytes.
    """
    import numpy as np

    zeros = crc32(bytes(_HEAD))

    def table_of(place: int) -> Any:
        tail = bytes(_HEAD - 1 - place)
        return np.array([crc32(bytes(place) + bytes((one,)) + tail) ^ zeros for one in range(256)], "<u4")

    low_and_high = [(table_of(place), table_of(place + 1)) for place in range(0, _HEAD, 2)]
    return [np.bitwise_xor.outer(high, low).ravel() for low, high in low_and_high], zeros
