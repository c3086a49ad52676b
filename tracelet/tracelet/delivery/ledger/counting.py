"""How many records a backend still has to receive, counted without decoding them: fast, and exact unless the journal
is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from tracelet.journal import EventRecord, Record
from tracelet.journal.format import (
    BLOB,
    KIND_SHIFT,
    MULTI_HEAD,
    POINT,
    ROW,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    WINDOW_SLOTS,
    payload_slots,
)
from tracelet.journal.reading.source import Source, segments

#: The types of events that backends receive. They are counted like points.
COUNTED_EVENTS: Final = frozenset({"params", "tags", "untag", "artifact", "run"})

_CHUNK: Final = 32768  # slots read at a time
_TAG: Final = 6  # the position of the tag in a slot of eight 32-bit words


def is_counted(record: Record) -> bool:
    """Say whether a record is of a kind that backends receive."""
    return not isinstance(record, EventRecord) or record.type in COUNTED_EVENTS


def count_ahead(run_dir: Path, position: Callable[[str], int], targets: Mapping[str, int]) -> int:
    """Return how many records lie between a backend's position in each writer's journal and a target there."""
    return sum(count(run_dir, writer, position(writer), target) for writer, target in targets.items())


def count(run_dir: Path, writer: str, start: int, stop: int) -> int:
    """Return how many records that backends receive lie between two sequence numbers.

    Counted are points (each value of a row is one) and events of the types in :data:`COUNTED_EVENTS`.
    """
    source = Source(run_dir, writer)
    found = 0
    while start < stop:
        data = source.read(start, min(_CHUNK, stop - start))
        if not data:  # the rest of a segment was given up
            start = (start // SEGMENT_SLOTS + 1) << SEGMENT_SHIFT
            continue
        slots, records = _count_in(source, data, start)
        start += slots
        found += records
    return found


def _count_in(source: Source, data: bytes, first: int) -> tuple[int, int]:
    """Return how many slots the records that begin in the data fill, and how many of them backends receive."""
    tags = memoryview(data).cast("I")[_TAG::8].tolist()
    at, found = 0, 0
    while at < len(tags):
        kind = tags[at] >> KIND_SHIFT
        if kind == POINT:
            found += 1
        elif kind in (ROW, BLOB):
            size = MULTI_HEAD.unpack_from(data, at * SLOT)[1]
            if kind == ROW:
                found += size
            elif _is_counted_event(source.read(first + at + 1, payload_slots(size))[:size]):
                found += 1
            at += payload_slots(8 * size if kind == ROW else size)
        at += 1
    return at, found


def _is_counted_event(payload: bytes) -> bool:
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return False
    type_ = event.get("type") if isinstance(event, dict) else None
    return isinstance(type_, str) and type_ in COUNTED_EVENTS


def ends(run_dir: Path, which: Iterable[str]) -> dict[str, int]:
    """Return, for each writer, the sequence number after its last used slot."""
    files = segments(run_dir)
    return {writer: _end(Source(run_dir, writer), files.get(writer, [])) for writer in which}


def _end(source: Source, numbers: list[int]) -> int:
    """Search backwards from the end of the last file for the last slot that is not empty."""
    for segment in reversed(numbers):
        first = segment << SEGMENT_SHIFT
        left = source.size(segment)
        while left > 0:
            start = (left - 1) // WINDOW_SLOTS * WINDOW_SLOTS
            data = source.read(first + start, left - start)
            if used := len(data.rstrip(b"\0")):
                return first + start + payload_slots(used)
            left = start
    return 0
