"""A series of millions of points in half the memory, read from the journal without ever holding it twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tracelet.journal import Cursor, writers
from tracelet.store.dense_columns import DenseColumn
from tracelet.store.index.bulk_reader import read_backlog
from tracelet.store.point_columns import Points, require_numpy
from tracelet.store.series import Series

MIN_POINTS: Final = 1_000_000  # a shorter series is held as it is


class DenseSeries(Series):
    """A series in the order of steps and of times, as a single process records it.

    ``points`` makes the whole columns again; :func:`tracelet.store.windows.read_window` does without.
    """

    def __init__(
        self,
        name: str,
        run: str,
        kind: tuple[str, str | None],
        steps: DenseColumn,
        values: Any,
        times: DenseColumn,
    ) -> None:
        self.name = name
        self.run = run
        self.type, self.source = kind
        self._ranks = self._origin = None
        self.steps = steps
        self.dense_values = values
        self.times = times

    @property
    def points(self) -> Points:  # type: ignore[override]
        """The points as whole columns, made again at each access."""
        return Points(self.steps.all(), self.dense_values, self.times.all())

    def __len__(self) -> int:
        return len(self.dense_values)

    @property
    def nbytes(self) -> int:
        """The memory that the points take."""
        return self.steps.nbytes + self.times.nbytes + int(self.dense_values.nbytes)


def read_dense(run_dir: Path, run: str, name: str, count: int) -> tuple[DenseSeries, dict[str, int]] | None:
    """Return a metric of ``count`` points, and the cursor behind it.

    ``None`` if only the whole run gives the right answer: several processes or collectors recorded it, the journal is
    damaged, or the points are in another order.
    """
    numpy = require_numpy("tracelet ui")
    steps, times, at = DenseColumn(), DenseColumn(), 0
    values = numpy.empty(count)
    owner: tuple[str, str, str | None] | None = None  # writer, type and source
    for writer in writers(run_dir):
        for chunk in read_backlog(run_dir, writer, Cursor()):
            for metric, points in chunk.points.items():
                if metric.name != name or not len(points.values):
                    continue
                if (
                    owner not in (None, (writer, metric.type, metric.source))
                    or at + len(points.values) > count
                ):
                    return None
                owner = (writer, metric.type, metric.source)
                steps.append(numpy.asarray(points.steps))
                times.append(numpy.asarray(points.times))
                values[at : at + len(points.values)] = points.values
                at += len(points.values)
    if owner is None or at != count or not (steps.is_sorted and times.is_sorted):
        return None
    return DenseSeries(name, run, owner[1:], steps, values, times), {owner[0]: count}
