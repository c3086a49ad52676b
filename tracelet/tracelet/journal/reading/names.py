"""The meaning of ids, collected from the ``name`` and ``columns`` events that a reader finds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

from tracelet.journal.events import InvalidEventError, decode_event
from tracelet.journal.format import BLOB, SEGMENT_SHIFT
from tracelet.journal.reading.source import Source
from tracelet.journal.segments.pieces import PARTIAL, Piece, pieces

_STRIDE = 32768  # slots


class Metric(NamedTuple):
    """Identifies a metric: written once per writer."""

    name: str
    type: str
    source: str | None


class Names:
    """The metrics and columns of one writer by id."""

    def __init__(self) -> None:
        self.metrics: dict[int, Metric] = {}
        self.columns: dict[int, tuple[Metric, ...]] = {}
        self.unknown: set[int] = set()  # ids that were looked up and whose names are lost
        self._columns: dict[int, list[int]] = {}

    def learn(self, type_: str, payload: dict[str, Any]) -> bool:
        """Learn from an event; return whether it was about names."""
        if type_ == "name":
            self.metrics[payload["id"]] = Metric(payload["name"], payload["metric"], payload.get("source"))
        elif type_ == "columns":
            self._columns[payload["id"]] = payload["names"]
        elif type_ == "dictionary":
            for entry in payload["names"]:
                self.learn("name", entry)
            for entry in payload["columns"]:
                self.learn("columns", entry)
        else:
            return False
        return True

    def learn_from(self, piece: Piece) -> None:
        """Learn from an encoded event."""
        with contextlib.suppress(InvalidEventError):
            event = decode_event(piece.payload)
            self.learn(event.type, event.payload)

    def knows(self, identity: int) -> bool:
        """Say whether a metric's name is known."""
        return identity in self.metrics

    def knows_row(self, identity: int) -> bool:
        """Say whether the names of a row's columns are known."""
        return identity in self.columns or all(map(self.knows, self._columns.get(identity, [0])))

    def ids(self, identity: int) -> list[int]:
        """Return the metrics in a row by their ids, an empty list if they are unknown."""
        return self._columns.get(identity, [])

    def metric(self, identity: int) -> Metric:
        """Return the metric with an id; if its name is lost, the name is made from the id."""
        known = self.metrics.get(identity)
        if known is None:
            self.unknown.add(identity)
            return Metric(f"unnamed-{identity}", "scalar", None)
        return known

    def row(self, identity: int, count: int) -> tuple[Metric, ...]:
        """Return the metrics of a row's columns."""
        known = self.columns.get(identity)
        if known is not None and len(known) == count:
            return known
        ids = self.ids(identity)
        if len(ids) != count:
            self.unknown.add(-identity)
            return tuple(Metric(f"unnamed-row-{identity}/{place}", "scalar", None) for place in range(count))
        metrics = tuple(self.metric(one) for one in ids)
        if all(map(self.knows, ids)):
            self.columns[identity] = metrics
        return metrics


def seek_names(run_dir: Path, writer: str, names: Names, near: int) -> None:
    """Learn all names of a writer: first those of the segment that ``near`` is in, which lists all so far."""
    source = Source(run_dir, writer)
    here = near >> SEGMENT_SHIFT
    for segment in sorted(source.segments(), key=lambda segment: (segment != here, segment)):
        seq, size = segment << SEGMENT_SHIFT, _STRIDE
        while seq < segment + 1 << SEGMENT_SHIFT:
            if (chunk := source.chunk_at(seq)) is not None:
                for event in chunk.events():
                    names.learn_from(event)
                seq = chunk.end
                continue
            block = source.block(seq, size)
            used = 0
            for piece in pieces(block.data, seq, trusted=block.trusted):
                if piece.kind == PARTIAL:
                    break
                if piece.kind == BLOB:
                    names.learn_from(piece)
                used += piece.slots
            if not used and block.slots < size:
                break
            size = _STRIDE if used else 2 * size
            seq += used
