"""Reading recorded runs: those that ended, those that were killed, and those still recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelet.store.accumulator import Summary
from tracelet.store.history import Process
from tracelet.store.record import RunRecord
from tracelet.store.series import Point, Series
from tracelet.store.store import Store, open_store

if TYPE_CHECKING:
    from tracelet.store import export_formats as export

__all__ = ["Point", "Process", "RunRecord", "Series", "Store", "Summary", "export", "open_store"]


def __getattr__(name: str) -> Any:
    if name == "export":  # loaded when it is first used
        from tracelet.store import export_formats

        return export_formats
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
