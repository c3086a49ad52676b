"""What a reader gives: records, cursors and the account of what is damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple


class PointRecord(NamedTuple):
    """One value of one metric. ``(writer, seq, index)`` identifies it for good."""

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


class Cursor:
    """How far a reader has come with one writer: all before ``next``, except ``holes`` passed over for now."""

    __slots__ = ("holes", "next")

    def __init__(self, next: int = 0, holes: tuple[int, ...] = ()) -> None:
        self.next = next
        self.holes = holes

    def to_json(self) -> dict[str, Any]:
        """Return the cursor as what ``json`` can write."""
        return {"next": self.next, "holes": list(self.holes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cursor:
        """Return the cursor that :meth:`to_json` described."""
        return cls(int(data["next"]), tuple(int(seq) for seq in data.get("holes", ())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cursor) and (self.next, self.holes) == (other.next, other.holes)

    def __hash__(self) -> int:
        return hash((self.next, self.holes))

    def __repr__(self) -> str:
        return f"Cursor(next={self.next}, holes={self.holes})"


class Damage:
    """What a reader could not read, counted by kind in ``counts``; false when everything was whole.

    Kinds: ``damaged`` (slots whose checksum fails), ``torn`` (rows and events whose header is whole and whose
    payload is not), ``unwritten`` (slots given out and never filled in), ``header`` (segments), ``missing``
    (slots of segments that are gone), ``unnamed`` (metrics whose name is gone; their points are kept).
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, amount: int = 1) -> None:
        """Count."""
        if amount:
            self.counts[kind] += amount

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __repr__(self) -> str:
        return f"Damage({dict(self.counts)})"
