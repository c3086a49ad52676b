"""Is the process behind a journal file still recording?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tracelet.journal import identity
from tracelet.journal.events import decode_event
from tracelet.journal.format import BLOB
from tracelet.journal.scan import piece_at
from tracelet.journal.source import Source

_STALE = 60.0  # seconds without a heartbeat


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
        return "running" if identity.is_alive(facts["pid"], facts.get("pid_started")) else "killed"
    return "running" if time.time() - heartbeat < _STALE else "killed"


def writer_facts(source: Source) -> dict[str, Any] | None:
    """Return what a writer said of itself, None where that is damaged or gone."""
    data = source.read(0, 4096)
    piece = piece_at(data, 0, 0) if data else None
    if piece is None or piece.kind != BLOB:
        return None
    type_, facts = decode_event(bytes(piece.payload))
    return facts if type_ == "writer" else None


def _is_here(facts: dict[str, Any]) -> bool:
    here = (identity.host_name(), identity.boot_id(), identity.pid_namespace())
    return isinstance(facts.get("pid"), int) and here == (
        facts.get("host"),
        facts.get("boot_id"),
        facts.get("pid_namespace"),
    )
