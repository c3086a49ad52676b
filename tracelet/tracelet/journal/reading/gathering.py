"""Collecting many points as columns, with the standard library alone."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from tracelet.journal.events import InvalidEventError, decode_event
from tracelet.journal.format import BLOB, ID_MASK, POINT, ROW
from tracelet.journal.reading.journal_records import EventRecord
from tracelet.journal.reading.names import Metric, Names
from tracelet.journal.reading.valid_times import count_invalid, make_valid, nearest_valid_time
from tracelet.journal.segments.pieces import PARTIAL, POINTS, Block, Piece, pieces, places_of, point_columns
from tracelet.journal.segments.unpacking import UnpackedChunk


class Series(NamedTuple):
    """Points of one metric of one writer, in the order of their sequence numbers."""

    seqs: Any
    steps: Any
    times: Any
    values: Any

    @classmethod
    def empty(cls) -> Series:
        """Return a series without points."""
        return cls(array("q"), array("q"), array("d"), array("d"))


class SeriesParts:
    """Series of one metric, joined at the end; single points are appended to the last one."""

    def __init__(self) -> None:
        self.whole: list[Series] = []
        self._open = Series.empty()

    def append(self, piece: Piece) -> None:
        """Append one point."""
        seqs, steps, times, values = self._open
        seqs.append(piece.seq)
        steps.append(piece.step)
        times.append(piece.time)
        values.append(piece.value)

    def add(self, series: Series) -> None:
        """Append a series."""
        self.close()
        self.whole.append(series)

    def close(self) -> list[Series]:
        """Return all series."""
        if self._open.seqs:
            self.whole.append(self._open)
            self._open = Series.empty()
        return self.whole


class Rows:
    """Rows with the same columns."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heads = Series.empty()
        self._values = array("d")

    def append(self, piece: Piece) -> None:
        """Append a row."""
        self._heads.seqs.append(piece.seq)
        self._heads.steps.append(piece.step)
        self._heads.times.append(piece.time)
        self._values.frombytes(piece.payload)

    def columns(self) -> list[Series]:
        """Return the points of each column."""
        values = array("d", self._values)
        if sys.byteorder == "big":
            values.byteswap()
        return [self._heads._replace(values=values[place :: self._count]) for place in range(self._count)]


class Gatherer:
    """Takes the blocks of one writer in order, then returns its points by metric."""

    numpy = False  # whether its columns are NumPy arrays
    #: Whether it is for events alone: then the values in rows need not be checked.
    only_events = False

    def __init__(self, wanted: frozenset[str] | None = None) -> None:
        self.names = Names()
        self.events: list[EventRecord] = []
        self.holes: list[Piece] = []  # slots without an intact record
        self.invalid = 0  # events, or keys of events, that do not fit the schema
        self.invalid_times = 0  # counted by series(), and in events
        self._wanted = wanted
        self._points: dict[int, SeriesParts] = {}
        self._rows: dict[tuple[int, int], Rows] = {}
        self._columns: dict[tuple[int, int, int], list[Series]] = {}  # of rows: id, how many, which one
        self._places: dict[
            tuple[int, int], Sequence[int]
        ] = {}  # of the wanted columns of rows whose names are known

    def take(self, block: Block, first: int) -> int:
        """Take the slots of a block; return how many were used (none of a record that continues beyond it)."""
        used = 0
        for piece in pieces(block.data, first, trusted=block.trusted):
            if piece.kind == PARTIAL:
                break
            self.take_piece(piece)
            used += piece.slots
        return used

    def take_unpacked(self, chunk: UnpackedChunk) -> None:
        """Take the wanted columns of a chunk of a compacted segment.

        Raises:
            PackedError: the chunk is inconsistent. No column was taken.
        """
        for piece in chunk.events():
            self.take_event(piece)
        columns = (
            [] if self._wanted is not None and not self._wanted else list(chunk.columns(self._wanted_of))
        )
        self.holes += chunk.holes()
        for identity, width, place, *series in columns:
            if width:
                self._columns.setdefault((identity, width, place), []).append(Series(*series))
            else:
                self._chunks(identity).add(Series(*series))

    def take_piece(self, piece: Piece) -> None:
        """Take one piece."""
        if piece.kind == POINTS:
            self._take_points(piece)
        elif piece.kind == POINT:
            if self._is_wanted(piece.identity):
                self._chunks(piece.identity).append(piece)
        elif piece.kind == ROW:
            if self._is_row_wanted(piece.identity, len(piece.payload) // 8):
                self._rows_of(piece).append(piece)
        elif piece.kind == BLOB:
            self.take_event(piece)
        elif piece.kind < 0:
            self.holes.append(piece)

    def take_event(self, piece: Piece) -> None:
        """Take an event."""
        try:
            type_, payload, faults = decode_event(piece.payload)
        except InvalidEventError:
            self.invalid += 1
            return
        self.invalid += faults
        if not self.names.learn(type_, payload):
            time = nearest_valid_time(piece.time)
            self.invalid_times += time != piece.time
            self.events.append(EventRecord(piece.seq, type_, payload, time))

    def _is_wanted(self, identity: int) -> bool:
        if self._wanted is None:
            return True
        metric = self.names.metrics.get(identity)  # its name may still follow
        return metric.name in self._wanted if metric is not None else bool(self._wanted)

    def _wanted_of(self, identity: int, count: int) -> Sequence[int]:
        """Return which of the ``count`` columns of a row are wanted; a count of 0 means a point."""
        if not count:
            return range(self._is_wanted(identity))
        if self._wanted is None or not self._wanted:
            return range(count if self._wanted is None else 0)
        if (known := self._places.get((identity, count))) is not None:
            return known
        metrics = self.names.ids(identity)
        if len(metrics) != count:
            return range(count)
        places = [place for place, metric in enumerate(metrics) if self._is_wanted(metric)]
        if all(metric in self.names.metrics for metric in metrics):
            self._places[identity, count] = places
        return places

    def _is_row_wanted(self, identity: int, count: int) -> bool:
        return len(self._wanted_of(identity, count)) > 0

    def _chunks(self, identity: int) -> SeriesParts:
        found = self._points.get(identity)
        if found is None:
            found = self._points[identity] = SeriesParts()
        return found

    def _rows_of(self, piece: Piece) -> Rows:
        key = piece.identity, len(piece.payload) // 8
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = Rows(key[1])
        return found

    def _take_points(self, piece: Piece) -> None:
        points = point_columns(piece)
        whole = Series(range(piece.seq, piece.seq + piece.slots), points.steps, points.times, points.values)
        for tag, places in places_of(points.tags).items():
            if isinstance(places, range):
                part = Series(*(column[places.start :: places.step] for column in whole))
            else:
                pick = itemgetter(*places, places[0])  # one more: the result is a tuple even for one place
                part = Series(*(pick(column)[:-1] for column in whole))
            self._take_part(tag, part)

    def _take_part(self, tag: int, series: Series) -> None:
        if self._is_wanted(tag & ID_MASK):
            self._chunks(tag & ID_MASK).add(series)

    def series(self) -> dict[Metric, Series]:
        """Return all points by metric."""
        wanted = self._wanted
        return {
            metric: self._with_valid_times(self.merge(parts))
            for metric, parts in self._parts().items()
            if wanted is None or metric.name in wanted
        }

    def _with_valid_times(self, series: Series) -> Series:
        invalid = count_invalid(series.times)
        self.invalid_times += invalid
        return series._replace(times=make_valid(series.times)) if invalid else series

    def _parts(self) -> dict[Metric, list[Series]]:
        found: dict[Metric, list[Series]] = {}
        for identity, chunks in self._points.items():
            found.setdefault(self.names.metric(identity), []).extend(chunks.close())
        for (identity, count), rows in self._rows.items():
            for metric, series in zip(self.names.row(identity, count), rows.columns(), strict=True):
                found.setdefault(metric, []).append(series)
        for (identity, count, place), parts in self._columns.items():
            found.setdefault(self.names.row(identity, count)[place], []).extend(parts)
        return found

    def merge(self, parts: list[Series]) -> Series:
        """Return several series as one, in the order of recording."""
        if len(parts) == 1:
            return parts[0]
        steps, times, values = array("q"), array("d"), array("d")
        for part in parts:
            steps.extend(part.steps)
            times.extend(part.times)
            values.extend(part.values)
        whole = Series(None, steps, times, values)
        if all(before.seqs[-1] < after.seqs[0] for before, after in pairwise(parts)):
            return whole
        seqs = [seq for part in parts for seq in part.seqs]
        order = sorted(range(len(seqs)), key=seqs.__getitem__)
        return Series(None, *(array(column.typecode, [column[i] for i in order]) for column in whole[1:]))
