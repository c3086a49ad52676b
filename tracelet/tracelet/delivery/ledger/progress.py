"""How far each backend has come with a run, by its ledger and the journal's length: quicker than to reconcile."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tracelet.delivery.ledger.counting import count_ahead
from tracelet.delivery.ledger.ledger import Ledger, backends
from tracelet.delivery.pipeline.reader import ends
from tracelet.journal import writers


class Progress(NamedTuple):
    """What one backend has had of a run, counting points (each value of a row is one), parameters, tags, artifacts."""

    backend: str
    delivered: int
    pending: int
    error: str | None


def progress(run_dir: Path) -> list[Progress]:
    """Return how far each backend has come that had any of a run, also of one that goes on."""
    ledgers = [
        Ledger(run_dir, name, strict=False) for name in backends(run_dir)
    ]  # before the journal, which only grows
    targets = ends(run_dir, writers(run_dir)) if ledgers else {}
    return [
        Progress(each.backend, each.delivered, count_ahead(run_dir, each.position, targets), each.error)
        for each in ledgers
    ]
