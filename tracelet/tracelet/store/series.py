"""One metric of one run: its points, in a few ways to look at them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple, overload

from tracelet.errors import UsageError
from tracelet.journal import Columns
from tracelet.store import columns as cols
from tracelet.store.columns import Points
from tracelet.store.merging import merge
from tracelet.store.tally import Summary, Tally, combine


class Point(NamedTuple):
    """One value, where in the training it belongs, and when it was recorded (seconds since the epoch)."""

    iteration: int
    value: float
    timestamp: float


class Series:
    """The points of one metric, as they were when the run was read.

    ``iterations``, ``values`` and ``timestamps`` are lists of equal length; ``arrays()`` gives the same as NumPy
    arrays, without a copy. What one process recorded stands in the order of recording; where several did (ranks,
    a resumed run), their points are sorted by step, then time, and ``rank(0)`` gives those of one rank alone.
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
        origin: Columns | None = None,
    ) -> None:
        self.name = name
        self.run = run
        self.type = type
        self.source = source
        self.points = points
        self._ranks = ranks  # of each point, -1 for none; None where all are of one process
        self._origin = origin

    @classmethod
    def of(cls, name: str, columns: Columns, run: str = "", rank: int | None = None) -> Series:
        """Return a metric's series from the columns of its run; with a rank, that rank's points alone."""
        parts = columns.parts if rank is None else [part for part in columns.parts if part.rank == rank]
        points, numbers = merge(columns, parts)
        ranks = None if numbers is None else cols.looked_up([_rank(part.rank) for part in parts], numbers)
        first = parts[0] if parts else None
        return cls(
            name,
            points,
            run=run,
            type=first.type if first else "scalar",
            source=first.source if first else None,
            ranks=ranks,
            origin=columns,
        )

    @cached_property
    def iterations(self) -> list[int]:
        """The step of each point."""
        return cols.plain_list(self.points.steps)

    @cached_property
    def values(self) -> list[float]:
        """The value of each point, exactly as it was recorded."""
        return cols.plain_list(self.points.values)

    @cached_property
    def timestamps(self) -> list[float]:
        """When each point was recorded, in seconds since the epoch."""
        return cols.plain_list(self.points.times)

    def arrays(self) -> Points:
        """Return steps, values and times as NumPy arrays (int64, float64, float64) that cannot be written to."""
        return Points(*(cols.as_array(column) for column in self.points))

    # --- in a few numbers --------------------------------------------------------------------------------

    @cached_property
    def summary(self) -> Summary:
        """Last, min, max, mean, count and more. Min, max and mean leave NaN out."""
        tally = Tally(self.type, self.source)
        tally.add(self.points)
        return combine([tally])

    @property
    def last(self) -> float:
        """The value of the last point, NaN where there is none."""
        return float(self.points.values[-1]) if len(self) else math.nan

    @property
    def min(self) -> float:
        """The least value, leaving NaN out."""
        return self.summary["min"]

    @property
    def max(self) -> float:
        """The greatest value, leaving NaN out."""
        return self.summary["max"]

    @property
    def mean(self) -> float:
        """The mean of the values, leaving NaN out."""
        return self.summary["mean"]

    @property
    def count(self) -> int:
        """How many points there are."""
        return len(self)

    # --- in part -----------------------------------------------------------------------------------------

    @property
    def ranks(self) -> list[int]:
        """The ranks that recorded this metric; none where the run was a single process."""
        parts = self._origin.parts if self._origin is not None else []
        return sorted({part.rank for part in parts if part.rank is not None})

    def rank(self, rank: int) -> Series:
        """Return one rank's points alone, in the order of recording. None of them is an empty series."""
        return Series.of(self.name, self._origin or Columns(), self.run, rank)

    def between(self, first: int | None = None, last: int | None = None) -> Series:
        """Return the points from step ``first`` to step ``last``, both included."""
        return self._at(cols.places_between(self.points.steps, first, last))

    def downsample(self, points: int) -> Series:
        """Return about so many of the points, chosen so that every peak stays: a plot looks the same.

        From each of ``points / 2`` stretches of the series the least and the greatest value are kept (NaN aside),
        and the first and the last point always. A series that is not longer is returned as it is.
        """
        from tracelet.store.downsampling import places_of_peaks

        if points < 2:
            raise UsageError(f"downsample: expected at least 2 points, found {points}")
        return self if len(self) <= points else self._at(places_of_peaks(self.points.values, points))

    def _at(self, where: Any) -> Series:
        ranks = None if self._ranks is None else cols.pick(self._ranks, where)
        picked = self.points.take(where)
        return Series(self.name, picked, run=self.run, type=self.type, source=self.source, ranks=ranks)

    # --- as other things ---------------------------------------------------------------------------------

    def table(self) -> dict[str, Any]:
        """Return columns by name: ``iteration``, ``value``, ``timestamp``, and ``rank`` where there are several."""
        table = dict(zip(Point._fields, self.points, strict=True))
        return table if self._ranks is None else {**table, "rank": self._ranks}

    def dataframe(self, library: str | None = None) -> Any:
        """Return a DataFrame with the columns ``iteration``, ``value`` and ``timestamp`` (and ``rank``).

        ``library`` is ``pandas``, ``polars`` or ``arrow``; by default the first of them that is installed.
        """
        from tracelet.store.frames import frame

        return frame(self.table(), library)

    def to_dict(self) -> dict[str, Any]:
        """Return name, type, source and the three lists."""
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

    def __repr__(self) -> str:
        of = f" of run {self.run}" if self.run else ""
        last = f", last {self.last!r}" if len(self) else ""
        return f"<Series {self.name!r}{of}: {len(self)} points{last}>"


def _rank(rank: int | None) -> int:
    return -1 if rank is None else rank
