"""A chunk of a compacted segment as packed columns.

:mod:`tracelet.journal.segments.unpacking` restores the same slots except for their checksums: a chunk has its
own.
"""

from __future__ import annotations

import struct
from array import array

from tracelet.journal.format import BLOB, KIND_SHIFT, NO_STEP, PAD, POINT, ROW
from tracelet.journal.segments import packing
from tracelet.journal.segments.packing import LENGTHS, PARTS, Key
from tracelet.journal.segments.pieces import EMPTY, POINTS, Piece, pieces, point_columns


class UnsuitableError(Exception):
    """Some slots do not hold intact records: the slots are stored unchanged."""


class Group:
    """Records of one kind: their steps, and their values by column."""

    def __init__(self, columns: int) -> None:
        self.steps = array("q")
        self.columns = [array("d") for _ in range(columns)]


class ChunkTable:
    """The content of a chunk as columns."""

    def __init__(self) -> None:
        self.tags = array("I")  # of each record in turn, 0 for empty slots
        self.sizes = array("I")  # of each row (metrics), event (bytes) and stretch of empty slots in turn
        self.times = array("d")  # of each point, row and event in turn
        self.groups: dict[Key, Group] = {}
        self.payloads = bytearray()  # of all events

    @classmethod
    def of(cls, data: bytes, first: int, *, trusted: bool = False) -> ChunkTable:
        """Return the table of some slots.

        Raises:
            UnsuitableError: some of them are not part of an intact record.
        """
        table = cls()
        for piece in pieces(data, first, trusted=trusted):
            table.take(piece)
        return table

    @property
    def points(self) -> int:
        """How many points it holds."""
        return sum(len(group.steps) * len(group.columns) for group in self.groups.values())

    def content(self) -> list[object]:
        """Return the content, which is equal for tables that are identical to the bit."""
        groups = [
            (key, group.steps, *map(array.tobytes, group.columns)) for key, group in self.groups.items()
        ]
        return [self.tags, self.sizes, self.times.tobytes(), groups, self.payloads]

    def take(self, piece: Piece) -> None:
        """Add one piece.

        Raises:
            UnsuitableError: it is not an intact record.
        """
        if piece.kind == POINTS:
            self._take_points(piece)
        elif piece.kind == POINT:
            self.tags.append(POINT << KIND_SHIFT | piece.identity)
            self.times.append(piece.time)
            group = self._group(self.tags[-1], 0)
            group.steps.append(piece.step)
            group.columns[0].append(piece.value)
        elif piece.kind == ROW:
            self._take_row(piece)
        elif piece.kind == BLOB and piece.step == NO_STEP:
            self.tags.append(BLOB << KIND_SHIFT | piece.identity)
            self.sizes.append(len(piece.payload))
            self.times.append(piece.time)
            self.payloads += piece.payload
        elif piece.kind == EMPTY:
            self.tags.append(0)
            self.sizes.append(piece.slots)
        elif piece.kind == PAD:
            self.tags.append(PAD << KIND_SHIFT)
        else:
            raise UnsuitableError

    def _group(self, tag: int, count: int) -> Group:
        group = self.groups.get((tag, count))
        if group is None:
            group = self.groups[tag, count] = Group(count or 1)
        return group

    def _take_points(self, piece: Piece) -> None:
        points = point_columns(piece)
        self.tags.extend(points.tags)
        self.times.extend(points.times)
        if points.tags.count(points.tags[0]) == len(points.tags):
            group = self._group(points.tags[0], 0)
            group.steps.extend(points.steps)
            group.columns[0].extend(points.values)
            return
        for tag, step, value in zip(points.tags, points.steps, points.values, strict=True):
            group = self._group(tag, 0)
            group.steps.append(step)
            group.columns[0].append(value)

    def _take_row(self, piece: Piece) -> None:
        count = len(piece.payload) // 8
        self.tags.append(ROW << KIND_SHIFT | piece.identity)
        self.sizes.append(count)
        self.times.append(piece.time)
        group = self._group(self.tags[-1], count)
        group.steps.append(piece.step)
        for column, value in zip(group.columns, struct.unpack(f"<{count}d", piece.payload), strict=True):
            column.append(value)

    def pack(self, numpy: bool | None) -> bytes:
        """Return the packed columns."""
        groups = self.groups.values()
        parts = [
            LENGTHS.pack(len(self.tags), len(self.sizes), len(self.times)),
            packing.pack_planes(_little(self.tags), 4),
            packing.pack_planes(_little(self.sizes), 4),
            packing.pack([self.times], "d", numpy),
            packing.pack([group.steps for group in groups], "q", numpy),
            packing.pack([column for group in groups for column in group.columns], "d", numpy),
            packing.pack_bytes(bytes(self.payloads)),
        ]
        return PARTS.pack(*map(len, parts)) + b"".join(parts)


def _little(items: array[int]) -> bytes:
    return struct.pack(f"<{len(items)}I", *items)
