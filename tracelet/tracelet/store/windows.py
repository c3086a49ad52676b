"""A part of a series as a screen can show it: a range of x, and the extremes of each pixel's share of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, NamedTuple

from tracelet.errors import UsageError
from tracelet.messages import one_of
from tracelet.store.point_columns import Points, require_numpy
from tracelet.store.series import Series

AXES: Final = ("step", "time", "relative")


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
) -> Window:
    """Return the least and the greatest value of each pixel, in the order of x.

    Args:
        series: the points.
        axis: what x is: ``step``, ``time`` (seconds since the epoch) or ``relative`` (seconds since ``start``).
        first: the least x, by default the first point's.
        last: the greatest x, by default the last point's. The points next to the range are kept, too, so that a
            line leaves the screen where it should.
        pixels: the number of parts into which the range is divided. A NaN in a part is kept, in addition to the
            extremes.
        start: what ``relative`` counts from.
    """
    if axis not in AXES:
        raise UsageError(f"x: expected {one_of(AXES)}, found {axis!r}")
    if pixels < 1:
        raise UsageError(f"pixels: expected a positive number, found {pixels}")
    numpy = require_numpy("tracelet ui")
    points, x = _in_order(numpy, series.points, axis)
    if axis == "relative":
        x = x - start
    low, high = _range(numpy, x, first, last)
    points, x = points.take(slice(low, high)), x[low:high]
    if len(x) > 2 * pixels:
        values = numpy.asarray(points.values)
        bounds = _bounds(numpy, x, pixels)
        places = _extremes(numpy, values, bounds)
        return Window(x[places], points.take(places), len(x), _means(numpy, x, values, bounds))
    return Window(x, points, len(x))


def _in_order(numpy: Any, points: Points, axis: str) -> tuple[Points, Any]:
    """Return the points sorted by x. Those of one process come in any order of steps."""
    x = numpy.asarray(points.steps if axis == "step" else points.times)
    if len(x) > 1 and not (x[1:] >= x[:-1]).all():
        order = numpy.argsort(x, kind="stable")
        return points.take(order), x[order]
    return points, x


def _range(numpy: Any, x: Any, first: float | None, last: float | None) -> tuple[int, int]:
    low = 0 if first is None else max(0, int(numpy.searchsorted(x, first, "left")) - 1)
    high = len(x) if last is None else min(len(x), int(numpy.searchsorted(x, last, "right")) + 1)
    return low, max(low, high)


def _bounds(numpy: Any, x: Any, pixels: int) -> list[int]:
    """Return where each part of the range of x begins, and the end of the last one."""
    edges = numpy.linspace(float(x[0]), float(x[-1]), pixels + 1)[1:-1]
    return [0, *numpy.searchsorted(x, edges).tolist(), len(x)]


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
    starts = numpy.array([start for start, stop in pairwise(bounds) if stop > start], dtype="int64")
    sizes = numpy.diff(numpy.append(starts, len(values)))
    counts, sums = sizes, numpy.add.reduceat(values, starts)
    if numpy.isnan(sums).any():
        known = ~numpy.isnan(values)
        counts = numpy.add.reduceat(known.astype("int64"), starts)
        sums = numpy.add.reduceat(numpy.where(known, values, 0.0), starts)
    with numpy.errstate(invalid="ignore", divide="ignore"):
        return Means(numpy.add.reduceat(x, starts, dtype="float64") / sizes, sums / counts)
