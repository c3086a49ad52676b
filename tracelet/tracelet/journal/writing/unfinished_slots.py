"""Slots that calls took and will never fill, because the writer was closed in the meantime.

Daemon threads may record until the interpreter exits. A call that took a slot before the end and is refused
after it leaves a hole: nothing is lost, since that call does not return, but a reader cannot know. So an
event at the end names such slots.
"""

from __future__ import annotations

import time

from tracelet.journal.format import SEGMENT_SHIFT, SEGMENT_SLOTS, SLOT, offset_of
from tracelet.journal.writing.segment_files import SegmentFiles
from tracelet.safe_files import read_at

MOST = 1 << 18  # slots checked: at full speed, what many threads record while one of them waits
_KIND = 27  # offset of the kind in a slot
_ATTEMPTS, _PAUSE = 10, 0.002  # seconds to wait for calls that are about to fill their slots


def find_unfinished(files: SegmentFiles, start: int, stop: int) -> tuple[int, int] | None:
    """Return the stretch from the first to the last slot outside of intact records, None if there is none.

    ``start`` must be where a record begins. Slots that are filled in within a few milliseconds do not count.
    """
    found = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        found = _look(files, start, stop)
        if found is None:
            break
        start = found[0]
    return found


def _look(files: SegmentFiles, start: int, stop: int) -> tuple[int, int] | None:
    first = last = -1
    while start < stop:
        end = min(stop, (start | SEGMENT_SLOTS - 1) + 1)
        data = read_at(files.open(start >> SEGMENT_SHIFT), (end - start) * SLOT, offset_of(start))
        data += bytes((end - start) * SLOT - len(data))
        for seq, slots in _holes(data, start):
            first, last = seq if first < 0 else first, seq + slots
        start = end
    return (first, min(last, stop)) if first >= 0 else None


def _holes(data: bytes, first: int) -> list[tuple[int, int]]:
    if 0 not in data[_KIND::SLOT]:  # usually all are points
        return []
    from tracelet.journal.segments.pieces import pieces

    return [(piece.seq, piece.slots) for piece in pieces(data, first) if piece.kind < 0]
