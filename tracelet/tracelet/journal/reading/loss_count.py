"""Distinguishing lost records from slots that never held one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from tracelet.journal.format import SLOT
from tracelet.journal.reading.journal_records import Damage, EventRecord
from tracelet.journal.segments.pieces import BROKEN, EMPTY, TORN, Piece

KINDS = {EMPTY: "unwritten", BROKEN: "damaged", TORN: "torn"}


class LossCounter:
    """Adds up what a reader of one writer's whole journal could not read."""

    def __init__(self) -> None:
        self.written = 0  # sequence number after the last written slot
        self.headers = 0
        self.invalid = 0  # events, or keys of events, that do not fit the schema
        self.refused = 0  # segments of an unknown version
        self._damage = Damage()
        self._gaps: list[tuple[int, int]] = []
        self._skips: list[tuple[int, int]] = []  # what the writer left out on purpose

    def note(self, data: bytes, first: int) -> int:
        """Find the last written slot of a block; return how many slots there are up to it."""
        used = len(data) if data[-SLOT:].strip(b"\0") else len(data.rstrip(b"\0"))
        used = -(-used // SLOT)
        self.wrote(first, first + used)
        return used

    def wrote(self, first: int, end: int) -> None:
        """Add slots that were written."""
        if end > first:
            self.written = end

    def missing(self, start: int, stop: int) -> None:
        """Add slots whose file is missing while a later one exists."""
        if stop > start:
            self._gaps.append((start, stop))

    def holes(self, pieces: Iterable[Piece], *, recent: int) -> None:
        """Add slots without an intact record; those from ``recent`` on may still be filled."""
        skips = Stretches(self._skips)
        for piece in pieces:
            for start, stop in skips.outside(piece.seq, piece.seq + piece.slots):
                if piece.kind == EMPTY:
                    self._damage.add(KINDS[EMPTY], max(0, min(stop, recent) - start))
                elif stop <= recent or recent == self.written:
                    self._damage.add(KINDS[piece.kind], stop - start)

    def skipped(self, events: Iterable[EventRecord]) -> None:
        """Do not count slots that the writer left out on purpose."""
        for event in events:
            if event.type == "skip":
                skip = (event.payload["from"], event.payload["to"])
                self._skips.append(skip)
        skips = Stretches(self._skips)
        self._gaps = [part for gap in self._gaps for part in skips.outside(*gap)]

    def ended(self, events: Iterable[EventRecord], *, as_said: bool) -> None:
        """Check that a writer whose header says that it ended has an outcome."""
        known = self.refused or any(event.type == "outcome" for event in events)
        self._damage.add("cut", as_said and not known)

    def report(self, damage: Damage) -> None:
        """Add everything to an account."""
        for kind, amount in self._damage.counts.items():
            damage.add(kind, amount)
        damage.add("missing", sum(stop - start for start, stop in self._gaps))
        damage.add("header", self.headers)
        damage.add("invalid", self.invalid)
        damage.add("version", self.refused)


class Stretches:
    """Disjoint stretches of sequence numbers, in order."""

    def __init__(self, stretches: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in sorted(stretches):
            if self._stops and start <= self._stops[-1]:
                self._stops[-1] = max(self._stops[-1], stop)
            elif start < stop:
                self._starts.append(start)
                self._stops.append(stop)

    def outside(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a stretch that lie outside of these."""
        at = bisect_right(self._stops, start)
        while start < stop:
            if at == len(self._starts) or self._starts[at] >= stop:
                yield start, stop
                return
            if start < self._starts[at]:
                yield start, self._starts[at]
            start = self._stops[at]
            at += 1
