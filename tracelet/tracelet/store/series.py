"""One metric of one run: its points, and several ways to look at them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

from tracelet.errors import UsageError
from tracelet.journal import Columns, Part
from tracelet.store import point_columns
from tracelet.store.accumulator import MetricAccumulator, Summary, summarize
from tracelet.store.point_columns import EMPTY, INTEGERS, Points


class Point(NamedTuple):
    """One value, its step, and when it was recorded (seconds since the epoch)."""

    iteration: int
    value: float
    timestamp: float


class MetricColumns(NamedTuple):
    """The points of one metric from one source: the columns of its name, and the parts that belong to the metric."""

    columns: Columns
    parts: Sequence[Part]
    attempts: Callable[[], Mapping[str, int]] = dict  # returns each writer's attempt

    def merge(self, parts: Sequence[Part]) -> tuple[Points, Any | None]:
        """Return the points of some parts in one order, and for each the place of its part (None: one process).

        The points of one process stay in the order of recording. Those of several are sorted by step, then by
        attempt (a resumed run overlaps the one before), then by time (ranks interleave).
        """
        if not parts:
            return EMPTY, None
        points = Points(self.columns.steps, self.columns.values, self.columns.times)
        if len(parts) != len(self.columns.parts):
            points = Points(
                *(
                    point_columns.concatenate([column[part.start : part.stop] for part in parts])
                    for column in points
                )
            )
        if len({part.writer for part in parts}) == 1:
            return points, None
        places = _part_places(parts)
        order = point_columns.order_by(points.steps, points.times)
        attempts = self.attempts()
        of_parts = [attempts.get(part.writer, 0) for part in parts]
        if len(set(of_parts)) > 1:
            order = point_columns.order_by(
                points.steps, point_columns.look_up(of_parts, places), points.times
            )
        return points.take(order), point_columns.pick(places, order)


def _part_places(parts: Sequence[Part]) -> Any:
    columns = [array(INTEGERS, [place]) * (part.stop - part.start) for place, part in enumerate(parts)]
    return point_columns.concatenate(columns)


class Series:
    """The points of one metric, as of when the run was read.

    ``iterations``, ``values`` and ``timestamps`` are lists of equal length; ``arrays()`` returns the same as NumPy
    arrays, without a copy. The points of one process are in the order of recording. If several recorded the metric
    (ranks, a resumed run), they are sorted by step, then by attempt and time; ``rank(0)`` has those of one rank alone.
    """

    def __init__(
        self,
        name: str,
        points: Points,
        *,
        run: str = "",
        type: str = "scalar",
        source: str | None = None,
        ranks: Any = None,
        origin: MetricColumns | None = None,
    ) -> None:
        self.name = name
        self.run = run
        self.type = type
        self.source = source
        self.points = points
        self._ranks = ranks  # of each point, -1 for none; None if all points are of one process
        self._origin = origin

    @classmethod
    def of(cls, name: str, origin: MetricColumns, run: str = "", rank: int | None = None) -> Series:
        """Return a metric's series from the columns of its run; with a rank, only that rank's points."""
        parts = [part for part in origin.parts if rank is None or part.rank == rank]
        points, places = origin.merge(parts)
        ranks = (
            None if places is None else point_columns.look_up([_rank(part.rank) for part in parts], places)
        )
        first = parts[0] if parts else None
        return cls(
            name,
            points,
            run=run,
            type=first.type if first else "scalar",
            source=first.source if first else None,
            ranks=ranks,
            origin=origin if rank is None else origin._replace(parts=parts),
        )

    @cached_property
    def iterations(self) -> list[int]:
        """The step of each point."""
        return point_columns.plain_list(self.points.steps)

    @cached_property
    def values(self) -> list[float]:
        """The value of each point, exactly as recorded."""
        return point_columns.plain_list(self.points.values)

    @cached_property
    def timestamps(self) -> list[float]:
        """When each point was recorded, in seconds since the epoch."""
        return point_columns.plain_list(self.points.times)

    def arrays(self) -> Points:
        """Return steps, values and times as read-only NumPy arrays (int64, float64, float64)."""
        return Points(*(point_columns.as_read_only_array(column) for column in self.points))

    # --- statistics --------------------------------------------------------------------------------

    @cached_property
    def summary(self) -> Summary:
        """Last, min, max, mean, count and more. Min, max and mean ignore NaN."""
        accumulator = MetricAccumulator(self.type, self.source)
        accumulator.add(self.points)
        return summarize([accumulator])

    @property
    def last(self) -> float:
        """The value of the last point, NaN if there is none."""
        return float(self.points.values[-1]) if len(self) else math.nan

    @property
    def min(self) -> float:
        """The least value, ignoring NaN."""
        return self.summary["min"]

    @property
    def max(self) -> float:
        """The greatest value, ignoring NaN."""
        return self.summary["max"]

    @property
    def mean(self) -> float:
        """The mean of the values, ignoring NaN."""
        return self.summary["mean"]

    @property
    def count(self) -> int:
        """The number of points."""
        return len(self)

    @property
    def origin(self) -> MetricColumns | None:
        """What each process of the run recorded; ``None`` for a selection of points."""
        return self._origin

    # --- selections -----------------------------------------------------------------------------------------

    @property
    def ranks(self) -> list[int]:
        """The ranks that recorded this metric, empty if the run was a single process."""
        parts = self._origin.parts if self._origin is not None else []
        return sorted({part.rank for part in parts if part.rank is not None})

    def rank(self, rank: int) -> Series:
        """Return only the points of one rank, in the order of recording. Without any, the series is empty."""
        return Series.of(self.name, self._origin or MetricColumns(Columns(), []), self.run, rank)

    def between(self, first: int | None = None, last: int | None = None) -> Series:
        """Return the points from step ``first`` to step ``last``, both included."""
        return self._at(point_columns.find_between(self.points.steps, first, last))

    def downsample(self, points: int) -> Series:
        """Return about ``points`` of the points, chosen so that every peak stays and a plot looks the same.

        Of each of ``points / 2`` stretches of the series, the least and the greatest value are kept (ignoring NaN),
        and always the first and the last point. A series that is not longer is returned as it is.
        """
        from tracelet.store.downsampling import find_peaks

        if points < 2:
            raise UsageError(f"downsample: expected at least 2 points, found {points}")
        return self if len(self) <= points else self._at(find_peaks(self.points.values, points))

    def _at(self, places: Any) -> Series:
        series = self.replaced_by(self.points.take(places))
        series._ranks = None if self._ranks is None else point_columns.pick(self._ranks, places)
        return series

    def replaced_by(self, points: Points) -> Series:
        """Return the same metric with other points."""
        return Series(self.name, points, run=self.run, type=self.type, source=self.source)

    def plot(
        self,
        *,
        x: str = "step",
        smoothing: float = 0.0,
        log: bool = False,
        points: int = 2000,
        library: str | None = None,
    ) -> Any:
        """Return the curve as a figure of Plotly or Matplotlib. See :meth:`RunRecord.plot`."""
        from tracelet.store.plotting import plot
        from tracelet.store.plotting_panels import Style

        return plot([self], Style(x, smoothing, log, points), {}, library)

    # --- conversions ---------------------------------------------------------------------------------

    def table(self) -> dict[str, Any]:
        """Return columns by name: ``iteration``, ``value``, ``timestamp``, and ``rank`` if there are several."""
        table = dict(zip(Point._fields, self.points, strict=True))
        return table if self._ranks is None else {**table, "rank": self._ranks}

    def dataframe(self, library: str | None = None) -> Any:
        """Return a DataFrame with the columns ``iteration``, ``value`` and ``timestamp`` (and ``rank``).

        ``library`` is ``pandas``, ``polars`` or ``arrow``, by default the first that is installed.
        """
        from tracelet.store.frames import make_frame

        return make_frame(self.table(), library)

    def to_dict(self) -> dict[str, Any]:
        """Return name, type, source and the three lists as a dictionary."""
        return {
            "name": self.name,
            "type": self.type,
            "source": self.source,
            "iterations": self.iterations,
            "values": self.values,
            "timestamps": self.timestamps,
        }

    def __len__(self) -> int:
        return len(self.points.values)

    def __iter__(self) -> Iterator[Point]:
        return map(Point, self.iterations, self.values, self.timestamps)

    @overload
    def __getitem__(self, place: int) -> Point: ...
    @overload
    def __getitem__(self, place: slice) -> Series: ...
    def __getitem__(self, place: int | slice) -> Point | Series:
        if isinstance(place, slice):
            return self._at(place)
        steps, values, times = (column[place] for column in self.points)
        return Point(int(steps), float(values), float(times))

    def _repr_html_(self) -> str:
        from tracelet.store.html import series_html

        return series_html(self)

    def __repr__(self) -> str:
        of = f" of run {self.run}" if self.run else ""
        last = f", last {self.last!r}" if len(self) else ""
        return f"<Series {self.name!r}{of}: {len(self)} point{'s' * (len(self) != 1)}{last}>"


def _rank(rank: int | None) -> int:
    return -1 if rank is None else rank
