"""The journal: every process of a run appends what it records to a file of its own; everything else reads it.

The reading side resolves on first use, so that a training process loads no more than it writes with.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracelet.journal.recorder import NullRecorder, Recorder
from tracelet.journal.writing.values import as_number, as_step, flatten
from tracelet.journal.writing.writer import Writer

if TYPE_CHECKING:
    from tracelet.journal.compacting.compaction import Compaction, compact
    from tracelet.journal.reading.follower import Follower
    from tracelet.journal.reading.found_records import Chunk, PointColumns, group_points
    from tracelet.journal.reading.journal_records import Cursor, Damage, EventRecord, PointRecord, Record
    from tracelet.journal.reading.lifetime import liveness
    from tracelet.journal.reading.run_columns import (
        Columns,
        Part,
        read_columns,
        read_events,
        read_events_by_writer,
    )
    from tracelet.journal.reading.source import writers

_LATER = {
    "Chunk": "reading.found_records",
    "Columns": "reading.run_columns",
    "Compaction": "compacting.compaction",
    "Cursor": "reading.journal_records",
    "Damage": "reading.journal_records",
    "EventRecord": "reading.journal_records",
    "Follower": "reading.follower",
    "Part": "reading.run_columns",
    "PointColumns": "reading.found_records",
    "PointRecord": "reading.journal_records",
    "Record": "reading.journal_records",
    "compact": "compacting.compaction",
    "group_points": "reading.found_records",
    "liveness": "reading.lifetime",
    "read_columns": "reading.run_columns",
    "read_events": "reading.run_columns",
    "read_events_by_writer": "reading.run_columns",
    "writers": "reading.source",
}

__all__ = [
    "Chunk",
    "Columns",
    "Compaction",
    "Cursor",
    "Damage",
    "EventRecord",
    "Follower",
    "NullRecorder",
    "Part",
    "PointColumns",
    "PointRecord",
    "Record",
    "Recorder",
    "Writer",
    "as_number",
    "as_step",
    "compact",
    "flatten",
    "group_points",
    "liveness",
    "read_columns",
    "read_events",
    "read_events_by_writer",
    "writers",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
