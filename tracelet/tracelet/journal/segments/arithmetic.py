"""Arithmetic on series of 64-bit numbers, modulo 2**64, with the standard library alone."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

_MASK = (1 << 64) - 1
_SIGN = 1 << 63
_LITTLE = array("H", [1]).tobytes() == b"\1\0"

Vector = Any  # a sequence of integers from 0 to 2**64 - 1


def from_numbers(numbers: Sequence[Any], code: str) -> Vector:
    """Return int64 (``q``) or float64 (``d``) as integers in the same sort order."""
    bits = array("Q", array(code, numbers).tobytes())
    if code == "q":
        return [number ^ _SIGN for number in bits]
    return [number ^ _MASK if number & _SIGN else number | _SIGN for number in bits]


def to_numbers(vector: Vector, code: str) -> Any:
    """Undo :func:`from_numbers`."""
    if code == "q":
        bits = array("Q", [number ^ _SIGN for number in vector])
    else:
        bits = array("Q", [number ^ _SIGN if number & _SIGN else number ^ _MASK for number in vector])
    return array(code, bits.tobytes())


def differences(vector: Vector) -> Vector:
    """Return the first number and the differences from each to the next."""
    return [(after - before) & _MASK for before, after in zip(chain([0], vector), vector, strict=False)]


def sums(vector: Vector, times: int) -> Vector:
    """Undo :func:`differences` the given number of times."""
    for _ in range(times):
        vector = accumulate(vector)
    return [number & _MASK for number in vector]


def fold(vector: Vector) -> Vector:
    """Return numbers that are small if the originals, taken as signed, are close to zero."""
    return [(number ^ _MASK) * 2 + 1 if number & _SIGN else number * 2 for number in vector]


def unfold(vector: Vector) -> Vector:
    """Undo :func:`fold`."""
    return [(number >> 1) ^ _MASK if number & 1 else number >> 1 for number in vector]


def bits(vector: Vector) -> int:
    """Return about how many bits the numbers take."""
    return sum(map(int.bit_length, vector))


def pick(items: Any, where: Sequence[int]) -> Any:
    """Return the items at these places."""
    if isinstance(where, range):
        return items[where.start : where.stop : where.step]
    return array("q" if isinstance(items, range) else items.typecode, [items[at] for at in where])


def shift(places: Sequence[int], by: int) -> Any:
    """Return places, each moved on by ``by``."""
    if isinstance(places, range):
        return range(places.start + by, places.stop + by, places.step)
    return array("q", [at + by for at in places])


def to_bytes(vectors: Sequence[Vector]) -> bytes:
    """Return all numbers, one vector after the other, as eight bytes each, lowest first."""
    numbers = array("Q", chain.from_iterable(vectors))
    if not _LITTLE:
        numbers.byteswap()
    return numbers.tobytes()


def from_bytes(data: bytes | bytearray) -> Vector:
    """Undo :func:`to_bytes`."""
    numbers = array("Q")
    numbers.frombytes(data)
    if not _LITTLE:
        numbers.byteswap()
    return numbers
