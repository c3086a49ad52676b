"""The records in a packed chunk, derived from its tags and sizes."""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain

from tracelet.journal.format import BLOB, KIND_SHIFT, MAX_ROW, PAD, POINT, ROW, payload_slots
from tracelet.journal.segments import arithmetic
from tracelet.journal.segments.packing import Key, PackedError
from tracelet.journal.segments.pieces import places_of

_OTHERS = re.compile(b"[^%c]" % POINT)


class Outline:
    """The records in a chunk and their places. Those with a time are numbered in order."""

    def __init__(self, tags: bytearray, sizes: Sequence[int], slots: int) -> None:
        """Find the records that fill ``slots`` slots.

        Raises:
            PackedError: they fill fewer or more.
        """
        kinds = tags[3::4]
        self.places: Sequence[int] = range(len(kinds))  # the slot of each number
        self.blobs: list[tuple[int, int, int]] = []  # number, tag, bytes
        self.pads: list[int] = []  # slots
        self.empty: list[tuple[int, int]] = []  # slot, slots
        self.slots = len(kinds)
        self._rows: dict[Key, list[int]] = {}  # numbers
        self._points = [range(len(kinds))]  # numbers
        self._point_tags = integers(tags)
        if kinds.count(POINT) < len(kinds):
            self._walk(self._point_tags, kinds, iter(sizes), slots)
        if self.slots != slots:
            raise PackedError(f"expected records of {slots} slots, found {self.slots}")

    def _walk(self, tags: array[int], kinds: bytearray, sizes: Iterator[int], limit: int) -> None:
        """Go from record to record, skipping points."""
        places = self.places = array("I")
        self._points, self._point_tags = [], array("I")
        start = at = 0
        for index in [*(other.start() for other in _OTHERS.finditer(kinds)), len(kinds)]:
            if points := index - start:
                self._points.append(range(len(places), len(places) + points))
                self._point_tags += tags[start:index]
                places.extend(range(at, at + points))
                at += points
            if index < len(kinds):
                at = self._other(tags[index], at, sizes, places)
            if at > limit:
                raise PackedError(f"expected records of {limit} slots, found more")
            start = index + 1
        self.slots = at

    @cached_property
    def groups(self) -> dict[Key, Sequence[int]]:
        """The numbers of points and rows, in order of first appearance of each kind."""
        numbers: Sequence[int] = self._points[0] if self._points else ()
        if len(self._points) > 1:
            numbers = array("I", chain.from_iterable(self._points))
        groups = {
            (tag, 0): arithmetic.pick(numbers, which) for tag, which in places_of(self._point_tags).items()
        }
        if not self._rows:
            return groups
        return dict(sorted({**groups, **self._rows}.items(), key=lambda group: group[1][0]))

    def _other(self, tag: int, at: int, sizes: Iterator[int], places: array[int]) -> int:
        """Take a record that is not a point; return where it ends."""
        kind = tag >> KIND_SHIFT
        if kind == PAD:
            self.pads.append(at)
            return at + 1
        size = next(sizes, -1)
        if size < 0 or (kind == ROW and not 0 < size <= MAX_ROW):
            raise PackedError("a record's size is missing or beyond all bounds")
        if kind == 0:
            self.empty.append((at, size))
            return at + size
        if kind == ROW:
            self._rows.setdefault((tag, size), []).append(len(places))
            size *= 8
        elif kind != BLOB:
            raise PackedError(f"expected a record of a known kind, found kind {kind}")
        else:
            self.blobs.append((len(places), tag, size))
        places.append(at)
        return at + 1 + payload_slots(size)


def integers(data: bytes | bytearray) -> array[int]:
    """Return 32-bit numbers, which are stored lowest byte first."""
    items = array("I")
    items.frombytes(data)
    if sys.byteorder == "big":
        items.byteswap()
    return items
