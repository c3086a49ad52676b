"""Reconciliation: whether every record of a run is accounted for, backend by backend."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.delivery.ledger.counting import count_ahead, ends
from tracelet.delivery.ledger.ledger import Ledger, backends
from tracelet.delivery.pipeline.plan import is_due
from tracelet.journal import Damage, EventRecord, Follower, Record, writers


class Reconciliation(NamedTuple):
    """What became of a run's records at one backend.

    ``recorded`` is counted in the journal, ``pending`` are the records there that lie beyond the backend's cursor; the
    others are the ledger's. All count points (each value of a row is one) and calls that recorded
    parameters, tags or an artifact.
    """

    backend: str
    recorded: int
    delivered: int
    excluded: int
    dropped: dict[str, int]
    pending: int
    error: str | None

    @property
    def accounted(self) -> int:
        """How many records there is an account of: delivered + excluded + dropped + pending."""
        return self.delivered + self.excluded + sum(self.dropped.values()) + self.pending

    @property
    def agrees(self) -> bool:
        """Whether that is how many were recorded."""
        return self.recorded == self.accounted

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {**self._asdict(), "agrees": self.agrees}


class Verification(NamedTuple):
    """What :func:`verify` found: a reconciliation per backend, and what the journal itself lost."""

    recorded: int
    backends: list[Reconciliation]
    dropped: dict[str, int]  # by the recording side, where the disk would not take them
    damage: dict[str, int]

    @property
    def agrees(self) -> bool:
        """Whether all backends' accounts agree with the journal."""
        return all(each.agrees for each in self.backends)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        rows = [each.as_dict() for each in self.backends]
        return {**self._asdict(), "backends": rows, "agrees": self.agrees}


def verify(run_dir: Path) -> Verification:
    """Reconcile the ledgers of a run with its journal. Reads the whole journal, also of a run that goes on."""
    ledgers = [Ledger(run_dir, name) for name in backends(run_dir)]  # before the journal, which only grows
    pending = Counter({ledger.backend: 0 for ledger in ledgers})
    recorded = 0
    drops: Counter[str] = Counter()
    damage = Damage()
    for writer in writers(run_dir):
        follower = Follower(run_dir, writer)
        while records := follower.read(100_000):
            drops.update(_drops(records))
            due = [record.seq for record in records if is_due(record)]
            recorded += len(due)
            for ledger in ledgers:
                pending[ledger.backend] += _beyond(due, ledger, writer)
        damage.counts.update(follower.damage.counts)
    found = [_reconciled(ledger, recorded, pending[ledger.backend]) for ledger in ledgers]
    return Verification(recorded, found, dict(drops), dict(damage.counts))


def _drops(records: list[Record]) -> Counter[str]:
    lost: Counter[str] = Counter()
    for record in records:
        if isinstance(record, EventRecord) and record.type == "drops":
            lost.update(record.payload.get("drops", {}))
    return lost


def _beyond(seqs: list[int], ledger: Ledger, writer: str) -> int:
    page = ledger.pages.get(writer)
    if page is None:
        return len(seqs)
    first, holes = page.cursor.next, page.cursor.holes
    if seqs and max(seqs) < first and not holes:
        return 0
    return sum(seq >= first or any(start <= seq < stop for start, stop in holes) for seq in seqs)


def _reconciled(ledger: Ledger, recorded: int, pending: int) -> Reconciliation:
    return Reconciliation(
        backend=ledger.backend,
        recorded=recorded,
        delivered=ledger.delivered,
        excluded=ledger.excluded,
        dropped=ledger.dropped,
        pending=pending,
        error=ledger.error,
    )


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
