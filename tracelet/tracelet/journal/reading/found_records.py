"""What a follower finds, collected as records or as columns."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import compress, count, repeat
from typing import Any, Protocol

from tracelet.journal.reading.journal_records import EventRecord, PointRecord, Record
from tracelet.journal.reading.names import Metric
from tracelet.journal.segments.pieces import Points

_point_record: Callable[[Iterable[Any]], PointRecord] = partial(tuple.__new__, PointRecord)  # without a check


class PointColumns:
    """Consecutive points of one writer, as columns of equal length; ``key_indices`` are places in ``keys``."""

    __slots__ = ("indexes", "key_indices", "keys", "sequences", "steps", "times", "values")

    def __init__(self) -> None:
        self.keys: list[Metric] = []
        self.key_indices = array("I")
        self.steps, self.sequences, self.indexes = array("q"), array("q"), array("q")
        self.times, self.values = array("d"), array("d")

    def __len__(self) -> int:
        return len(self.values)

    def where(self, mask: Sequence[Any]) -> PointColumns:
        """Return the points for which ``mask``, which has an entry for each, is true."""
        if all(mask):
            return self
        found = PointColumns()
        found.keys = self.keys
        for name in ("indexes", "key_indices", "sequences", "steps", "times", "values"):
            getattr(found, name).extend(compress(getattr(self, name), mask))
        return found


Chunk = PointColumns | EventRecord


class Found(Protocol):
    """Where a follower puts what it finds."""

    def __len__(self) -> int:
        """Return how many records there are."""

    def add_points(self, seq: int, metrics: Mapping[int, Metric], columns: Points) -> None:
        """Add points with consecutive sequence numbers, of the metric of each tag."""

    def add_row(
        self, seq: int, metrics: tuple[Metric, ...], step: int, time: float, values: Sequence[float]
    ) -> None:
        """Add the points of one record."""

    def add_event(self, event: EventRecord) -> None:
        """Add an event."""


class RecordList:
    """Collects records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def __len__(self) -> int:
        return len(self.records)

    def add_points(self, seq: int, metrics: Mapping[int, Metric], columns: Points) -> None:
        """Add points with consecutive sequence numbers, of the metric of each tag."""
        named: Iterable[Iterable[Any]]
        if len(metrics) == 1:
            named = map(repeat, next(iter(metrics.values())))
        else:
            named = zip(*[metrics[tag] for tag in columns.tags], strict=True)
        rows = zip(count(seq), repeat(0), *named, columns.steps, columns.times, columns.values)
        self.records += map(_point_record, rows)

    def add_row(
        self, seq: int, metrics: tuple[Metric, ...], step: int, time: float, values: Sequence[float]
    ) -> None:
        """Add the points of one record."""
        named = zip(*metrics, strict=True)  # names, types, sources
        rows = zip(repeat(seq), count(), *named, repeat(step), repeat(time), values)
        self.records += map(_point_record, rows)

    def add_event(self, event: EventRecord) -> None:
        """Add an event."""
        self.records.append(event)


class ColumnList:
    """Collects consecutive points as columns; an event is between two of them."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self._length = 0
        self._begin()

    def _begin(self) -> None:
        self._open: PointColumns | None = None
        self._numbers: dict[Metric, int] = {}
        #: By the id of its metrics: a row's numbers, and its metrics, so that the id stays theirs.
        self._rows: dict[int, tuple[array[int], tuple[Metric, ...]]] = {}

    def __len__(self) -> int:
        return self._length

    def _columns(self) -> PointColumns:
        if self._open is None:
            self._open = PointColumns()
            self.chunks.append(self._open)
        return self._open

    def _number(self, columns: PointColumns, metric: Metric) -> int:
        number = self._numbers.get(metric)
        if number is None:
            number = self._numbers[metric] = len(columns.keys)
            columns.keys.append(metric)
        return number

    def _row_numbers(self, columns: PointColumns, metrics: tuple[Metric, ...]) -> array[int]:
        if len(metrics) == 1:
            return array("I", [self._number(columns, metrics[0])])
        known = self._rows.get(id(metrics))
        if known is None:
            numbers = array("I", [self._number(columns, metric) for metric in metrics])
            known = self._rows[id(metrics)] = numbers, metrics
        return known[0]

    def add_points(self, seq: int, metrics: Mapping[int, Metric], columns: Points) -> None:
        """Add points with consecutive sequence numbers, of the metric of each tag."""
        found, size = self._columns(), len(columns.values)
        numbers = {tag: self._number(found, metric) for tag, metric in metrics.items()}
        if len(numbers) == 1:
            found.key_indices.extend(array("I", numbers.values()) * size)
        else:
            found.key_indices.extend(map(numbers.__getitem__, columns.tags))
        found.sequences.extend(range(seq, seq + size))
        found.indexes.frombytes(bytes(8 * size))
        found.steps.extend(columns.steps)
        found.times.extend(columns.times)
        found.values.extend(columns.values)
        self._length += size

    def add_row(
        self, seq: int, metrics: tuple[Metric, ...], step: int, time: float, values: Sequence[float]
    ) -> None:
        """Add the points of one record."""
        found, size = self._columns(), len(values)
        found.key_indices.extend(self._row_numbers(found, metrics))
        found.sequences.extend(repeat(seq, size))
        found.indexes.extend(range(size))
        found.steps.extend(repeat(step, size))
        found.times.extend(repeat(time, size))
        found.values.extend(values)
        self._length += size

    def add_event(self, event: EventRecord) -> None:
        """Add an event."""
        self.chunks.append(event)
        self._length += 1
        self._begin()


def group_points(records: Iterable[Record]) -> list[Chunk]:
    """Return records as :meth:`Follower.read_columns` would have returned them."""
    found = ColumnList()
    for record in records:
        if isinstance(record, EventRecord):
            found.add_event(record)
            continue
        seq, index, name, type_, source, step, time, value = record
        found.add_row(seq, (Metric(name, type_, source),), step, time, (value,))
        found.chunks[-1].indexes[-1] = index  # type: ignore[union-attr]
    return found.chunks
