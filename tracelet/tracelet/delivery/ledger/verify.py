"""Reconciliation: whether each record of a run is accounted for at each backend, and each backend's progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.delivery.ledger.counting import count_ahead, ends, is_counted
from tracelet.delivery.ledger.ledger import Ledger, backends
from tracelet.errors import JournalError
from tracelet.journal import Damage, EventRecord, Follower, Record, writers


class Reconciliation(NamedTuple):
    """What became of a run's records at one backend.

    ``recorded`` is counted in the journal, and ``pending`` are the records in it beyond the backend's cursor.
    ``accepted`` is how many records the backend's hooks have returned for, repeats included, counted at the calls.
    The other numbers are the ledger's. All count points (each value of a row is one) and the events that backends
    receive: parameters, tags, artifacts and changes of the run.
    """

    backend: str
    recorded: int
    delivered: int
    excluded: int
    dropped: dict[str, int]
    pending: int
    error: str | None
    accepted: int = 0
    is_readable: bool = True  # else the ledger cannot be read: its numbers are 0, and ``error`` says why

    @property
    def accounted(self) -> int:
        """How many records are accounted for: delivered + excluded + dropped + pending."""
        return self.delivered + self.excluded + sum(self.dropped.values()) + self.pending

    @property
    def agrees(self) -> bool:
        """Whether that is how many were recorded, and the backend has accepted as many as the ledger claims."""
        is_complete = self.recorded == self.accounted and self.accepted >= self.delivered
        return self.is_readable and is_complete

    def as_dict(self) -> dict[str, Any]:
        """Return it in a form that JSON can represent."""
        row = {**self._asdict(), "agrees": self.agrees}
        del row["is_readable"]
        return row


class Verification(NamedTuple):
    """The result of :func:`verify`: a reconciliation per backend, and what the journal itself has lost."""

    recorded: int
    backends: list[Reconciliation]
    dropped: dict[str, int]  # by the recording side, when the disk did not accept them
    damage: dict[str, int]

    @property
    def agrees(self) -> bool:
        """Whether the accounts of all backends agree with the journal."""
        return all(each.agrees for each in self.backends)

    def as_dict(self) -> dict[str, Any]:
        """Return it in a form that JSON can represent."""
        rows = [each.as_dict() for each in self.backends]
        return {**self._asdict(), "backends": rows, "agrees": self.agrees}


def verify(run_dir: Path) -> Verification:
    """Reconcile the ledgers of a run with its journal. Reads the whole journal, also of a run in progress."""
    ledgers, faults = _read_ledgers(run_dir)  # before the journal, which only grows
    pending = Counter({ledger.backend: 0 for ledger in ledgers})
    recorded = 0
    drops: Counter[str] = Counter()
    damage = Damage()
    for writer in writers(run_dir):
        follower = Follower(run_dir, writer)
        while records := follower.read(100_000):
            drops.update(_drops(records))
            counted = [record.seq for record in records if is_counted(record)]
            recorded += len(counted)
            for ledger in ledgers:
                pending[ledger.backend] += _count_beyond(counted, ledger, writer)
        damage.counts.update(follower.damage.counts)
    found = [_reconcile(ledger, recorded, pending[ledger.backend]) for ledger in ledgers]
    found += [
        Reconciliation(name, recorded, 0, 0, {}, 0, fault, is_readable=False)
        for name, fault in faults.items()
    ]
    found.sort(key=lambda each: each.backend)
    return Verification(recorded, found, dict(drops), dict(damage.counts))


def _read_ledgers(run_dir: Path) -> tuple[list[Ledger], dict[str, str]]:
    """Return the ledgers of a run, and by backend why others cannot be read."""
    ledgers, faults = [], {}
    for name in backends(run_dir):
        try:
            ledgers.append(Ledger(run_dir, name))
        except (JournalError, OSError) as error:
            faults[name] = str(error)
    return ledgers, faults


def _drops(records: Sequence[Record]) -> Counter[str]:
    lost: Counter[str] = Counter()
    for record in records:
        if isinstance(record, EventRecord) and record.type == "drops":
            drops = record.payload.get("drops")
            if isinstance(drops, dict):
                lost.update({reason: count for reason, count in drops.items() if isinstance(count, int)})
    return lost


def _count_beyond(seqs: list[int], ledger: Ledger, writer: str) -> int:
    """Return how many of the records a backend has not received yet."""
    page = ledger.pages.get(writer)
    if page is None:
        return len(seqs)
    first, holes = page.cursor.next, page.cursor.holes
    if seqs and max(seqs) < first and not holes:
        return 0
    return sum(seq >= first or any(start <= seq < stop for start, stop in holes) for seq in seqs)


def _reconcile(ledger: Ledger, recorded: int, pending: int) -> Reconciliation:
    return Reconciliation(
        backend=ledger.backend,
        recorded=recorded,
        delivered=ledger.delivered,
        excluded=ledger.excluded,
        dropped=ledger.dropped,
        pending=pending,
        error=ledger.error,
        accepted=ledger.accepted,
    )


class Progress(NamedTuple):
    """The progress of one backend with a run, in records as :class:`Reconciliation` counts them."""

    backend: str
    delivered: int
    pending: int
    error: str | None


def progress(run_dir: Path) -> list[Progress]:
    """Return each backend's progress from its ledger and the journal's length: faster than verifying."""
    ledgers = [
        Ledger(run_dir, name, strict=False) for name in backends(run_dir)
    ]  # before the journal, which only grows
    targets = ends(run_dir, writers(run_dir)) if ledgers else {}
    return [
        Progress(each.backend, each.delivered, count_ahead(run_dir, each.position, targets), each.error)
        for each in ledgers
    ]
