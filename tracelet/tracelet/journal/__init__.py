"""The journal: every process of a run appends what it records to a file of its own; everything else reads it.

The reading side resolves on first use, so that a training process loads no more than it writes with.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracelet.journal.values import as_number, as_step, flatten
from tracelet.journal.writer import Writer

if TYPE_CHECKING:
    from tracelet.journal.columns import Columns, Part, read_columns, read_events
    from tracelet.journal.compaction import Compaction, compact
    from tracelet.journal.follower import Follower
    from tracelet.journal.lifetime import liveness
    from tracelet.journal.records import Cursor, Damage, EventRecord, PointRecord, Record
    from tracelet.journal.source import writers

_LATER = {
    "Columns": "columns",
    "Compaction": "compaction",
    "Cursor": "records",
    "Damage": "records",
    "EventRecord": "records",
    "Follower": "follower",
    "Part": "columns",
    "PointRecord": "records",
    "Record": "records",
    "compact": "compaction",
    "liveness": "lifetime",
    "read_columns": "columns",
    "read_events": "columns",
    "writers": "source",
}

__all__ = [
    "Columns",
    "Compaction",
    "Cursor",
    "Damage",
    "EventRecord",
    "Follower",
    "Part",
    "PointRecord",
    "Record",
    "Writer",
    "as_number",
    "as_step",
    "compact",
    "flatten",
    "liveness",
    "read_columns",
    "read_events",
    "writers",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
