"""Delivery: how backends get what the journal holds, at least once and in order."""

from tracelet.delivery.deliverer import Delivery
from tracelet.delivery.progress import Progress, progress
from tracelet.delivery.settings import Settings
from tracelet.delivery.syncing import Synced, is_due, sync
from tracelet.delivery.verifying import Reconciliation, Verification, verify

__all__ = [
    "Delivery",
    "Progress",
    "Reconciliation",
    "Settings",
    "Synced",
    "Verification",
    "is_due",
    "progress",
    "sync",
    "verify",
]
