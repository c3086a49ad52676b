"""Delivery: how backends get what the journal holds, at least once and in order."""

from tracelet.delivery.deliverer import Delivery
from tracelet.delivery.settings import Settings

__all__ = ["Delivery", "Settings"]
