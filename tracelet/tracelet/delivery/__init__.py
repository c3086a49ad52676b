"""Delivery: backends receive what the journal holds, at least once and in order."""

from tracelet.delivery.delivery import Delivery
from tracelet.delivery.ledger.verify import Progress, Reconciliation, Verification, progress, verify
from tracelet.delivery.limits import Settings
from tracelet.delivery.sync import Synced, is_due, is_known, sync

__all__ = [
    "Delivery",
    "Progress",
    "Reconciliation",
    "Settings",
    "Synced",
    "Verification",
    "is_due",
    "is_known",
    "progress",
    "sync",
    "verify",
]
