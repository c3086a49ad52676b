"""A writer's state per metric (its id and last step) and per set of metrics logged together."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from itertools import count

from tracelet.errors import RecordingError
from tracelet.journal.format import ID_MASK, KIND_SHIFT, POINT, ROW, SLOT, payload_slots
from tracelet.journal.writing.counters import new_counter, position
from tracelet.journal.writing.unavailable import UnavailableError
from tracelet.journal.writing.values import plain_name, short

Identity = tuple[str, str, "str | None"]  # name, type, source
Key = str | Identity  # the name alone if type and source are the usual ones
LayoutKey = tuple[str, ...] | tuple[tuple[str, ...], str, "str | None"]

SCALAR = "scalar"


def metric_key(name: str, type: str, source: str | None) -> Key:
    """Return the key of a metric's state."""
    return name if type is SCALAR and source is None else (name, type, source)


def check_name(name: object) -> None:
    """Raise RecordingError for a value that cannot be a metric's name."""
    if not isinstance(name, str) or not name:
        found = (
            "an empty one" if isinstance(name, str) else f"{short(name)} of type {type(name).__qualname__}"
        )
        raise RecordingError(f"expected a name, found {found}", reason="no name")


class MetricState:
    """The largest step seen of one metric, or of several that are logged together."""

    __slots__ = ("last", "related", "tag")

    def __init__(self, tag: int, last: int) -> None:
        self.tag = tag
        self.last = last
        self.related: list[MetricState] = []  # metrics that share a metric with this one

    def next(self) -> int:
        """Return the step after the largest one seen for any of these metrics."""
        return max(self.last, *(track.last for track in self.related), self.last) + 1

    def note(self, step: int) -> None:
        """Remember a step."""
        self.last = max(self.last, step)


class RowLayout(MetricState):
    """How a row of certain metrics is written: the id of its columns, and its prepared structs."""

    __slots__ = ("count", "pack_values", "put", "rows", "size")

    def __init__(self, columns: int, metrics: int) -> None:
        super().__init__(ROW << KIND_SHIFT | columns, -1)
        self.count = metrics
        self.size = 1 + payload_slots(8 * metrics)
        self.pack_values = struct.Struct(f"<{metrics}d").pack
        self.put = struct.Struct(f"<28sI{(self.size - 1) * SLOT}s").pack_into
        self.rows = new_counter()

    @property
    def gained(self) -> int:
        """Points in the rows written so far, minus the slots that they occupy."""
        return position(self.rows) * (self.count - self.size)


class MetricTable(dict[Key, MetricState]):
    """The state of each metric. A missing one is registered: its name is written to the journal first.

    Two threads may register the same name at once: it then has two ids, which is harmless to readers.
    """

    def __init__(self, record_name: Callable[[int, Identity], None], steps: Mapping[str, int]) -> None:
        super().__init__()
        self.ids: dict[Identity, int] = {}
        self._record_name = record_name
        self._steps = steps  # the last steps before a fork or a resume
        self._next_id = count(1)
        self._by_name: dict[str, dict[int, MetricState]] = {}

    def __missing__(self, key: Key) -> MetricState:
        name, type_, source = key if isinstance(key, tuple) else (key, SCALAR, None)
        if (
            isinstance(name, str) and name.__class__ is not str
        ):  # a member of a text enumeration: its hash is that of another text
            return self[metric_key(plain_name(name), type_, source)]
        tag = POINT << KIND_SHIFT | self.identify((name, type_, source))
        fresh = MetricState(tag, -1)
        track = self.setdefault(key, fresh)
        if track is fresh:
            self.relate(track, [name])
        return track

    def identify(self, metric: Identity) -> int:
        """Return a metric's id. The first call records its name.

        Raises:
            UnavailableError: the name cannot be recorded now.
        """
        known = self.ids.get(metric)
        if known is not None:
            return known
        check_name(metric[0])
        identity = next(self._next_id)
        if identity > ID_MASK:
            raise UnavailableError("too many metric names")
        self._record_name(identity, metric)
        return self.ids.setdefault(metric, identity)

    def last(self, names: Iterable[str]) -> int:
        """Return the largest step seen for any of these metrics, -1 for none."""
        seen = [self._steps.get(name, -1) for name in names]
        seen += [track.last for name in names for track in list(self._by_name.get(name, {}).values())]
        return max(seen)

    def _earlier(self, name: str) -> dict[int, MetricState]:
        """Return a state for the steps before this journal began, if there were any."""
        if name not in self._steps:
            return {}
        track = MetricState(0, self._steps[name])
        return {id(track): track}

    def steps(self) -> dict[str, int]:
        """Return the largest step seen for each metric."""
        return {name: self.last([name]) for name in [*self._steps, *self._by_name]}

    def relate(self, track: MetricState, names: Iterable[str]) -> None:
        """Link a new state to those that share a metric with it, so that automatic steps cover all of them."""
        related: dict[int, MetricState] = {}
        for name in names:
            others = self._by_name.get(name)
            if others is None:
                others = self._by_name.setdefault(name, self._earlier(name))
            related.update(others)
            others[id(track)] = track
        track.related.extend(related.values())
        for other in related.values():
            other.related.append(track)
