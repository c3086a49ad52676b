"""What a reader returns: records, cursors and the account of damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple


class PointRecord(NamedTuple):
    """One value of one metric. ``(writer, seq, index)`` identifies it permanently."""

    seq: int  # of the record within its writer
    index: int  # type: ignore[assignment]  # which value of a row
    name: str
    type: str
    source: str | None
    step: int
    time: float  # seconds since the epoch
    value: float


class EventRecord(NamedTuple):
    """Anything that is not a number: parameters, tags, artifacts, the outcome, ..."""

    seq: int
    type: str
    payload: dict[str, Any]
    time: float


Record = PointRecord | EventRecord


Hole = tuple[int, int]  # a stretch of sequence numbers: from the first up to, not including, the second


class Cursor:
    """How far a reader has read one writer: everything before ``next``, except ``holes`` skipped for now."""

    __slots__ = ("holes", "next")

    def __init__(self, next: int = 0, holes: tuple[Hole, ...] = ()) -> None:
        self.next = next
        self.holes = holes

    def to_json(self) -> dict[str, Any]:
        """Return the cursor as an object that ``json`` can write."""
        return {"next": self.next, "holes": [list(hole) for hole in self.holes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cursor:
        """Return the cursor that :meth:`to_json` returned."""
        return cls(int(data["next"]), tuple((int(start), int(stop)) for start, stop in data.get("holes", ())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cursor) and (self.next, self.holes) == (other.next, other.holes)

    def __hash__(self) -> int:
        return hash((self.next, self.holes))

    def __repr__(self) -> str:
        return f"Cursor(next={self.next}, holes={self.holes})"


class Damage:
    """What a reader could not read, counted by kind in ``counts``; false if everything was intact.

    Kinds, in slots: ``damaged`` (the checksum fails), ``torn`` (rows and events with an intact head and a
    damaged payload), ``unwritten`` (taken and never filled), ``missing`` (in files that are gone or cut short
    while later ones exist). Other kinds: ``header`` (segments whose header is damaged; their records are
    kept), ``cut`` (writers that ended and whose last record is gone), ``unnamed`` (metrics whose name is
    gone; their points are kept under a made-up name), ``time`` (records whose time is no time between 1970 and 9999;
    they are kept, with the nearest one) and ``version`` (files of a newer tracelet, which this
    version skips).
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, amount: int = 1) -> None:
        """Count."""
        self.counts[kind] += amount
        if not self.counts[kind]:
            del self.counts[kind]

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __repr__(self) -> str:
        return f"Damage({dict(self.counts)})"
