"""Is the process behind a journal file still recording?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tracelet.journal import identity
from tracelet.journal.events import decode_event
from tracelet.journal.format import BLOB, SEGMENT_SHIFT
from tracelet.journal.scan import PARTIAL, Piece, piece_at
from tracelet.journal.source import Source

_STALE = 60.0  # seconds without a heartbeat
_TAIL = 128  # slots at the end of a file among which the outcome is looked for


def liveness(run_dir: Path, writer: str) -> str:
    """Return ``running``, ``ended`` (it closed its journal) or ``killed``."""
    source = Source(Path(run_dir), writer)
    numbers = source.segments()
    header = source.header(numbers[-1]) if numbers else None
    heartbeat = header.heartbeat if header is not None else 0.0
    if heartbeat < 0:
        return "ended"
    facts = writer_facts(source)
    if facts is not None and _is_here(facts):
        alive = identity.is_alive(facts["pid"], facts.get("pid_started"))
    else:
        alive = time.time() - heartbeat < _STALE
    if alive:
        return "running"
    return "ended" if numbers and _has_outcome(source, numbers[-1]) else "killed"


def runs_here(source: Source) -> bool:
    """Say whether a writer belongs to this host (and container), since it was last booted."""
    facts = writer_facts(source)
    return facts is not None and _is_here(facts)


def writer_facts(source: Source) -> dict[str, Any] | None:
    """Return what a writer said of itself, None where that is damaged or gone."""
    piece = _piece(source, 0)
    if piece is None or piece.kind != BLOB:
        return None
    type_, facts = decode_event(bytes(piece.payload))
    return facts if type_ == "writer" else None


def _piece(source: Source, seq: int, slots: int = 64) -> Piece | None:
    block = source.block(seq, slots)
    if not block.data:
        return None
    piece = piece_at(block.data, 0, seq, trusted=block.trusted)
    return _piece(source, seq, piece.slots) if piece.kind == PARTIAL and block.slots == slots else piece


def _has_outcome(source: Source, segment: int) -> bool:
    """Look for the outcome where a writer that was closed has it, whatever the header says."""
    first = segment << SEGMENT_SHIFT
    end = first + source.size(segment)
    start = max(first, end - _TAIL)
    block = source.block(start, _TAIL)
    for at in range(block.slots):
        piece = piece_at(block.data, at, start + at, trusted=block.trusted)
        if piece.kind == BLOB and decode_event(bytes(piece.payload))[0] == "outcome":
            return True
    return False


def _is_here(facts: dict[str, Any]) -> bool:
    here = (identity.host_name(), identity.boot_id(), identity.pid_namespace())
    return isinstance(facts.get("pid"), int) and here == (
        facts.get("host"),
        facts.get("boot_id"),
        facts.get("pid_namespace"),
    )
