"""The journal as one backend reads it: batch after batch, each from one writer, in the order of recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from tracelet.delivery.ledger.ledger import Ledger
from tracelet.journal import Chunk, Cursor, EventRecord, Follower, writers
from tracelet.journal.reading.lifetime import is_edit, writer_facts
from tracelet.journal.reading.source import Source

_LOOK_FOR_WRITERS: Final = 1.0  # seconds

Writers = Callable[[], Iterable[str]]


class Batch(NamedTuple):
    """Records of one writer, as columns and events, and the cursors before and after them."""

    writer: str
    rank: int | None
    chunks: list[Chunk]
    before: Cursor
    after: Cursor

    def events(self) -> list[EventRecord]:
        """Return the records that are not points."""
        return [chunk for chunk in self.chunks if isinstance(chunk, EventRecord)]

    def first_time(self) -> float | None:
        """Return when the first record was recorded."""
        for chunk in self.chunks:
            return chunk.time if isinstance(chunk, EventRecord) else chunk.times[0]
        return None

    def until(self, left: int | None) -> Batch | None:
        """Return the records before the first sequence number that is ``left``, as a batch.

        A row of which a part is left is left as a whole. Returns ``None`` if a record is left that came late, out
        of order: no cursor can express that.
        """
        first = self.after.next if left is None else left
        if first < self.before.next:
            return None
        holes = tuple((start, min(stop, first)) for start, stop in self.after.holes if start < first)
        chunks = [part for chunk in self.chunks if (part := _before(chunk, first)) is not None]
        return Batch(self.writer, self.rank, chunks, self.before, Cursor(first, holes))


def _before(chunk: Chunk, first: int) -> Chunk | None:
    """Return what has a lower sequence number; ``None`` if nothing has."""
    if isinstance(chunk, EventRecord):
        return chunk if chunk.seq < first else None
    return chunk.where([seq < first for seq in chunk.sequences]) or None


def count_records(chunks: Iterable[Chunk]) -> int:
    """Return how many records there are."""
    return sum(1 if isinstance(chunk, EventRecord) else len(chunk) for chunk in chunks)


class Reader:
    """Reads all writers of a run in turn, from the positions in a backend's ledger."""

    def __init__(self, run_dir: Path, ledger: Ledger, which: Writers | None = None) -> None:
        self._run_dir = run_dir
        self._ledger = ledger
        self._which = which or (lambda: writers(run_dir))
        self._followers: dict[str, Follower] = {}
        self._ranks: dict[str, int | None] = {}
        self._turns: list[str] = []
        self._waits: dict[str, set[str]] = {}  # edits: the writers whose records have to go first
        self._looked = float("-inf")
        self._short = 0  # consecutive batches with fewer records than requested

    def caught_up(self) -> bool:
        """Say whether the last read of each writer returned everything it had."""
        return self._short >= len(self._turns)

    def has_more(self) -> bool:
        """Say whether the last read returned as much as it was allowed to, so that there is probably more."""
        return self._short == 0

    def read(self, limit: int) -> Batch | None:
        """Return the next batch of about ``limit`` records at most, or ``None`` if there is nothing new.

        A batch without records means that the cursor moved past something that concerns only readers. An edit comes
        after all that was recorded before it, since it replaces that.
        """
        self._look_for_writers()
        for writer in sorted(self._turns, key=lambda writer: bool(self._waits.get(writer))):
            if self._waits.get(writer):
                continue
            follower = self._followers[writer]
            before = follower.cursor
            chunks = follower.read_columns(limit)
            after = follower.cursor
            is_short = count_records(chunks) < limit
            self._short = self._short + 1 if is_short else 0
            if is_short:
                for others in self._waits.values():
                    others.discard(writer)
            if chunks or after != before:
                turn = self._turns.index(writer) + 1
                self._turns = [*self._turns[turn:], *self._turns[:turn]]
                return Batch(writer, self._rank(writer), chunks, before, after)
        return None

    def look_again(self) -> None:
        """Look for new writers at the next read."""
        self._looked = float("-inf")

    def _look_for_writers(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_FOR_WRITERS:
            return
        self._looked = now
        for writer in self._which():
            if writer not in self._followers:
                page = self._ledger.pages.get(writer)
                cursor = page.cursor if page is not None else None
                if is_edit(self._run_dir, writer):
                    self._waits[writer] = set(self._turns)
                self._followers[writer] = Follower(self._run_dir, writer, cursor)
                self._turns.append(writer)

    def _rank(self, writer: str) -> int | None:
        """Return the rank that a writer stated in its first record, which has been written by now."""
        if writer not in self._ranks:
            rank = (writer_facts(Source(self._run_dir, writer)) or {}).get("rank")
            self._ranks[writer] = rank if isinstance(rank, int) else None
        return self._ranks[writer]
