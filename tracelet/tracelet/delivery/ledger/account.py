"""A ledger for a backend that has received nothing yet: by it, ``tracelet sync`` knows that records are pending."""

from __future__ import annotations

from pathlib import Path

from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.errors import JournalError
from tracelet.logs import get_logger

log = get_logger("tracelet.delivery")


def open_account(run_dir: Path, backend: str, settings: Settings, error: str | None = None) -> None:
    """Store a ledger, if there is none and no other process is delivering."""
    lease = Lease(run_dir, backend, settings)
    try:
        ledger = Ledger(run_dir, backend)
        if not ledger.file.exists() and not ledger.recent.exists() and lease.acquire():
            ledger.error = error
            ledger.save()
    except (OSError, JournalError) as problem:
        log.warning("backend %r: cannot store that records are pending (%s)", backend, problem)
    finally:
        lease.release()
