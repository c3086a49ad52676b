"""Axes for values that a drawing library cannot place: near the greatest float, near the smallest, or both.

The libraries compute with differences, margins and powers of the values, which then overflow or vanish. Such a panel
is drawn in numbers that they can handle, and its ticks say what these stand for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_LEAST: Final = 1e-290
_MOST: Final = 1e290
_TICKS: Final = 6


class Scale(NamedTuple):
    """How values become places: their logarithm, or a multiple. ``ticks`` are places with their labels."""

    is_log: bool
    exponent: int
    ticks: list[tuple[float, str]]

    def place(self, values: Iterable[float]) -> list[float]:
        """Return the place of each value; NaN for one that has none."""
        if self.is_log:
            return [_log(value) for value in values]
        return [_divide(value, self.exponent) for value in values]


def choose_scale(columns: Iterable[Sequence[float]], *, log: bool) -> Scale | None:
    """Return the scale for a panel, or ``None`` if the library's own axis will do."""
    shown = [
        value for column in columns for value in column if math.isfinite(value) and (value > 0 or not log)
    ]
    if not shown:
        return None
    low, high = min(shown), max(shown)
    if log:
        return None if low >= _LEAST and high <= _MOST else _log_scale(low, high)
    size = max(abs(low), abs(high))
    return None if size == 0 or _LEAST <= size <= _MOST else _linear_scale(low, high, size)


def _log_scale(low: float, high: float) -> Scale:
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    apart = next(one for one in (1, 2, 5, 10, 20, 50, 100, 200) if one * _TICKS >= last - first)
    ticks = [(float(power), f"1e{power}") for power in range(-(-first // apart) * apart, last + 1, apart)]
    ends = dict.fromkeys((math.log10(value), f"{value:.6g}") for value in (low, high))
    return Scale(True, 0, ticks if len(ticks) > 1 else list(ends))


def _linear_scale(low: float, high: float, size: float) -> Scale:
    exponent = math.floor(math.log10(size))
    first, last = _divide(low, exponent), _divide(high, exponent)
    if first == last:
        return Scale(False, exponent, [(first, f"{low:.6g}")])
    rough = (last - first) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    digits = max(0, -math.floor(math.log10(step)))
    ticks = [at * step for at in range(math.ceil(first / step), math.floor(last / step) + 1)]
    return Scale(False, exponent, [(tick, _label(tick, digits, exponent)) for tick in ticks])


def _label(place: float, digits: int, exponent: int) -> str:
    text = f"{place:.{digits}f}"
    return "0" if float(text) == 0 else f"{text}e{exponent}"


def _divide(value: float, exponent: int) -> float:
    """Return a value divided by a power of ten, which itself may be no float."""
    half = exponent // 2
    return value / 10.0**half / 10.0 ** (exponent - half)


def _log(value: float) -> float:
    if math.isinf(value):
        return value
    return math.log10(value) if value > 0 else math.nan
