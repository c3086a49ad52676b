"""A metric of several runs as one curve: the mean of the runs, and how far they spread.

Everything is computed from all recorded points. Taking a sample of each run first would move the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tracelet.store.point_columns import require_numpy
from tracelet.store.series import Series
from tracelet.store.windows import check_axis, even_edges, place_points, range_of


class Member(NamedTuple):
    """A run of a group: its points, what ``relative`` counts from, and the metric that is the axis, if one is."""

    series: Series
    start: float = 0.0
    along: Series | None = None


class GroupBand(NamedTuple):
    """Columns with an entry per place on the axis.

    ``mean`` and ``deviation`` (standard deviation) are those of the runs' own means there, so that a run that records
    more often does not weigh more; ``low`` and ``high`` are the least and the greatest recorded values; ``runs`` counts
    the runs. Between its first and its last point, a run counts everywhere: where it recorded nothing, a straight
    line between its neighboring points takes the place of a value. ``not_finite`` counts the NaN and infinities, which
    are left out; ``total`` counts the points. ``first`` and ``last`` are the least and the greatest x of the points of
    each entry, and None if every x is an entry of its own.
    """

    x: Any
    mean: Any
    deviation: Any
    low: Any
    high: Any
    runs: Any
    total: int
    not_finite: int
    first: Any = None
    last: Any = None


def summarize_group(
    members: Sequence[Member],
    *,
    axis: str = "step",
    first: float | None = None,
    last: float | None = None,
    pixels: int = 800,
) -> GroupBand:
    """Return the band of some runs. The arguments are those of :func:`tracelet.store.windows.read_window`.

    If there are at most ``pixels`` different x in the range, each is an entry; otherwise each pixel is.
    """
    check_axis(axis)
    numpy = require_numpy("tracelet ui")
    columns: list[tuple[Any, Any]] = []
    total = not_finite = 0
    for member in members:
        points, x = place_points(member.series.points, axis, member.start, member.along)
        part = slice(*range_of(x, first, last))
        x, values = x[part], numpy.asarray(points.values)[part]
        finite = numpy.isfinite(values)
        total += len(values)
        not_finite += len(values) - int(finite.sum())
        if finite.any():
            columns.append((x[finite], values[finite]))
    if not columns:
        none = numpy.zeros(0)
        return GroupBand(none, none, none, none, none, none, total, not_finite)
    power = _power_of(numpy, columns)
    places, places_of, spans = _divide(numpy, [x for x, _ in columns], max(1, pixels))
    several = [_of_run(numpy, places, places_of(x), numpy.ldexp(values, -power)) for x, values in columns]
    *statistics, runs = _combine(numpy, several)
    mean, deviation, low, high = (numpy.ldexp(one, power) for one in statistics)
    return GroupBand(places, mean, deviation, low, high, runs, total, not_finite, *spans)


def _power_of(numpy: Any, columns: list[tuple[Any, Any]]) -> int:
    """Return the power of two by which values are divided so that their sums and squares are numbers, too."""
    size = max(float(numpy.abs(values).max()) for _, values in columns)
    return 0 if size == 0 or 1e-100 < size < 1e100 else int(math.frexp(size)[1])


def _divide(numpy: Any, xs: list[Any], pixels: int) -> tuple[Any, Any, tuple[Any, Any]]:
    """Return the places on the axis, a function that returns the place of each x, and the ends of each place."""
    distinct = numpy.unique(numpy.concatenate([numpy.unique(x) for x in xs])).astype("float64")
    if len(distinct) <= pixels:
        return distinct, lambda x: numpy.searchsorted(distinct, x), (None, None)
    edges = even_edges(distinct[0], distinct[-1], pixels)
    inner = edges[1:-1]
    parts = numpy.searchsorted(inner, distinct, "right")
    filled, starts = numpy.unique(parts, return_index=True)
    middles = edges[:-1][filled] / 2 + edges[1:][filled] / 2
    spans = (distinct[starts], distinct[numpy.append(starts[1:], len(distinct)) - 1])
    return middles, lambda x: numpy.searchsorted(filled, numpy.searchsorted(inner, x, "right")), spans


def _of_run(numpy: Any, places: Any, own: Any, values: Any) -> tuple[Any, Any, Any]:
    """Return one run's mean, least and greatest value at each place; NaN before its first and after its last point."""
    starts = numpy.flatnonzero(numpy.diff(own, prepend=-1))
    sizes = numpy.diff(numpy.append(starts, len(values)))
    filled = own[starts]

    def spread(known: Any) -> Any:
        return numpy.interp(places, places[filled], known, left=numpy.nan, right=numpy.nan)

    least, greatest = numpy.minimum.reduceat(values, starts), numpy.maximum.reduceat(values, starts)
    mean = spread(numpy.clip(numpy.add.reduceat(values, starts) / sizes, least, greatest))
    low, high = mean.copy(), mean.copy()
    low[filled], high[filled] = least, greatest
    return mean, low, high


def _combine(numpy: Any, several: list[tuple[Any, Any, Any]]) -> tuple[Any, Any, Any, Any, Any]:
    """Return mean, deviation, least, greatest and number of the runs at each place. At each there is at least one."""
    means = numpy.stack([mean for mean, _, _ in several])
    known = ~numpy.isnan(means)
    runs = known.sum(axis=0)
    mean = numpy.where(known, means, 0.0).sum(axis=0) / runs
    mean = numpy.clip(mean, numpy.fmin.reduce(means), numpy.fmax.reduce(means))  # whatever rounding does
    apart = numpy.where(known, means - mean, 0.0)
    deviation = numpy.sqrt((apart**2).sum(axis=0) / runs)
    low = numpy.fmin.reduce([one for _, one, _ in several])
    high = numpy.fmax.reduce([one for _, _, one in several])
    return mean, deviation, low, high, runs
