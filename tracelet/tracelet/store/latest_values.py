"""Values that may be recorded several times, of which the latest counts.

Several processes record into one run, and a reader meets their events in any order. So every value carries a stamp,
and the one with the greatest stamp counts, whatever order they are read in. No clock is trusted for this order: within
a process it is the sequence, and a process that resumed the run comes after those it resumed from. Only processes
that record at the same time are ordered by time, and that time never runs backwards within a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

Stamp = tuple[int, float, str, int]  # attempt, time, writer, sequence

#: The value of a key that was removed, as the index keeps it.
REMOVED: Final = "\0removed"


class Stamped(NamedTuple):
    """A value, its stamp, and the stamp of the first value of its key."""

    value: Any
    stamp: Stamp
    first: Stamp


class LatestValues(dict[str, Stamped]):
    """The latest value of each key."""

    def record(self, values: Mapping[str, Any], stamp: Stamp) -> None:
        """Take in values that were recorded together."""
        for key, value in values.items():
            known = self.get(key)
            if known is None:
                self[key] = Stamped(value, stamp, stamp)
            else:
                latest = (value, stamp) if known.stamp <= stamp else known[:2]
                self[key] = Stamped(*latest, min(known.first, stamp))

    def plain(self) -> dict[str, Any]:
        """Return the values alone, in the order in which their keys first appeared."""
        kept = [key for key in self if self[key].value != REMOVED]
        return {key: self[key].value for key in sorted(kept, key=lambda key: self[key].first)}

    def remove(self, keys: Iterable[str], stamp: Stamp) -> None:
        """Take in that keys were removed. A later value brings one back."""
        self.record(dict.fromkeys(keys, REMOVED), stamp)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LatestValues:
        """Return the values that ``json`` wrote as a mapping of lists."""
        return cls(
            {key: Stamped(value, _stamp(stamp), _stamp(first)) for key, (value, stamp, first) in data.items()}
        )


def _stamp(items: Sequence[Any]) -> Stamp:
    attempt, time, writer, seq = items
    return (int(attempt), float(time), str(writer), int(seq))
