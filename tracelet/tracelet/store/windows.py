"""A part of a series as a screen can show it: a range of x, and the extremes of each pixel's share of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, NamedTuple

from tracelet.errors import UsageError
from tracelet.messages import one_of
from tracelet.store.dense_series import DenseSeries
from tracelet.store.point_columns import Points, require_numpy
from tracelet.store.series import Series

AXES: Final = ("step", "time", "relative")
_MANY: Final = 2.0**64  # more than the points of a series
METRIC: Final = "metric:"  # and a name: another metric of the run is the axis


class Means(NamedTuple):
    """The mean of all points of each part of the range, ignoring NaN, and the mean of their x."""

    x: Any
    values: Any


class Window(NamedTuple):
    """The points to draw, with their x; ``total`` counts the points in the range before any were left out.

    ``means`` has what smoothing and averages are computed from if some were left out, because extremes alone would
    bias them; otherwise it is ``None``.
    """

    x: Any
    points: Points
    total: int
    means: Means | None = None


def read_window(
    series: Series,
    *,
    axis: str = "step",
    first: float | None = None,
    last: float | None = None,
    pixels: int = 800,
    start: float = 0.0,
    along: Series | None = None,
) -> Window:
    """Return the least and the greatest value of each pixel, in the order of x.

    Args:
        series: the points.
        axis: what x is: ``step``, ``time`` (seconds since the epoch), ``relative`` (seconds since ``start``), or
            ``metric:NAME`` for the values of another metric.
        first: the least x, by default the first point's.
        last: the greatest x, by default the last point's. The points next to the range are kept, too, so that a
            line leaves the screen where it should.
        pixels: the number of parts into which the range is divided. A NaN in a part is kept, in addition to the
            extremes.
        start: what ``relative`` counts from.
        along: the metric that is the axis. Each point is placed at its value at the same step, or else at the latest
            step before; points that have none are left out.
    """
    check_axis(axis)
    if pixels < 1:
        raise UsageError(f"pixels: expected a positive number, found {pixels}")
    numpy = require_numpy("tracelet ui")
    if isinstance(series, DenseSeries) and axis in AXES:
        return _read_dense_window(series, axis, first, last, pixels, start)
    points, x = place_points(series.points, axis, start, along)
    if not len(x):
        return Window(x, points, 0)
    low, high = range_of(x, first, last)
    points, x = points.take(slice(low, high)), x[low:high]
    if len(x) > 2 * pixels:
        values = numpy.asarray(points.values)
        bounds = _bounds(numpy, x, pixels)
        places = _extremes(numpy, values, bounds)
        return Window(x[places], points.take(places), len(x), _means(numpy, x, values, bounds))
    return Window(x, points, len(x))


def _read_dense_window(
    series: DenseSeries, axis: str, first: float | None, last: float | None, pixels: int, start: float
) -> Window:
    """Return the same without making the whole columns. The mean of x is the middle of a part."""
    numpy = require_numpy("tracelet ui")
    column = series.steps if axis == "step" else series.times
    shift = start if axis == "relative" else 0
    low = 0 if first is None else max(0, int(column.search([first + shift], "left")[0]) - 1)
    high = (
        len(column) if last is None else min(len(column), int(column.search([last + shift], "right")[0]) + 1)
    )
    high = max(low, high)
    values = series.dense_values[low:high]
    means = None
    if len(values) > 2 * pixels:
        ends = column.pick(numpy.array([low, high - 1]))
        edges = numpy.linspace(float(ends[0]), float(ends[1]), pixels + 1)[1:-1]
        inner = numpy.clip(column.search(edges, "left") - low, 0, len(values))
        bounds = [0, *inner.tolist(), len(values)]
        places = _extremes(numpy, values, bounds)
        starts, stops = _filled(numpy, bounds)
        middles = (column.pick(low + starts) + column.pick(low + stops - 1)) / 2 - shift
        means = Means(middles, _mean_values(numpy, values, starts, stops - starts))
    else:
        places = numpy.arange(len(values))
    points = Points(series.steps.pick(low + places), values[places], series.times.pick(low + places))
    return Window((points.steps if axis == "step" else points.times - shift), points, len(values), means)


def check_axis(axis: str) -> None:
    """Raise :class:`UsageError` unless x can be this."""
    if axis not in AXES and not (axis.startswith(METRIC) and len(axis) > len(METRIC)):
        raise UsageError(f"x: expected {one_of([*AXES, f'{METRIC}NAME'])}, found {axis!r}")


def place_points(
    points: Points, axis: str, start: float = 0.0, along: Series | None = None
) -> tuple[Points, Any]:
    """Return the points in the order of x, and their x. See :func:`read_window`."""
    numpy = require_numpy("tracelet ui")
    if axis in AXES:
        points, x = _in_order(numpy, points, points.steps if axis == "step" else points.times)
        return points, x - start if axis == "relative" else x
    if along is None or not len(along):
        return points.take(slice(0, 0)), numpy.zeros(0)
    others, steps = _in_order(numpy, along.points, along.points.steps)
    places = numpy.searchsorted(steps, numpy.asarray(points.steps), "right") - 1
    x = numpy.asarray(others.values)[numpy.maximum(places, 0)]
    known = numpy.flatnonzero((places >= 0) & numpy.isfinite(x))
    return _in_order(numpy, points.take(known), x[known])


def _in_order(numpy: Any, points: Points, column: Any) -> tuple[Points, Any]:
    """Return the points sorted by a column, and the column. Those of one process come in any order of steps."""
    x = numpy.asarray(column)
    if len(x) > 1 and not (x[1:] >= x[:-1]).all():
        order = numpy.argsort(x, kind="stable")
        return points.take(order), x[order]
    return points, x


def range_of(x: Any, first: float | None, last: float | None) -> tuple[int, int]:
    """Return the places between two values of a sorted column, with a neighbor at each end."""
    numpy = require_numpy("tracelet ui")
    low = 0 if first is None else max(0, int(numpy.searchsorted(x, first, "left")) - 1)
    high = len(x) if last is None else min(len(x), int(numpy.searchsorted(x, last, "right")) + 1)
    return low, max(low, high)


def _bounds(numpy: Any, x: Any, pixels: int) -> list[int]:
    """Return where each part of the range of x begins, and the end of the last one."""
    edges = even_edges(x[0], x[-1], pixels)[1:-1]
    return [0, *numpy.searchsorted(x, edges).tolist(), len(x)]


def even_edges(low: float, high: float, pixels: int) -> Any:
    """Return the edges of equal parts of a range, however far its ends are apart."""
    numpy = require_numpy("tracelet ui")
    return numpy.linspace(float(low) / 2, float(high) / 2, pixels + 1) * 2


def _extremes(numpy: Any, values: Any, bounds: list[int]) -> Any:
    """Return the places of the first and last point, and of the extremes of each part."""
    kept = {0, len(values) - 1}
    for start, stop in pairwise(bounds):
        if stop - start < 3:
            kept.update(range(start, stop))
            continue
        part = values[start:stop]
        low, high = int(part.argmin()), int(part.argmax())
        if part[low] != part[low]:  # argmin finds the first NaN
            kept.add(start + low)
            known = numpy.flatnonzero(~numpy.isnan(part))
            if not len(known):
                continue
            low, high = int(known[part[known].argmin()]), int(known[part[known].argmax()])
        kept.update((start + low, start + high))
    return numpy.array(sorted(kept), dtype="int64")


def _means(numpy: Any, x: Any, values: Any, bounds: list[int]) -> Means:
    starts, stops = _filled(numpy, bounds)
    sizes = stops - starts
    means = _mean_values(numpy, numpy.asarray(x, "float64"), starts, sizes)
    return Means(means, _mean_values(numpy, values, starts, sizes))


def _filled(numpy: Any, bounds: list[int]) -> tuple[Any, Any]:
    """Return where each part that has points begins, and where it ends."""
    edges = numpy.array(bounds, dtype="int64")
    filled = edges[1:] > edges[:-1]
    return edges[:-1][filled], edges[1:][filled]


def _mean_values(numpy: Any, values: Any, starts: Any, sizes: Any) -> Any:
    with numpy.errstate(over="ignore"):
        counts, sums = sizes, numpy.add.reduceat(values, starts)
    if numpy.isnan(sums).any():
        known = ~numpy.isnan(values)
        counts = numpy.add.reduceat(known.astype("int64"), starts)
        sums = numpy.add.reduceat(numpy.where(known, values, 0.0), starts)
    with numpy.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    if numpy.isinf(means).any():  # of an infinity, or too large a sum
        parts = numpy.add.reduceat(numpy.where(numpy.isnan(values), 0.0, values) / _MANY, starts)
        means = numpy.where(numpy.isinf(means), parts / counts * _MANY, means)
    return means
