"""Making the outline of a run, in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tracelet.journal import read_events_by_writer
from tracelet.store.dense_series import MIN_POINTS, read_dense
from tracelet.store.journal_access import list_segments
from tracelet.store.metric_keys import as_patterns
from tracelet.store.outlines.outline_file import PIXELS, OutlineWriter
from tracelet.store.rewinds import split_rewinds
from tracelet.store.series import Series
from tracelet.store.store import Store
from tracelet.store.tail import series_cursor
from tracelet.store.windows import read_window

_AT_ONCE: Final = 10_000_000  # points: 240 MB


def build_outline(store: Store, id: str, path: Path) -> bool:
    """Make the outline of a run that has ended. Return whether its files stayed the same meanwhile.

    A metric that a resumed run computed again in part is left out: its chart shows more than a window.
    """
    record = store.run(id)
    state: Any = list_segments(record.dir)
    events = [
        (writer, event) for writer, several in read_events_by_writer(record.dir).items() for event in several
    ]
    outline = OutlineWriter(path, state, events)
    counts = {name: one["count"] for name, one in record.summary().items()}
    for names in _batches(counts):
        for series, cursor in _read(store, id, names, counts):
            facts = {"type": series.type, "count": len(series), "cursor": cursor}
            windows = {axis: read_window(series, axis=axis, pixels=PIXELS) for axis in ("step", "time")}
            outline.add(series.name, facts, windows)
    if store.run(id).outcome == "running" or list_segments(record.dir) != state:
        return False
    outline.write()
    return True


def _batches(counts: dict[str, int]) -> Iterator[list[str]]:
    """Yield names of metrics that can be read at once."""
    batch: list[str] = []
    room = _AT_ONCE
    for name in sorted(counts):
        if batch and counts[name] > room:
            yield batch
            batch, room = [], _AT_ONCE
        batch.append(name)
        room -= counts[name]
    if batch:
        yield batch


def _read(
    store: Store, id: str, names: list[str], counts: dict[str, int]
) -> Iterator[tuple[Series, dict[str, int]]]:
    """Yield each metric with the cursor behind it, but for those with a rewind."""
    record = store.run(id)
    for name in list(names):
        if counts[name] >= MIN_POINTS and (dense := read_dense(record.dir, id, name, counts[name])):
            names.remove(name)
            yield dense
    for one in record.series(as_patterns(names), missing_ok=True) if names else ():
        effective, ghosts = split_rewinds(one)
        if not ghosts:
            yield effective, series_cursor(one.origin.parts if one.origin is not None else ())
