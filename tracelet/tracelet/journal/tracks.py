"""What a writer remembers of each metric (its id and last step) and of each set of metrics logged together."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import count

from tracelet.journal.faults import new_counter, position
from tracelet.journal.format import KIND_SHIFT, POINT, ROW, SLOT, payload_slots

Key = str | tuple[str, str, "str | None"]  # a name, or name, type and source where they are not the usual
PlanKey = tuple[str, ...] | tuple[tuple[str, ...], str, "str | None"]


class Track:
    """One metric, or several that are logged together, with the largest step seen."""

    __slots__ = ("last", "related", "tag")

    def __init__(self, tag: int, last: int) -> None:
        self.tag = tag
        self.last = last
        self.related: tuple[Track, ...] = ()  # tracks that share a metric with this one

    def next(self) -> int:
        """Return the step after the largest one seen for any metric concerned."""
        return max(self.last, *(track.last for track in self.related)) + 1 if self.related else self.last + 1


class Plan(Track):
    """How a row of certain metrics is written: its columns' id, and the layouts made once."""

    __slots__ = ("count", "pack_values", "put", "rows", "size")

    def __init__(self, columns: int, metrics: int, last: int) -> None:
        super().__init__(ROW << KIND_SHIFT | columns, last)
        self.count = metrics
        self.size = 1 + payload_slots(8 * metrics)
        self.pack_values = struct.Struct(f"<{metrics}d").pack
        self.put = struct.Struct(f"<28sI{(self.size - 1) * SLOT}s").pack_into
        self.rows = new_counter()

    @property
    def gained(self) -> int:
        """Points in the rows written so far, less the slots that they took."""
        return position(self.rows) * (self.count - self.size)


class Tracks(dict[Key, Track]):
    """Tracks by metric. One that is missing is registered: its name goes into the journal first."""

    def __init__(self, record_name: Callable[[int, str, str, str | None], None], steps: dict[str, int]) -> None:
        super().__init__()
        self.ids: dict[tuple[str, str, str | None], int] = {}
        self._record_name = record_name
        self._steps = steps  # where counting goes on after a fork or a resume
        self._next_id = count(1)
        self._by_name: dict[str, tuple[Track, ...]] = {}

    def __missing__(self, key: Key) -> Track:
        name, type_, source = key if isinstance(key, tuple) else (key, "scalar", None)
        identity = self.identify(name, type_, source)
        return self.setdefault(key, self.relate(Track(POINT << KIND_SHIFT | identity, self.last(name)), [name]))

    def identify(self, name: str, type_: str, source: str | None) -> int:
        """Return a metric's id, recording its name at first."""
        known = self.ids.get((name, type_, source))
        if known is not None:
            return known
        if not isinstance(name, str) or not name:
            raise TypeError(f"metric {name!r}: expected a name (a string), found {type(name).__qualname__}")
        identity = next(self._next_id)
        self._record_name(identity, name, type_, source)
        return self.ids.setdefault((name, type_, source), identity)

    def last(self, name: str) -> int:
        """Return the largest step seen for a metric, -1 for none."""
        known = [track.last for track in self._by_name.get(name, ())]
        return max([self._steps.get(name, -1), *known])

    def steps(self) -> dict[str, int]:
        """Return the largest step seen for each metric."""
        return {name: self.last(name) for name in {*self._steps, *self._by_name}}

    def relate(self, track: Track, names: Iterable[str]) -> Track:
        """Tie a new track to those that it shares metrics with."""
        related: dict[int, Track] = {}
        for name in names:
            others = self._by_name.get(name, ())
            related.update((id(other), other) for other in others)
            self._by_name[name] = (*others, track)
        track.related = tuple(related.values())
        for other in track.related:
            other.related = (*other.related, track)
        return track
