"""The statistics of one metric of one process, which grow as points come in.

A backend that keeps them next to the points uses the same rules as tracelet's own store: the result is the same to the
last bit, whatever the size and number of the batches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol

from tracelet_hookspecs._exact_sum import exact_sum, pack_sum, unpack_sum

__all__ = ["MetricAccumulator", "PointColumns", "exact_sum", "greatest", "least"]

NAN: Final = math.nan
_FEW: Final = 64  # values up to which NumPy's calls cost more than they save


class PointColumns(Protocol):
    """Points as columns of equal length: NumPy arrays or sequences of numbers."""

    @property
    def steps(self) -> Any:
        """The steps, as integers."""

    @property
    def values(self) -> Any:
        """The values."""

    @property
    def times(self) -> Any:
        """The times, in seconds since the epoch."""


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

    def add(self, points: PointColumns) -> None:
        """Take in further points, in the order of recording."""
        count = len(points.values)
        if not count:
            return
        self.last, self.last_step = float(points.values[-1]), int(points.steps[-1])
        self._add_top(points, first=not self.count)
        self.count += count
        low, high, finite, nans = _extremes(points.values)
        self.nans += nans
        self.min, self.max = least(self.min, low), greatest(self.max, high)
        self.first_time = least(self.first_time, float(_min_of(points.times)))
        self.last_time = greatest(self.last_time, float(_max_of(points.times)))
        self.sum += exact_sum(finite)

    def _add_top(self, points: PointColumns, *, first: bool) -> None:
        place = _top_place(points)
        step, time = int(points.steps[place]), float(points.times[place])
        if first or (step, time) >= (self.top_step, self.top_time):
            self.top_step, self.top_time, self.top = step, time, float(points.values[place])

    def joined(self, other: MetricAccumulator) -> MetricAccumulator:
        """Return the statistics of this and of other points of the same process; the latest point is the last."""
        first, second = sorted((self, other), key=lambda one: one.last_time)
        top = max((first, second), key=lambda one: (one.top_step, one.top_time))
        return replace(
            second,
            type=min((self, other), key=lambda one: one.first_time).type,
            count=self.count + other.count,
            nans=self.nans + other.nans,
            sum=self.sum + other.sum,
            min=least(self.min, other.min),
            max=greatest(self.max, other.max),
            first_time=least(self.first_time, other.first_time),
            top=top.top,
            top_step=top.top_step,
            top_time=top.top_time,
        )

    def to_json(self) -> list[Any]:
        """Return the accumulator as values that ``json`` can write."""
        values = [getattr(self, name) for name in _NAMES]
        values[_SUM_PLACE] = pack_sum(self.sum)
        return values

    @classmethod
    def from_json(cls, values: list[Any]) -> MetricAccumulator:
        """Return the accumulator that :meth:`to_json` described."""
        accumulator = cls(*values)
        accumulator.sum = unpack_sum(values[_SUM_PLACE])
        return accumulator


_NAMES: Final = tuple(field.name for field in fields(MetricAccumulator))
_SUM_PLACE: Final = _NAMES.index("sum")


def _extremes(values: Any) -> tuple[float, float, Any, int]:
    """Return min and max without NaN, the finite values, and the number of NaN."""
    module = _load_numpy() if len(values) > _FEW else None
    if module is None:
        known = [value for value in values if value == value]
        finite = [float(value) for value in known if -math.inf < value < math.inf]
        least, most = (float(min(known)), float(max(known))) if known else (NAN, NAN)
        return least, most, finite, len(values) - len(known)
    items = module.asarray(values)
    least, most = float(items.min()), float(items.max())  # NaN if there is any
    if -math.inf < least and most < math.inf:
        return least, most, items, 0
    nans = int(module.isnan(items).sum())
    if nans == len(items):
        return NAN, NAN, [], nans
    finite = items[module.isfinite(items)]
    return float(module.fmin.reduce(items)), float(module.fmax.reduce(items)), finite, nans


def _top_place(points: PointColumns) -> int:
    """Return the place of the point that comes last by step, then time, then order."""
    steps, times = points.steps, points.times
    module = _load_numpy() if len(steps) > _FEW else None
    if module is None:
        return max(range(len(steps)), key=lambda place: (steps[place], times[place], place))
    steps = module.asarray(steps)
    if steps[-1] > steps[:-1].max():
        return len(steps) - 1
    places = module.flatnonzero(steps == steps.max())
    if len(places) > 1:
        latest = module.asarray(times)[places]
        places = places[latest == latest.max()]
    return int(places[-1])


def least(one: float, other: float) -> float:
    """Return the lesser of two numbers, ignoring NaN."""
    return other if one != one or other < one else one


def greatest(one: float, other: float) -> float:
    """Return the greater of two numbers, ignoring NaN."""
    return other if one != one or other > one else one


def _load_numpy() -> Any:
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _min_of(column: Any) -> Any:
    return column.min() if hasattr(column, "min") else min(column)


def _max_of(column: Any) -> Any:
    return column.max() if hasattr(column, "max") else max(column)
