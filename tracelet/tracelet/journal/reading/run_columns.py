"""Reading a whole run: all points as columns, all events."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.journal.format import MAX_ROW, SEGMENT_SHIFT, SEGMENT_SLOTS, SLOT, payload_slots
from tracelet.journal.reading.gathering import Gatherer, Series
from tracelet.journal.reading.journal_records import Damage, EventRecord
from tracelet.journal.reading.lifetime import liveness, writer_facts
from tracelet.journal.reading.loss_count import LossCounter
from tracelet.journal.reading.source import Source, writers
from tracelet.journal.segments.packing import PackedError, use_numpy
from tracelet.journal.segments.pieces import BROKEN, EMPTY, TORN, Block, Piece
from tracelet.journal.segments.unpacking import UnpackedChunk

_BLOCK = 16384  # slots read at a time
_WIDEST = payload_slots(8 * MAX_ROW)  # slots of a record that may be all zero
_RECENT = 4096  # slots of a running writer that may still be being filled


class Part(NamedTuple):
    """The part of the columns that came from one writer, and its metadata."""

    writer: str
    rank: int | None
    type: str
    source: str | None
    start: int
    stop: int


class Columns:
    """All points of one metric: ``steps``, ``times`` and ``values`` of equal length, and ``parts`` by writer.

    NumPy arrays (int64, float64) if NumPy is installed, else arrays of the standard library.
    """

    __slots__ = ("parts", "steps", "times", "values")

    def __init__(self) -> None:
        self.steps: Any = array("q")
        self.times: Any = array("d")
        self.values: Any = array("d")
        self.parts: list[Part] = []

    def __len__(self) -> int:
        return len(self.values)


def read_columns(
    run_dir: Path,
    names: Iterable[str] | None = None,
    *,
    damage: Damage | None = None,
    numpy: bool | None = None,
) -> dict[str, Columns]:
    """Return the points of a run by metric name, each writer's in the order of recording.

    Args:
        run_dir: the run's folder.
        names: the metrics wanted, None for all.
        damage: takes the account of what could not be read.
        numpy: whether to use NumPy; None means if it is installed.
    """
    wanted = None if names is None else frozenset(names)
    found: dict[str, list[tuple[Part, Series]]] = {}
    for writer in writers(run_dir):
        gatherer = new_gatherer(wanted, numpy)
        source = Source(run_dir, writer)
        _gather(source, gatherer, damage)
        rank = (writer_facts(source) or {}).get("rank")
        for metric, series in gatherer.series().items():
            parts = found.setdefault(metric.name, [])
            start = parts[-1][0].stop if parts else 0
            part = Part(writer, rank, metric.type, metric.source, start, start + len(series.values))
            parts.append((part, series))
        if damage is not None:
            damage.add("unnamed", len(gatherer.names.unknown))
            damage.add("time", gatherer.invalid_times)
    return {name: _columns(parts, numpy) for name, parts in found.items()}


def read_events(run_dir: Path, *, damage: Damage | None = None) -> list[EventRecord]:
    """Return all events of a run, writer after writer."""
    by_writer = read_events_by_writer(run_dir, damage=damage)
    return [event for events in by_writer.values() for event in events]


def read_events_by_writer(run_dir: Path, *, damage: Damage | None = None) -> dict[str, list[EventRecord]]:
    """Return the events of each writer of a run, in the order of recording."""
    found: dict[str, list[EventRecord]] = {}
    for writer in writers(run_dir):
        gatherer = new_gatherer(frozenset(), None)
        gatherer.only_events = damage is None
        _gather(Source(run_dir, writer), gatherer, damage)
        if damage is not None:
            damage.add("time", gatherer.invalid_times)
        found[writer] = sorted(gatherer.events, key=lambda event: event.seq)
    return found


def new_gatherer(wanted: frozenset[str] | None = None, numpy: bool | None = None) -> Gatherer:
    """Return a gatherer that uses NumPy if it is installed, unless the caller says otherwise."""
    if not use_numpy(numpy):
        return Gatherer(wanted)
    from tracelet.journal.reading.gathering_numpy import NumpyGatherer

    return NumpyGatherer(wanted)


def take_chunk(gatherer: Gatherer, chunk: UnpackedChunk, seq: int) -> None:
    """Feed a chunk of a compacted segment to a gatherer; a chunk that is inconsistent counts as damaged."""
    try:
        gatherer.take_unpacked(chunk)
    except PackedError:
        gatherer.take_piece(Piece(BROKEN, seq, chunk.end - seq))


def _columns(parts: list[tuple[Part, Series]], numpy: bool | None) -> Columns:
    columns = Columns()
    columns.parts = [part for part, _ in parts]
    whole = list(parts[0][1][1:])
    if len(parts) > 1:
        if isinstance(whole[0], array):
            whole = [array(column.typecode, column) for column in whole]
            for _, series in parts[1:]:
                for column, more in zip(whole, series[1:], strict=True):
                    column.extend(more)
        else:
            import numpy as np

            whole = [np.concatenate([series[place] for _, series in parts]) for place in (1, 2, 3)]
    columns.steps, columns.times, columns.values = whole
    return columns


def _gather(source: Source, gatherer: Gatherer, damage: Damage | None) -> None:
    """Feed all of a writer's slots to a gatherer."""
    losses = LossCounter()
    # Asked before reading: what was written before the writer ended is there then.
    state = liveness(source.run_dir, source.writer)
    end = 0
    for segment in source.segments():
        first = segment << SEGMENT_SHIFT
        losses.missing(end, first)
        end = _gather_segment(source, gatherer, first, losses)
        losses.headers += source.header(segment) is None
        if source.refusal(segment):
            losses.refused += 1
            end = first + SEGMENT_SLOTS
    if damage is not None:
        losses.skipped(gatherer.events)
        losses.holes(
            gatherer.holes, recent=losses.written - _RECENT if state == "running" else losses.written
        )
        losses.invalid += gatherer.invalid
        losses.ended(gatherer.events, as_said=state == "ended")
        losses.report(damage)


def _gather_segment(source: Source, gatherer: Gatherer, seq: int, losses: LossCounter) -> int:
    """Feed one segment; return where its file ends."""
    stop = seq + SEGMENT_SLOTS
    size = _BLOCK
    while seq < stop:
        if (chunk := source.chunk_at(seq, gatherer.numpy)) is not None:
            take_chunk(gatherer, chunk, seq)
            losses.wrote(seq, chunk.written)
            seq = chunk.end
            continue
        if not (block := source.block(seq, min(size, stop - seq))).data:
            break
        likely = min(block.slots, losses.note(block.data, seq) + _WIDEST)  # beyond it, nothing was written
        used = gatherer.take(Block(block.data[: likely * SLOT], block.trusted), seq)
        if used == likely:
            gatherer.take_piece(Piece(EMPTY, seq + used, block.slots - used))
            used = block.slots
        elif not used and block.slots < min(size, stop - seq):  # the end of the file cuts a record off
            used = block.slots
            gatherer.take_piece(Piece(TORN, seq, used))
        size = _BLOCK if used else 2 * size
        seq += used
    return seq
