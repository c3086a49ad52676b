"""Times as readers return them: seconds between 1970 and the end of the year 9999.

A journal from someone else may say anything. The record is kept; a time that is none becomes the nearest valid one,
0 for NaN, and is counted as damage of the kind ``time``. So everything behind the readers may convert times to dates.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

END_OF_TIME = 253402300800.0  # the year 10000, in seconds since 1970
_LATEST = 253402300799.0
# As bits of an integer without a sign, all valid times sort below all others: negative ones, infinities and NaN.
_BITS_OF_END = memoryview(array("d", [END_OF_TIME])).cast("B").cast("Q")[0]


def is_valid_time(time: float) -> bool:
    """Say whether a time is between 1970 and the end of the year 9999."""
    return 0.0 <= time < END_OF_TIME


def nearest_valid_time(time: float) -> float:
    """Return a time if it is valid, or else the nearest one; 0 for NaN."""
    if 0.0 <= time < END_OF_TIME:
        return time
    return _LATEST if time > 0 else 0.0


def count_invalid(times: Any) -> int:
    """Return how many of a column's times are invalid. Quick if none is."""
    if hasattr(times, "view"):  # a NumPy array
        if not times.size or int(times.view("u8").max()) < _BITS_OF_END:
            return 0
        return int(times.size - ((times >= 0) & (times < END_OF_TIME)).sum())
    column = times if isinstance(times, array) else array("d", times)
    if not column or max(memoryview(column).cast("B").cast("Q")) < _BITS_OF_END:
        return 0
    return sum(not is_valid_time(time) for time in column)


def make_valid(times: Sequence[float]) -> Any:
    """Return a column with every time made valid."""
    made = array("d", map(nearest_valid_time, times))
    if not hasattr(times, "view"):
        return made
    import numpy as np

    return np.array(made)
