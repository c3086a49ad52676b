"""Points as NumPy arrays, in the order of a metrics file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from tracelet_builtin_plugins.backends.lake.mapping import make_name
from tracelet_hookspecs import NO_STEP, MetricColumns

__all__ = ["SeriesPoints", "SortedPoints", "Texts", "sort_points"]

Key = tuple[str, str, str | None]
_MOST_TEXT: Final = 1 << 29  # characters in a column, of which Arrow counts the bytes with 32 bits


class SeriesPoints(NamedTuple):
    """The points of one metric, as :class:`~tracelet_hookspecs.statistics.MetricAccumulator` takes them."""

    steps: Any
    values: Any
    times: Any


class Texts:
    """Texts, each of them repeated a number of times, as the buffers of an Arrow array; ``None`` becomes NULL."""

    def __init__(self, texts: Sequence[str | None], counts: Sequence[int]) -> None:
        import numpy

        encoded = [(text or "").encode() for text in texts]
        self.data = b"".join(text * count for text, count in zip(encoded, counts, strict=True))
        lengths: Any = numpy.repeat([len(text) for text in encoded], counts)
        self.offsets: Any = numpy.concatenate([[0], lengths.cumsum()]).astype("int32")
        self.valid = _bits(numpy, numpy.repeat([text is not None for text in texts], counts))

    def __len__(self) -> int:
        return len(self.offsets) - 1


def _bits(numpy: Any, valid: Any) -> Any:
    return None if valid.all() else numpy.packbits(valid, bitorder="little")


class SortedPoints:
    """Points of one writer, sorted by metric, then in the order of recording."""

    def __init__(self, numpy: Any, columns: MetricColumns, keys: list[Key], ranks: Any) -> None:
        self.writer = columns.writer
        #: The distinct metrics in order, with their names as recorded, and how many points come before those of each.
        self.keys = keys
        order = numpy.argsort(ranks, kind="stable")
        self.starts = [0, *numpy.bincount(ranks, minlength=len(keys)).cumsum().tolist()]
        self.steps, self.values, self.times, self.sequences, self.indexes = (
            numpy.asarray(column)[order]
            for column in (columns.steps, columns.values, columns.times, columns.sequences, columns.indexes)
        )

    def texts(self, place: int) -> Texts:
        """Return the names, types or sources of all points."""
        texts = [None if (text := key[place]) is None else make_name(text) for key in self.keys]
        return Texts(texts, [stop - start for start, stop in pairwise(self.starts)])

    def valid_steps(self) -> Any:
        """Return which points have a step, as the bits of an Arrow array; ``None`` if all have one."""
        import numpy

        return _bits(numpy, self.steps != NO_STEP)

    def series(self) -> Iterator[tuple[Key, SeriesPoints]]:
        """Yield the points of each metric."""
        for key, (start, stop) in zip(self.keys, pairwise(self.starts), strict=True):
            where = slice(start, stop)
            yield key, SeriesPoints(self.steps[where], self.values[where], self.times[where])


def sort_points(columns: MetricColumns) -> SortedPoints | None:
    """Return points in the order of a file.

    Returns ``None`` if they are not in the order of recording, if their names are huge, or without NumPy.
    """
    try:
        import numpy
    except ImportError:
        return None
    sequences, indexes = numpy.asarray(columns.sequences), numpy.asarray(columns.indexes)
    later = numpy.diff(sequences)
    longest = max(len(text) for key in columns.keys for text in (key.name, key.source or ""))
    if (
        longest * len(columns) > _MOST_TEXT
        or not ((later > 0) | ((later == 0) & (numpy.diff(indexes) > 0))).all()
    ):
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
