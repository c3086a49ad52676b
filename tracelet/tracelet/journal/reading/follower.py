"""Reading one writer's records in order, also while it writes."""

from __future__ import annotations

import time
from pathlib import Path

from tracelet.journal.events import InvalidEventError, decode_event
from tracelet.journal.format import BLOB, ID_MASK, POINT, ROW, SEGMENT_SHIFT, SLOT
from tracelet.journal.reading.found_records import Chunk, ColumnList, Found, RecordList
from tracelet.journal.reading.gaps import GapTracker
from tracelet.journal.reading.journal_records import Cursor, Damage, EventRecord, Record
from tracelet.journal.reading.names import Metric, Names, seek_names
from tracelet.journal.reading.source import Source
from tracelet.journal.reading.valid_times import (
    count_invalid,
    is_valid_time,
    make_valid,
    nearest_valid_time,
)
from tracelet.journal.segments.pieces import EMPTY, PARTIAL, POINTS, Piece, pieces, point_columns, row_values

_BLOCK, _PEEK = 4096, 32  # slots read at a time; the second if nothing new is expected
_SEEK_AGAIN = 1.0  # seconds between searches for names that are lost


class Follower:
    """Yields one writer's records in order, each once; call :meth:`read` repeatedly on a live run.

    A slot that was taken and is not yet filled (a hole) is waited for while its writer is alive and the hole
    is less than a second old. Then it is skipped, stored in the cursor, and checked again later: its record
    is returned late and out of order, but never lost. ``damage`` counts what can never be read.
    """

    def __init__(self, run_dir: Path, writer: str, cursor: Cursor | None = None) -> None:
        """Start at a cursor, or at the beginning."""
        cursor = cursor or Cursor()
        self.run_dir = Path(run_dir)
        self.writer = writer
        self.damage = Damage()
        self._source = Source(self.run_dir, writer)
        self._gaps = GapTracker(self._source, self.damage, cursor.holes)
        self._next = cursor.next
        self._size = _BLOCK
        self._names = Names()
        self._sought = 0.0
        self._checked = -1  # the segment whose header was checked

    @property
    def cursor(self) -> Cursor:
        """The position from which a later follower continues."""
        return Cursor(self._next, self._gaps.holes)

    @property
    def is_waiting(self) -> bool:
        """Whether the last read stopped before a slot that is being filled in, with more records behind it."""
        return self._gaps.is_waiting

    def read(self, limit: int = 4096) -> list[Record]:
        """Return further records: about ``limit`` at most (a row is never split), none if nothing is new."""
        found = RecordList()
        self._read(found, limit)
        return found.records

    def read_columns(self, limit: int = 4096) -> list[Chunk]:
        """Return the same as columns: consecutive points as :class:`PointColumns`, each event on its own."""
        found = ColumnList()
        self._read(found, limit)
        return found.chunks

    def _read(self, found: Found, limit: int) -> None:
        self._gaps.is_waiting = False
        for piece in self._gaps.look_again():
            self._take(piece, found, piece.slots)
        while len(found) < limit and self._advance(found, limit):
            pass

    def _advance(self, found: Found, limit: int) -> bool:
        """Take the records of the next block; return whether to continue."""
        start, size = self._next, self._size
        self._check_header()
        block = self._source.block(start, size)
        if not block.data:
            return self._go_to(self._gaps.ahead(start))
        for piece in pieces(block.data, start, trusted=block.trusted):
            if piece.seq < self._next:
                continue
            if piece.kind >= 0:
                self._next += self._take(piece, found, limit - len(found))
                if len(found) >= limit:
                    return False
            elif piece.kind == PARTIAL and block.slots >= size:
                self._size = max(2 * size, _BLOCK) if piece.seq == start else _BLOCK
                return True
            elif not self._go_to(self._gaps.over(piece, block.data, start)):
                self._size = _PEEK if piece.kind == EMPTY else _BLOCK
                return False
            elif self._next == piece.seq:
                return True  # to be read again
        self._size = _BLOCK
        return True

    def _go_to(self, seq: int | None) -> bool:
        if seq is not None:
            self._next = seq
        return seq is not None

    def _check_header(self) -> None:
        segment = self._next >> SEGMENT_SHIFT
        if segment != self._checked and self._source.has(segment):
            self._checked = segment
            self.damage.add("header", self._source.header(segment) is None)
            self.damage.add("version", self._source.refusal(segment) is not None)

    # --- records -----------------------------------------------------------------------------------------

    def _take(self, piece: Piece, found: Found, limit: int) -> int:
        """Take the records of a piece and return how many slots they were."""
        if piece.kind == POINTS:
            size = min(piece.slots, max(limit, 1))
            self._take_points(piece._replace(slots=size, payload=piece.payload[: size * SLOT]), found)
            return size
        if piece.kind == POINT:
            found.add_row(
                piece.seq, (self._metric(piece.identity),), piece.step, self._time(piece), (piece.value,)
            )
        elif piece.kind == ROW:
            self._take_row(piece, found)
        elif piece.kind == BLOB:
            self._take_event(piece, found)
        return piece.slots

    def _take_points(self, piece: Piece, found: Found) -> None:
        columns = point_columns(piece)
        metrics = {tag: self._metric(tag & ID_MASK) for tag in set(columns.tags)}
        if invalid := count_invalid(columns.times):
            self.damage.add("time", invalid)
            columns = columns._replace(times=make_valid(columns.times))
        found.add_points(piece.seq, metrics, columns)

    def _take_row(self, piece: Piece, found: Found) -> None:
        values = row_values(piece)
        if not self._names.knows_row(piece.identity):
            self._seek_names()
        metrics = self._names.row(piece.identity, len(values))
        self._count_unnamed()
        found.add_row(piece.seq, metrics, piece.step, self._time(piece, len(values)), values)

    def _take_event(self, piece: Piece, found: Found) -> None:
        try:
            type_, payload, faults = decode_event(piece.payload)
        except InvalidEventError:
            self.damage.add("invalid")
            return
        self.damage.add("invalid", faults)
        if type_ == "skip":
            self._gaps.forgive(payload["from"], payload["to"])
        if not self._names.learn(type_, payload):
            found.add_event(EventRecord(piece.seq, type_, payload, self._time(piece)))

    def _time(self, piece: Piece, records: int = 1) -> float:
        """Return the time of a piece; an invalid one counts as damage of each of its records."""
        if is_valid_time(piece.time):
            return piece.time
        self.damage.add("time", records)
        return nearest_valid_time(piece.time)

    def _metric(self, identity: int) -> Metric:
        if not self._names.knows(identity):
            self._seek_names()
        metric = self._names.metric(identity)
        self._count_unnamed()
        return metric

    # --- names that were not met on the way here ---------------------------------------------------------

    def _seek_names(self) -> None:
        """Look for names before the place where this follower began, and after a damaged event."""
        now = time.monotonic()
        if now >= self._sought:
            self._sought = now + _SEEK_AGAIN
            seek_names(self.run_dir, self.writer, self._names, self._next)

    def _count_unnamed(self) -> None:
        if self._names.unknown:
            self.damage.add("unnamed", len(self._names.unknown) - self.damage.counts["unnamed"])
