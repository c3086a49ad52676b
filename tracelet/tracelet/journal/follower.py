"""Reading one writer's records in order, also while it writes."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tracelet.journal.format import PAD, SEGMENT_SHIFT, SEGMENT_SLOTS
from tracelet.journal.lifetime import liveness
from tracelet.journal.names import Names
from tracelet.journal.records import Cursor, Damage, EventRecord, PointRecord, Record
from tracelet.journal.scan import BLOB, BROKEN, EMPTY, PARTIAL, POINT, ROW, TORN, Piece, pieces, row_values
from tracelet.journal.source import Source

_CHUNK = 4096  # slots
_PATIENCE = 1.0  # seconds that a hole is waited for


class Follower:
    """Gives one writer's records in order, each once; call :meth:`read` again and again on a live run.

    A slot that was given out and is not yet filled in (a hole) is waited for while its writer lives and the
    hole is younger than a second; then it is passed over, remembered in the cursor, and looked at again.
    """

    def __init__(self, run_dir: Path, writer: str, cursor: Cursor | None = None) -> None:
        self.run_dir = Path(run_dir)
        self.writer = writer
        self.damage = Damage()
        self._names = Names()
        self._source = Source(self.run_dir, writer)
        cursor = cursor or Cursor()
        self._next = cursor.next
        self._holes = set(cursor.holes)
        self._hole_since: tuple[int, float] | None = None
        if self._next:
            self._learn_names()

    @property
    def cursor(self) -> Cursor:
        """What to give to a later follower, so that it goes on here."""
        return Cursor(self._next, tuple(sorted(self._holes)))

    def read(self, limit: int = 4096) -> list[Record]:
        """Return further records: about ``limit`` at most, none when there is nothing new."""
        found: list[Record] = []
        if self._holes:
            self._revisit(found)
        slots = _CHUNK
        while len(found) < limit:
            before = self._next
            data = self._source.read(self._next, slots)
            for piece in pieces(data, self._next):
                if piece.kind == PARTIAL and len(data) >= slots * 32:
                    slots = max(slots * 2, piece.slots)
                    break
                if piece.kind in (EMPTY, BROKEN, TORN, PARTIAL) and not self._pass(piece, data):
                    return found
                self._take(piece, found)
                self._next += piece.slots
                if len(found) >= limit:
                    return found
            if self._next == before and slots == _CHUNK and not self._next_segment():
                return found
        return found

    def _take(self, piece: Piece, found: list[Record]) -> None:
        if piece.kind == POINT:
            metric = self._names.metric(piece.identity)
            found.append(PointRecord(piece.seq, 0, *metric, piece.step, piece.time, piece.value))
        elif piece.kind == ROW:
            values = row_values(piece)
            for index, (metric, value) in enumerate(
                zip(self._names.row(piece.identity, len(values)), values, strict=True)
            ):
                found.append(PointRecord(piece.seq, index, *metric, piece.step, piece.time, value))
        elif piece.kind == BLOB:
            payload = json.loads(piece.payload)
            type_ = payload.pop("type")
            if not self._names.learn(type_, payload):
                found.append(EventRecord(piece.seq, type_, payload, piece.time))

    def _pass(self, piece: Piece, data: bytes) -> bool:
        """Say whether to go on beyond a hole."""
        rest = self._source.read(self._next + piece.slots, SEGMENT_SLOTS)
        behind = rest.strip(b"\0") or self._source.segments()[-1:] > [self._next >> SEGMENT_SHIFT]
        if piece.kind == EMPTY and not behind:
            return False
        alive = liveness(self.run_dir, self.writer) == "running"
        if alive:
            now = time.monotonic()
            if self._hole_since is None or self._hole_since[0] != piece.seq:
                self._hole_since = (piece.seq, now)
            if now - self._hole_since[1] < _PATIENCE:
                return False
            self._holes.add(piece.seq)
            return True
        self.damage.add({EMPTY: "unwritten", BROKEN: "damaged"}.get(piece.kind, "torn"))
        return True

    def _next_segment(self) -> bool:
        here = self._next >> SEGMENT_SHIFT
        later = [
            segment
            for segment in self._source.segments()
            if segment > here
            or (segment == here and not self._next & (SEGMENT_SLOTS - 1) and self._source.size(segment))
        ]
        if not later or later[0] == here:
            return False
        self._next = later[0] << SEGMENT_SHIFT
        return True

    def _revisit(self, found: list[Record]) -> None:
        for seq in sorted(self._holes):
            piece = next(pieces(self._source.read(seq, _CHUNK), seq), None)
            if piece is not None and piece.kind >= 0:
                self._holes.discard(seq)
                self._take(piece, found)

    def _learn_names(self) -> None:
        end, self._next = self._next, 0
        ignored: list[Record] = []
        while self._next < end:
            data = self._source.read(self._next, min(_CHUNK * 8, end - self._next))
            if not data:
                self._next = ((self._next >> SEGMENT_SHIFT) + 1) << SEGMENT_SHIFT
                continue
            for piece in pieces(data, self._next):
                if piece.kind == BLOB:
                    self._take(piece, ignored)
                self._next += piece.slots
        self._next = end


__all__ = ["PAD", "Follower"]
