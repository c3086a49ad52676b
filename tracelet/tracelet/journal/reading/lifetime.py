"""Is the process behind a journal file still recording?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tracelet.journal import identity
from tracelet.journal.events import InvalidEventError, decode_event
from tracelet.journal.format import BLOB, SEGMENT_SHIFT, SEGMENT_SLOTS, SLOT, WINDOW_SLOTS
from tracelet.journal.reading.source import Source, writers
from tracelet.journal.segments.pieces import PARTIAL, Piece, piece_at, pieces

_MOST_AHEAD = 86400.0  # seconds that the clock of the host of a running writer may be ahead
_STALE = 60.0  # seconds without a heartbeat
_TAIL = 1 << 16  # slots at the end of the records that are searched for the outcome
_KIND = 27  # offset of the kind in a slot


def liveness(run_dir: Path, writer: str) -> str:
    """Return ``running``, ``ended`` (it closed its journal) or ``killed``."""
    source = Source(Path(run_dir), writer)
    numbers = source.segments()
    header = source.header(numbers[-1]) if numbers else None
    heartbeat = header.heartbeat if header is not None else 0.0
    if heartbeat < 0:
        return "ended"
    if header is not None and source.is_compacted(numbers[-1]):
        return "killed"  # compacting would have recorded an outcome in the header
    if _is_alive(writer_facts(source), heartbeat):
        return "running"
    return "ended" if numbers and _has_outcome(source, numbers[-1]) else "killed"


def last_heartbeat(run_dir: Path, writer: str) -> float:
    """Return when a writer last showed that it was alive, in seconds since the epoch; 0 if nothing says so."""
    source = Source(Path(run_dir), writer)
    numbers = source.segments()
    header = source.header(numbers[-1]) if numbers else None
    return abs(header.heartbeat) if header is not None else 0.0


def writer_states(run_dir: Path) -> dict[str, tuple[str, float]]:
    """Return the liveness of each process that wrote to a run, and when it was last seen (seconds since the epoch)."""
    return {
        writer: (liveness(run_dir, writer), last_heartbeat(run_dir, writer)) for writer in writers(run_dir)
    }


def _is_alive(facts: dict[str, Any] | None, heartbeat: float) -> bool:
    if facts is not None and _is_here(facts):
        return identity.is_alive(facts["pid"], facts.get("pid_started"))
    if facts is not None and facts.get("host") == identity.host_name() and heartbeat < identity.booted_at():
        return False  # this host has rebooted since
    return -_MOST_AHEAD < time.time() - heartbeat < _STALE


def runs_here(source: Source) -> bool:
    """Say whether a writer ran on this host (and in this container) since the last boot."""
    facts = writer_facts(source)
    return facts is not None and _is_here(facts)


def writer_facts(source: Source) -> dict[str, Any] | None:
    """Return what a writer recorded about itself, None if that is damaged or gone."""
    piece = _piece(source, 0)
    if piece is None or piece.kind != BLOB:
        return None
    try:
        event = decode_event(piece.payload)
    except InvalidEventError:
        return None
    return event.payload if event.type == "writer" else None


def _piece(source: Source, seq: int, slots: int = 64) -> Piece | None:
    if (chunk := source.chunk_at(seq)) is not None:
        return next((piece for piece in chunk.events() if piece.seq == seq), None)
    block = source.block(seq, slots)
    if not block.data:
        return None
    piece = piece_at(block.data, 0, seq, trusted=block.trusted)
    return _piece(source, seq, piece.slots) if piece.kind == PARTIAL and block.slots == slots else piece


def _has_outcome(source: Source, segment: int) -> bool:
    """Look for the outcome near the end of the file, whatever the header says.

    Calls in progress at the end may have written after it, and reserved slots follow.
    """
    first = segment << SEGMENT_SHIFT
    if source.is_compacted(segment):
        return _has_outcome_somewhere(source, first)
    end = first + source.size(segment)
    left = _TAIL
    while end > first and left > 0:
        start = max(first, end - WINDOW_SLOTS)
        block = source.block(start, end - start)
        if any(_is_outcome(source, start + at) for at in reversed(_blobs(block.data))):
            return True
        left -= block.slots if block.data.strip(b"\0") else 0
        end = start
    return False


def _has_outcome_somewhere(source: Source, seq: int) -> bool:
    """Look for the outcome chunk by chunk: only chunks show where records begin."""
    while True:
        found: Iterable[Piece]
        if (chunk := source.chunk_at(seq)) is not None:
            found, end = chunk.events(), chunk.end
        else:
            block = source.block(seq, SEGMENT_SLOTS)
            found, end = pieces(block.data, seq, trusted=block.trusted), seq + block.slots
        if any(piece.kind == BLOB and _is_outcome_event(piece) for piece in found):
            return True
        if end == seq:
            return False
        seq = end


def _blobs(data: bytes) -> list[int]:
    """Return the places of possible events, judged by their kinds alone."""
    kinds, found = data[_KIND::SLOT], -1
    places = []
    while (found := kinds.find(BLOB, found + 1)) >= 0:
        places.append(found)
    return places


def _is_outcome(source: Source, seq: int) -> bool:
    piece = _piece(source, seq)
    return piece is not None and piece.kind == BLOB and _is_outcome_event(piece)


def _is_outcome_event(event: Piece) -> bool:
    try:
        return decode_event(event.payload).type == "outcome"
    except InvalidEventError:
        return False


def _is_here(facts: dict[str, Any]) -> bool:
    here = (identity.host_name(), identity.boot_id(), identity.pid_namespace())
    return isinstance(facts.get("pid"), int) and here == (
        facts.get("host"),
        facts.get("boot_id"),
        facts.get("pid_namespace"),
    )


def is_edit(run_dir: Path, writer: str) -> bool:
    """Say whether a writer only edited the run and took no part in it."""
    facts = writer_facts(Source(Path(run_dir), writer))
    return facts is not None and facts.get("edit") is True
