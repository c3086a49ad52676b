"""Repeated names, for readers that find the event with a name damaged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from tracelet.journal.format import ID_MASK
from tracelet.journal.writing.counters import drain
from tracelet.journal.writing.metric_table import SCALAR, LayoutKey, MetricTable, RowLayout

_LISTED = 10_000  # entries in one dictionary event

Entry = tuple[str, dict[str, Any]]  # "names" or "columns", and the content of its event


class NameDictionary:
    """The names and columns that have not been repeated yet."""

    def __init__(self) -> None:
        self._unlisted: deque[Entry] = deque()
        self._segment = 0

    def add(self, kind: str, entry: dict[str, Any]) -> None:
        """Add a name or columns to repeat."""
        self._unlisted.append((kind, entry))

    def put_back(self, listed: Mapping[str, list[dict[str, Any]]]) -> None:
        """Add entries again that could not be written."""
        self._unlisted.extend((kind, entry) for kind, entries in listed.items() for entry in entries)

    def take_entries(
        self, segment: int, metrics: MetricTable, layouts: dict[LayoutKey, RowLayout]
    ) -> Iterator[dict[str, list[dict[str, Any]]]]:
        """Yield the dictionaries to write now: new entries, or all entries in a new segment."""
        if segment != self._segment:
            self._segment = segment
            copied = layouts.copy()  # before the ids: a layout's metrics have ids before it exists
            self._unlisted.extend(_everything(metrics.ids.copy(), copied))
        entries = drain(self._unlisted)
        while listed := list(islice(entries, _LISTED)):
            yield {kind: [entry for each, entry in listed if each == kind] for kind in ("names", "columns")}


def _everything(ids: Mapping[Any, int], layouts: Mapping[LayoutKey, RowLayout]) -> Iterator[Entry]:
    for (name, type_, source), identity in ids.items():
        yield "names", {"id": identity, "name": name, "metric": type_, "source": source}
    for key, plan in layouts.items():
        names, type_, source = key if isinstance(key[0], tuple) else (key, SCALAR, None)
        columns = [ids.get((name, type_, source)) for name in names]
        yield "columns", {"id": plan.tag & ID_MASK, "names": columns}
