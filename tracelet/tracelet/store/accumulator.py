"""The statistics of a metric without its points: last, min, max, mean, count.

An accumulator grows as points come in; several (one per process) combine into one summary. The result is the same to
the last bit whatever the size and number of the batches, so an index that many readers update cannot drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, TypedDict

from tracelet_hookspecs._exact_sum import UNIT_BITS
from tracelet_hookspecs.statistics import MetricAccumulator, greatest, least

__all__ = ["STATISTICS", "MetricAccumulator", "Summary", "summarize"]

NAN: Final = math.nan
STATISTICS: Final = ("last", "min", "max", "mean", "count", "nans", "last_step", "first_time", "last_time")


class Summary(TypedDict):
    """The statistics of a metric. NaN counts only in ``count`` and ``nans``; if all values are NaN, so is ``min``."""

    last: float
    min: float
    max: float
    mean: float
    count: int
    nans: int
    last_step: int
    first_time: float
    last_time: float
    type: str
    source: str | None


def summarize(accumulators: Iterable[MetricAccumulator]) -> Summary:
    """Return the summary of what one or more processes recorded, given in the order in which they began."""
    several = list(accumulators)
    first_one = several[0]
    if len(several) > 1:
        newest = max(enumerate(several), key=_recency)[1]
        last, last_step = newest.top, newest.top_step
    else:
        last, last_step = first_one.last, first_one.last_step
    low, high, first, latest = NAN, NAN, NAN, NAN
    for one in several:
        low, high = least(low, one.min), greatest(high, one.max)
        first, latest = least(first, one.first_time), greatest(latest, one.last_time)
    return Summary(
        last=last,
        min=low,
        max=high,
        mean=_mean(several, low, high),
        count=sum(one.count for one in several),
        nans=sum(one.nans for one in several),
        last_step=last_step,
        first_time=first,
        last_time=latest,
        type=first_one.type,
        source=first_one.source,
    )


def _recency(each: tuple[int, MetricAccumulator]) -> tuple[int, int, float, int]:
    place, one = each
    return (one.top_step, one.attempt, one.top_time, place)


def _mean(several: list[MetricAccumulator], low: float, high: float) -> float:
    numbers = sum(one.count - one.nans for one in several)
    if not numbers:
        return NAN
    if low == -math.inf or high == math.inf:
        return low + high if math.isinf(low) and math.isinf(high) else (low if math.isinf(low) else high)
    return float(Fraction(sum(one.sum for one in several), numbers << UNIT_BITS))
