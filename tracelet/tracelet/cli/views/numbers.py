"""Numbers, times and sizes as people read them."""

from __future__ import annotations

import math
import time
from typing import Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def number(value: float, digits: int = 4) -> str:
    """Write a value with as many significant digits as tell it apart from its neighbours.

    Whole numbers stay whole; very large and very small ones are written with an exponent.
    """
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    if value == int(value) and size < 1e7:
        return f"{int(value)}"
    if size >= 1e7 or size < 1e-4:
        return f"{value:.{digits - 1}e}"
    if size >= 10 ** (digits - 1):
        return f"{value:.1f}" if size < 1e5 else f"{value:.0f}"
    # Trailing zeros are kept, so that a column of values of one kind lines up.
    decimals = digits - 1 - math.floor(math.log10(size))
    return f"{value:.{min(decimals, digits)}f}"


def count(value: int) -> str:
    """Write a count with its thousands apart."""
    return f"{value:,}".replace(",", " ")


def plural(value: int, noun: str) -> str:
    """Write a count with its noun: ``1 point``, ``2 points``."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write a duration: ``12 ms``, ``4.21 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 04 h``."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 99.995:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    for unit, name, part, part_name in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if seconds >= unit:
            whole, rest = divmod(int(seconds), unit)
            return f"{whole} {name} {rest // part:02} {part_name}"
    raise AssertionError(seconds)


def ago(moment: float, now: float | None = None) -> str:
    """Write how long ago a moment was, coarsely; longer than a month ago, its date."""
    passed = (time.time() if now is None else now) - moment
    if passed < 45:
        return "just now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if passed >= unit or unit == MINUTE:
            if unit == DAY and passed > 30 * DAY:
                return time.strftime("%Y-%m-%d", time.localtime(moment))
            return f"{max(round(passed / unit), 1)} {name} ago"
    raise AssertionError(passed)


def moment(timestamp: float) -> str:
    """Write a moment in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp))


def size(value: int) -> str:
    """Write a number of bytes: ``512 B``, ``1.4 kB``, ``3.1 GB`` (powers of 1000)."""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
