"""Sums of floats without rounding, as integers: every float is a multiple of 2**-1074."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

UNIT_BITS: Final = 1074  # a unit is 2**-1074, the smallest float
_MANTISSA: Final = 53  # bits
_HALF: Final = 27  # bits of the lower half of a mantissa
_MOST: Final = 1 << 25  # values at a time: the sum of their halves stays below 2**53, so floats hold it


def exact_sum(finite: Any) -> int:
    """Return the sum of finite floats in units of 2**-1074. Takes a NumPy array or any sequence."""
    if hasattr(finite, "dtype"):
        return sum(_by_exponent(finite[start : start + _MOST]) for start in range(0, len(finite), _MOST))
    return _by_rounding(finite)


def _by_exponent(values: Any) -> int:
    """Add up mantissas by exponent, in two halves, as integers (a small superaccumulator: Neal 2015)."""
    import numpy

    fractions, exponents = numpy.frexp(values)
    mantissas = numpy.ldexp(fractions, _MANTISSA).astype(numpy.int64)
    lowest = int(exponents.min()) if len(exponents) else 0
    places = exponents - lowest
    highs = numpy.bincount(places, weights=mantissas >> _HALF)
    lows = numpy.bincount(places, weights=mantissas & (1 << _HALF) - 1)
    total = 0
    for place in numpy.flatnonzero((highs != 0) | (lows != 0)).tolist():
        amount = (int(highs[place]) << _HALF) + int(lows[place])
        shift = place + lowest + UNIT_BITS - _MANTISSA
        total += amount << shift if shift >= 0 else amount >> -shift  # exact: the units are whole numbers
    return total


def _by_rounding(values: Sequence[float]) -> int:
    """Add up the result of ``math.fsum``, then what it rounded off, and so on until nothing is left."""
    parts: list[float] = []
    try:
        while part := math.fsum(chain(values, (-known for known in parts))):
            parts.append(part)
    except OverflowError:
        parts = list(values)
    return sum(map(_units, parts))


def _units(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return (numerator << UNIT_BITS) // denominator


def pack_sum(total: int) -> list[int]:
    """Return a sum in few digits: an odd number and how often to double it."""
    zeros = (total & -total).bit_length() - 1 if total else 0
    return [total >> zeros, zeros]


def unpack_sum(pair: Sequence[int]) -> int:
    """Return the sum that :func:`pack_sum` packed."""
    return pair[0] << pair[1]
