"""Reading a large backlog of a process: many points at once, as columns, from a follower's cursor on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tracelet.journal import Cursor, EventRecord
from tracelet.journal.format import SEGMENT_SHIFT, SEGMENT_SLOTS, SLOT
from tracelet.journal.reading.gathering import Gatherer
from tracelet.journal.reading.names import Metric, Names, seek_names
from tracelet.journal.reading.run_columns import new_gatherer, take_chunk
from tracelet.journal.reading.source import Block, Source
from tracelet.store.point_columns import Points, load_numpy

MIN_SLOTS = 65536  # a shorter backlog is read by a follower
_BLOCK = 1 << 17  # slots: more makes the index of wide runs faster, and takes more memory


class BacklogChunk(NamedTuple):
    """A part of a backlog, and the cursor behind it."""

    points: dict[Metric, Points]
    events: list[EventRecord]
    cursor: Cursor


def has_backlog(run_dir: Path, writer: str, cursor: Cursor) -> bool:
    """Return whether a process has recorded much more than a cursor has passed."""
    source = Source(run_dir, writer)
    ahead = cursor.next + MIN_SLOTS
    if ahead >> SEGMENT_SHIFT != cursor.next >> SEGMENT_SHIFT:
        return any(segment > cursor.next >> SEGMENT_SHIFT for segment in source.segments())
    return bool(source.read(ahead, 1).strip(b"\0"))


def read_backlog(run_dir: Path, writer: str, cursor: Cursor) -> Iterator[BacklogChunk]:
    """Yield the records from a cursor to the first slot that holds no complete record (yet).

    That slot and what follows are left to a follower, which knows how long to wait for it.
    """
    source, names, seq = Source(run_dir, writer), Names(), cursor.next
    if seq:
        seek_names(run_dir, writer, names, seq)
    size = _BLOCK
    while True:
        gatherer = _make_gatherer(names)
        if (chunk := source.chunk_at(seq, gatherer.numpy)) is not None:
            take_chunk(gatherer, chunk, seq)
            used = chunk.end - seq
        else:
            block = source.block(seq, min(size, SEGMENT_SLOTS - (seq & (SEGMENT_SLOTS - 1))))
            written = Block(block.data[: -(-len(block.data.rstrip(b"\0")) // SLOT) * SLOT], block.trusted)
            used = gatherer.take(written, seq) if written.data else 0
        if gatherer.holes or gatherer.invalid or not used:
            if gatherer.holes or gatherer.invalid or size > _BLOCK or written.slots < size:
                return
            size = 2 * SEGMENT_SLOTS  # a record longer than a block
            continue
        seq, size = seq + used, _BLOCK
        points = {
            metric: Points(one.steps, one.values, one.times) for metric, one in gatherer.series().items()
        }
        yield BacklogChunk(points, gatherer.events, Cursor(seq, cursor.holes))


def _make_gatherer(names: Names) -> Gatherer:
    gatherer = new_gatherer(numpy=load_numpy() is not None)
    gatherer.names = names
    return gatherer
