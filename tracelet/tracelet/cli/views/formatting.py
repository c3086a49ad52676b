"""Numbers, times, sizes, paths and values as people read them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tracelet.messages import plain

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def format_number(value: float, digits: int = 4) -> str:
    """Format a value with enough significant digits to distinguish it from its neighbors.

    Whole numbers stay whole; very large and very small ones get an exponent.
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
    # Trailing zeros are kept, so that the values of a column line up.
    decimals = digits - 1 - math.floor(math.log10(size))
    return f"{value:.{min(decimals, digits)}f}"


def format_ticks(values: Sequence[float]) -> list[str]:
    """Format the values of an axis with as many digits as it takes to tell them apart.

    The error of each is at most a twentieth of the distance between two of them.
    """
    texts = [format_number(value) for value in values]
    known = sorted({value for value in values if math.isfinite(value)})
    apart = min((later / 2 - earlier / 2 for earlier, later in pairwise(known)), default=0.0)
    if not apart or all(
        abs(float(text) / 2 - value / 2) <= apart / 20 for text, value in zip(texts, values, strict=True)
    ):
        return texts
    unit = math.floor(math.log10(apart) + math.log10(2)) - 1  # the power of ten of the last digit
    top = max(map(abs, known))
    if 1e-4 <= top < 1e15 and unit >= -17:
        return [f"{value:.{max(0, -unit)}f}" for value in values]
    digits = min(16, max(0, math.floor(math.log10(top)) - unit))
    return [f"{value:.{digits}e}" for value in values]


def format_times(first: float, last: float) -> tuple[str, str]:
    """Format the ends of an axis of wall times, each so that it can be told from the other."""
    texts = [format_time(one) for one in (first, last)]
    if last - first < 10:
        texts = [
            f"{text}.{math.floor(one * 1000) % 1000:03}"
            for text, one in zip(texts, (first, last), strict=True)
        ]
    day = texts[0][:10]
    return texts[0], texts[1][11:] if texts[1][:10] == day and " " in texts[1] else texts[1]


def format_count(value: int) -> str:
    """Format a count with its thousands separated by spaces."""
    return f"{value:,}".replace(",", " ")


def pluralize(value: int, noun: str) -> str:
    """Format a count with its noun: ``1 point``, ``2 points``."""
    return f"{format_count(value)} {noun}{'' if value == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """Format a duration: ``12 ms``, ``4.21 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 04 h``."""
    if not math.isfinite(seconds):
        return "unknown"
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


def format_age(timestamp: float, now: float | None = None) -> str:
    """Format roughly how long ago a time was, or its date if that is more than a month."""
    passed = (time.time() if now is None else now) - timestamp
    if passed < 45:
        return "just now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if passed >= unit or unit == MINUTE:
            if unit == DAY and passed > 30 * DAY:
                return format_time(timestamp, "%Y-%m-%d")
            return f"{max(round(passed / unit), 1)} {name} ago"
    return "unknown"  # not a number


def format_time(timestamp: float, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Format a time in the local time zone."""
    try:
        return time.strftime(pattern, time.localtime(timestamp))
    except (OverflowError, ValueError, OSError):  # a damaged journal may say anything
        return "unknown"


def format_size(value: int) -> str:
    """Format a number of bytes: ``512 B``, ``1.4 kB``, ``3.1 GB`` (powers of 1000)."""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def format_value(value: Any) -> str:
    """Format a parameter, a tag or a cell of a table."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return plain(str(value))
    return str(value) if isinstance(value, int) or len(str(value)) <= 8 else format_number(value)


def shorten_path(path: str | Path) -> str:
    """Return a path relative to the current folder or the home folder if it is below one of them."""
    for find, prefix in ((Path.cwd, ""), (Path.home, "~/")):
        try:
            base = find()
        except (OSError, RuntimeError):
            continue  # the folder was removed, or there is no home
        if base in Path(path).parents:
            return prefix + str(Path(path).relative_to(base))
    return str(path)
