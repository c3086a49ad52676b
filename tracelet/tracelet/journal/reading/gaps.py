"""How a follower handles slots without an intact record: wait, skip, check again, give up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from tracelet.journal.format import SEGMENT_SHIFT, SEGMENT_SLOTS, SLOT
from tracelet.journal.reading.journal_records import Damage, Hole
from tracelet.journal.reading.lifetime import liveness
from tracelet.journal.reading.loss_count import KINDS, Stretches
from tracelet.journal.reading.source import Source
from tracelet.journal.segments.pieces import EMPTY, PARTIAL, TORN, Piece, pieces

_PATIENCE = 1.0  # seconds to wait for a hole while its writer is alive
_REVISIT = 0.1  # seconds between checks of holes that were skipped
_MOST_HOLES = 1000
_MOST_COUNTED, _MOST_SKIPS = 10_000, 1000  # beyond these, slots counted as lost stay so
_LOOK_FURTHER = 0.25  # seconds between checks for records behind an empty slot
_ASK_AGAIN = 1.0  # seconds between checks whether the writer is alive
_STRIDE = 65536  # slots
_FIRST_STRIDE = 8  # slots of the first read


class GapTracker:
    """The holes in one writer's journal, and their state."""

    def __init__(self, source: Source, damage: Damage, holes: tuple[Hole, ...]) -> None:
        self._source = source
        self._damage = damage
        self._holes = dict(holes)  # skipped: end by start
        self._skips = 0
        self._counted: deque[tuple[str, Hole]] = deque(maxlen=_MOST_COUNTED)  # what was counted as lost
        self._ahead, self._since, self._frontier = -1, 0.0, -1  # the hole that is waited for
        self._old = -1  # slots before it were taken long enough ago
        self._empty_at, self._look_at = -1, 0.0
        self._asked, self._revisit_at = float("-inf"), 0.0
        self._is_dead = False
        self.is_waiting = False  # for a hole with records behind it

    @property
    def holes(self) -> tuple[Hole, ...]:
        """The holes that were skipped."""
        return tuple(sorted(self._holes.items()))

    def over(self, piece: Piece, data: bytes, start: int) -> int | None:
        """Return where to continue after a hole in a block that begins at ``start``, None to wait."""
        if piece.kind == EMPTY:
            return self.ahead(piece.seq)
        stop, kind = piece.seq + piece.slots, piece.kind
        if kind == PARTIAL:
            stop, kind = min(stop, self._end_of_file(piece.seq)), TORN
        return self._pass(piece.seq, stop, kind, start + len(data.rstrip(b"\0")) // SLOT)

    def ahead(self, seq: int) -> int | None:
        """Return the next written slot after an empty one at ``seq``, None if there is none, or to wait."""
        now = time.monotonic()
        if seq == self._empty_at and now < self._look_at:
            return None
        written = self._next_written(seq)
        if written is None:
            self._empty_at, self._look_at = seq, now + _LOOK_FURTHER
            return None
        end = min(written, max(seq, self._end_of_file(seq)))
        if self._pass(seq, end, EMPTY, written) != end:
            return None if self.is_waiting else seq
        if end < written:
            self._damage.add("missing", written - end)
            self._counted.append(("missing", (end, written)))
        return written

    def _next_written(self, seq: int) -> int | None:
        here = seq >> SEGMENT_SHIFT
        for segment in [here, *(later for later in self._source.segments() if later > here)]:
            at = max(seq, segment << SEGMENT_SHIFT)
            stride = _FIRST_STRIDE  # most holes are narrow, and a short read is cheap
            while at < segment + 1 << SEGMENT_SHIFT and (data := self._source.read(at, stride)):
                stride = min(2 * stride, _STRIDE)
                if rest := data.lstrip(b"\0"):
                    return at + (len(data) - len(rest)) // SLOT
                at += len(data) // SLOT
        return None

    def _end_of_file(self, seq: int) -> int:
        first = seq & -SEGMENT_SLOTS
        return first + self._source.size(seq >> SEGMENT_SHIFT)

    def _pass(self, start: int, stop: int, kind: int, frontier: int) -> int | None:
        """Skip a hole: return its end, None while it is too new, or its start to read it again."""
        if self._is_dead and not self._is_alive():
            self._count(kind, start, stop)
            return stop
        if not self._is_alive():
            return start  # it may have been filled in before its writer ended
        self.is_waiting = start >= self._old and not self._is_old(start, frontier)
        if self.is_waiting:
            return None
        if stop > start:
            self._holes[start] = stop
        if len(self._holes) > _MOST_HOLES:
            oldest = min(self._holes)
            self._give_up(oldest, self._holes.pop(oldest))
        return stop

    def _is_old(self, start: int, frontier: int) -> bool:
        now = time.monotonic()
        if start != self._ahead:
            self._ahead, self._since, self._frontier = start, now, frontier
        if now - self._since < _PATIENCE:
            return False
        self._old = self._frontier  # all slots before it were taken at least a second ago
        return True

    def _is_alive(self) -> bool:
        now = time.monotonic()
        if (
            now >= self._asked + _ASK_AGAIN
        ):  # ask about dead ones too: the network may have caused the silence
            self._is_dead = liveness(self._source.run_dir, self._source.writer) != "running"
            self._asked = now
        return not self._is_dead

    def look_again(self) -> Iterator[Piece]:
        """Yield the records that now fill skipped holes; give up holes that can no longer be filled."""
        now = time.monotonic()
        if not self._holes or now < self._revisit_at:
            return
        self._revisit_at = now + _REVISIT
        alive = self._is_alive()  # asked before reading: what a writer wrote before it ended is there
        for start, stop in self.holes:
            del self._holes[start]
            for piece in self._pieces(start, stop):
                if piece.kind >= 0:
                    yield piece
                elif alive:
                    self._holes[piece.seq] = piece.seq + piece.slots
                else:
                    self._count(piece.kind, piece.seq, piece.seq + piece.slots)

    def _pieces(self, start: int, stop: int) -> Iterator[Piece]:
        block = self._source.block(start, stop - start)
        for piece in pieces(block.data, start, trusted=block.trusted):
            yield piece._replace(kind=TORN, slots=stop - piece.seq) if piece.kind == PARTIAL else piece

    def _give_up(self, start: int, stop: int) -> None:
        for piece in self._pieces(start, stop):
            self._count(piece.kind if piece.kind in KINDS else EMPTY, piece.seq, piece.seq + piece.slots)

    def _count(self, kind: int, start: int, stop: int) -> None:
        """Count slots as lost; a later event may declare the newest of them left out on purpose."""
        self._damage.add(KINDS[kind], stop - start)
        self._counted.append((KINDS[kind], (start, stop)))

    def forgive(self, start: int, stop: int) -> None:
        """The writer left these slots out on purpose: do not count them as lost."""
        self._holes = {hole[0]: hole[1] for hole in self.holes if not start <= hole[0] < stop}
        kept: deque[tuple[str, Hole]] = deque(maxlen=_MOST_COUNTED)
        if self._skips == _MOST_SKIPS:
            return
        self._skips += 1
        skip = Stretches([(start, stop)])
        for kind, gap in self._counted:
            parts = list(skip.outside(*gap))
            self._damage.add(kind, sum(last - first for first, last in parts) - (gap[1] - gap[0]))
            kept.extend((kind, part) for part in parts)
        self._counted = kept
