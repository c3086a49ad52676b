"""Points as NumPy arrays, in the order of a metrics file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tracelet_builtin_plugins.backends.lake.mapping import make_name
from tracelet_hookspecs import NO_STEP, MetricColumns

__all__ = ["SeriesPoints", "SortedPoints", "sort_points"]

Key = tuple[str, str, str | None]


class SeriesPoints(NamedTuple):
    """The points of one metric, as :class:`~tracelet_hookspecs.statistics.MetricAccumulator` takes them."""

    steps: Any
    values: Any
    times: Any


class SortedPoints:
    """Points of one writer, sorted by metric, then in the order of recording."""

    def __init__(self, numpy: Any, columns: MetricColumns, keys: list[Key], ranks: Any) -> None:
        self.writer = columns.writer
        #: The distinct metrics in order, with their names as recorded, and how many points come before those of each.
        self.keys = keys
        order = numpy.argsort(ranks, kind="stable")
        self.ranks = ranks[order]
        self.starts = numpy.searchsorted(self.ranks, numpy.arange(len(keys) + 1, dtype="int32")).tolist()
        self.steps, self.values, self.times, self.sequences, self.indexes = (
            numpy.asarray(column)[order]
            for column in (columns.steps, columns.values, columns.times, columns.sequences, columns.indexes)
        )
        self.lacks_steps = bool((self.steps == NO_STEP).any())

    def texts(self, pyarrow: Any, place: int) -> Any:
        """Return the names, types or sources of all points."""
        texts = [None if (text := key[place]) is None else make_name(text) for key in self.keys]
        indices = pyarrow.array(self.ranks)
        if None in texts:
            indices = pyarrow.array(self.ranks, mask=_where_none(self, texts))
        return pyarrow.DictionaryArray.from_arrays(
            indices, pyarrow.array([text or "" for text in texts], pyarrow.string())
        ).dictionary_decode()

    def series(self) -> Iterator[tuple[Key, SeriesPoints]]:
        """Yield the points of each metric."""
        for key, start, stop in zip(self.keys, self.starts, self.starts[1:], strict=False):
            where = slice(start, stop)
            yield key, SeriesPoints(self.steps[where], self.values[where], self.times[where])


def _where_none(points: SortedPoints, texts: list[str | None]) -> Any:
    import numpy

    return numpy.array([text is None for text in texts])[points.ranks]


def sort_points(columns: MetricColumns) -> SortedPoints | None:
    """Return points in the order of a file; ``None`` if they are not in the order of recording, or NumPy is missing."""
    try:
        import numpy
    except ImportError:
        return None
    sequences, indexes = numpy.asarray(columns.sequences), numpy.asarray(columns.indexes)
    later = numpy.diff(sequences)
    if not ((later > 0) | ((later == 0) & (numpy.diff(indexes) > 0))).all():
        return None
    used, which = numpy.unique(numpy.asarray(columns.key_indices), return_inverse=True)
    keys = [
        (columns.keys[at].name, columns.keys[at].type.value, columns.keys[at].source) for at in used.tolist()
    ]
    order = sorted(range(len(keys)), key=lambda at: _sort_key(keys[at]))
    kind = "int16" if len(keys) < 1 << 15 else "int32"  # NumPy sorts the former by radix
    ranks: Any = numpy.empty(len(keys), kind)
    ranks[order] = numpy.arange(len(keys), dtype=kind)
    return SortedPoints(numpy, columns, [keys[at] for at in order], ranks[which])


def _sort_key(key: Key) -> tuple[Any, ...]:
    name, type, source = key
    return make_name(name), type, source is None, make_name(source or "")
