"""The statistics of a metric without its points: last, min, max, mean, count.

An accumulator grows as points come in; several (one per process) combine into one summary. The result is the same to
the last bit whatever the size and number of the batches, so an index that many readers update cannot drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Final, TypedDict

from tracelet.store.exact_sum import UNIT_BITS, exact_sum, pack_sum, unpack_sum
from tracelet.store.point_columns import Points, load_numpy, max_of, min_of

NAN: Final = math.nan
STATISTICS: Final = ("last", "min", "max", "mean", "count", "nans", "last_step", "first_time", "last_time")
_FEW: Final = 64  # values up to which NumPy's calls cost more than they save


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


@dataclass
class MetricAccumulator:
    """The running statistics of one metric of one process."""

    type: str = "scalar"
    source: str | None = None
    attempt: int = 0  # how often the run had been resumed when the process began
    count: int = 0
    nans: int = 0
    sum: int = 0  # of the finite values, exact, in units of 2**-1074
    min: float = NAN
    max: float = NAN
    first_time: float = NAN
    last_time: float = NAN
    last: float = NAN  # the value recorded last
    last_step: int = 0
    top: float = NAN  # the value at the largest step, and of several there the latest
    top_step: int = 0
    top_time: float = -math.inf

    def add(self, points: Points) -> None:
        """Take in further points, in the order of recording."""
        count = len(points.values)
        if not count:
            return
        self.last, self.last_step = float(points.values[-1]), int(points.steps[-1])
        self._add_top(points, first=not self.count)
        self.count += count
        low, high, finite, nans = _extremes(points.values)
        self.nans += nans
        self.min, self.max = _least(self.min, low), _greatest(self.max, high)
        self.first_time = _least(self.first_time, float(min_of(points.times)))
        self.last_time = _greatest(self.last_time, float(max_of(points.times)))
        self.sum += exact_sum(finite)

    def _add_top(self, points: Points, *, first: bool) -> None:
        place = _top_place(points)
        step, time = int(points.steps[place]), float(points.times[place])
        if first or (step, time) >= (self.top_step, self.top_time):
            self.top_step, self.top_time, self.top = step, time, float(points.values[place])

    def to_json(self) -> list[Any]:
        """Return the accumulator as values that ``json`` can write."""
        return list({**asdict(self), "sum": pack_sum(self.sum)}.values())

    @classmethod
    def from_json(cls, values: list[Any]) -> MetricAccumulator:
        """Return the accumulator that :meth:`to_json` described."""
        accumulator = cls(*values)
        accumulator.sum = unpack_sum(values[_SUM_PLACE])
        return accumulator


_SUM_PLACE: Final = [field.name for field in fields(MetricAccumulator)].index("sum")


def _extremes(values: Any) -> tuple[float, float, Any, int]:
    """Return min and max without NaN, the finite values, and the number of NaN."""
    module = load_numpy() if len(values) > _FEW else None
    if module is None:
        known = [value for value in values if value == value]
        finite = [float(value) for value in known if -math.inf < value < math.inf]
        least, most = (float(min(known)), float(max(known))) if known else (NAN, NAN)
        return least, most, finite, len(values) - len(known)
    items = module.asarray(values)
    nans = int(module.isnan(items).sum())
    if nans == len(items):
        return NAN, NAN, [], nans
    finite = items[module.isfinite(items)]
    return float(module.fmin.reduce(items)), float(module.fmax.reduce(items)), finite, nans


def _top_place(points: Points) -> int:
    """Return the place of the point that comes last by step, then time, then order."""
    steps, times = points.steps, points.times
    module = load_numpy() if len(steps) > _FEW else None
    if module is None:
        return max(range(len(steps)), key=lambda place: (steps[place], times[place], place))
    steps = module.asarray(steps)
    places = module.flatnonzero(steps == steps.max())
    if len(places) > 1:
        latest = module.asarray(times)[places]
        places = places[latest == latest.max()]
    return int(places[-1])


def _least(one: float, other: float) -> float:
    return other if one != one or other < one else one


def _greatest(one: float, other: float) -> float:
    return other if one != one or other > one else one


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
        low, high = _least(low, one.min), _greatest(high, one.max)
        first, latest = _least(first, one.first_time), _greatest(latest, one.last_time)
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
