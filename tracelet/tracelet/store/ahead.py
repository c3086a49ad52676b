"""Catching up with a process that is far ahead: many points at once, as columns, by a follower's cursor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tracelet.journal import Cursor, EventRecord
from tracelet.journal.format import SEGMENT_SHIFT, SEGMENT_SLOTS, SLOT
from tracelet.journal.reading.gathering import Gatherer
from tracelet.journal.reading.names import Metric, Names, seek_names
from tracelet.journal.reading.run_columns import new_gatherer
from tracelet.journal.reading.source import Block, Source
from tracelet.store.columns import Points, numpy

FAR = 65536  # slots from which on it is worth it
_BLOCK = 1 << 16


class Stretch(NamedTuple):
    """Some of what a process recorded, and the cursor behind it."""

    points: dict[Metric, Points]
    events: list[EventRecord]
    cursor: Cursor


def is_far_ahead(run_dir: Path, writer: str, cursor: Cursor) -> bool:
    """Say whether a process has recorded much that a cursor has still before it."""
    source = Source(run_dir, writer)
    there = cursor.next + FAR
    if there >> SEGMENT_SHIFT != cursor.next >> SEGMENT_SHIFT:
        return any(segment > cursor.next >> SEGMENT_SHIFT for segment in source.segments())
    return bool(source.read(there, 1).strip(b"\0"))


def stretches(run_dir: Path, writer: str, cursor: Cursor) -> Iterator[Stretch]:
    """Yield what stands between a cursor and the first slot that is no whole record (yet).

    That slot, and what comes after it, is a follower's business: it knows how long to wait.
    """
    source, names, seq = Source(run_dir, writer), Names(), cursor.next
    if seq:
        seek_names(run_dir, writer, names, seq)
    size = _BLOCK
    while True:
        gatherer = _gatherer(names)
        if (chunk := source.unpacked(seq, gatherer.numpy)) is not None:
            gatherer.take_unpacked(chunk)
            used = chunk.end - seq
        else:
            block = source.block(seq, min(size, SEGMENT_SLOTS - (seq & (SEGMENT_SLOTS - 1))))
            written = Block(block.data[: -(-len(block.data.rstrip(b"\0")) // SLOT) * SLOT], block.trusted)
            used = gatherer.take(written, seq) if written.data else 0
        if gatherer.holes or not used:
            if gatherer.holes or size > _BLOCK or written.slots < size:
                return
            size = 2 * SEGMENT_SLOTS  # a record longer than a block
            continue
        seq, size = seq + used, _BLOCK
        points = {
            metric: Points(one.steps, one.values, one.times) for metric, one in gatherer.series().items()
        }
        yield Stretch(points, gatherer.events, Cursor(seq, cursor.holes))


def _gatherer(names: Names) -> Gatherer:
    gatherer = new_gatherer(numpy=numpy() is not None)
    gatherer.names = names
    return gatherer
