"""Reading recorded runs back: those that ended, those that were killed, those still going."""

from tracelet.store.history import Process
from tracelet.store.record import RunRecord
from tracelet.store.series import Point, Series
from tracelet.store.store import Store, open_store
from tracelet.store.tally import Summary

__all__ = ["Point", "Process", "RunRecord", "Series", "Store", "Summary", "open_store"]
