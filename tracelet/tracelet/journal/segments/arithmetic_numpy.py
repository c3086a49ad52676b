"""Arithmetic on series of 64-bit numbers, modulo 2**64, with NumPy; see :mod:`.arithmetic`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_SIGN = np.uint64(1 << 63)
_ONE = np.uint64(1)

Vector = Any


def from_numbers(numbers: Sequence[Any], code: str) -> Vector:
    """Return int64 (``q``) or float64 (``d``) as integers in the same sort order."""
    bits = np.asarray(numbers, np.int64 if code == "q" else np.float64).view(np.uint64)
    return bits ^ _SIGN if code == "q" else np.where(bits & _SIGN, ~bits, bits | _SIGN)


def to_numbers(vector: Vector, code: str) -> Any:
    """Undo :func:`from_numbers`."""
    if code == "q":
        return (vector ^ _SIGN).view(np.int64)
    return np.where(vector & _SIGN, vector ^ _SIGN, ~vector).view(np.float64)


def differences(vector: Vector) -> Vector:
    """Return the first number and the differences from each to the next."""
    changes = vector.copy()
    changes[1:] -= vector[:-1]
    return changes


def sums(vector: Vector, times: int) -> Vector:
    """Undo :func:`differences` the given number of times."""
    for _ in range(times):
        vector = np.cumsum(vector, dtype=np.uint64)
    return vector


def fold(vector: Vector) -> Vector:
    """Return numbers that are small if the originals, taken as signed, are close to zero."""
    signed = vector.view(np.int64)
    return ((signed << 1) ^ (signed >> 63)).view(np.uint64)


def unfold(vector: Vector) -> Vector:
    """Undo :func:`fold`."""
    return (vector >> _ONE) ^ (np.uint64(0) - (vector & _ONE))


def bits(vector: Vector) -> int:
    """Return about how many bits the numbers take."""
    return int(np.frexp(vector.astype(np.float64))[1].sum())


def pick(items: Any, where: Sequence[int]) -> Any:
    """Return the items at these places."""
    return items[index(where)]


def index(places: Sequence[int]) -> Any:
    """Return places in the form in which NumPy takes them."""
    if isinstance(places, range):
        return slice(places.start, places.stop, places.step)
    return np.asarray(places, dtype=np.intp)


def shift(places: Sequence[int], by: int) -> Any:
    """Return places, each moved on by ``by``."""
    if isinstance(places, range):
        return np.arange(places.start + by, places.stop + by, places.step)
    return np.asarray(places, dtype=np.int64) + by


def to_bytes(vectors: Sequence[Vector]) -> bytes:
    """Return all numbers, one vector after the other, as eight bytes each, lowest first."""
    return np.concatenate(vectors).astype("<u8").tobytes() if vectors else b""


def from_bytes(data: bytes | bytearray) -> Vector:
    """Undo :func:`to_bytes`."""
    return np.frombuffer(data, "<u8")
