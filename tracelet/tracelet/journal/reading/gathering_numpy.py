"""Collecting many points as columns with NumPy: whole blocks are checked and parsed at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np

from tracelet.journal.format import (
    BLOB,
    ID_MASK,
    KIND_SHIFT,
    MAX_BLOB,
    MAX_ROW,
    PAD,
    POINT,
    ROW,
    SLOT,
    payload_slots,
)
from tracelet.journal.reading.gathering import Gatherer, Series
from tracelet.journal.reading.names import Metric
from tracelet.journal.segments.checksums import are_intact, expected_checksum, up_to_grid
from tracelet.journal.segments.pieces import EMPTY, PARTIAL, Block, Piece, piece_at

_WORDS = SLOT // 4
_STEP, _TIME, _TAG = 1, 2, 6  # their places in a slot: in units of 8 bytes, the tag in units of 4

Array = Any


class Layout:
    """Where records of each kind begin in a block, according to unchecked tags and counts."""

    def __init__(self, data: bytes) -> None:
        self.words: Array = np.frombuffer(data, "<u4").reshape(-1, _WORDS)
        self.used = len(self.words)  # slots before a record that continues beyond the block
        self.rows: dict[tuple[int, int], list[int]] = {}  # by columns and count
        self.blobs: list[int] = []
        self.pads: list[int] = []
        self.empty: list[int] = []
        self.rest = self.used  # all slots from here on are empty: most of a new file
        self.is_sound = True
        self.points: Array = None  # None for all
        kinds = self.words[:, _TAG] >> KIND_SHIFT
        others = np.flatnonzero(kinds != POINT)
        if len(others):
            covered = self._walk(others, written=payload_slots(len(data.rstrip(b"\0"))))
            are_points = kinds[: self.used] == POINT
            are_points &= ~covered[: self.used]
            self.points = np.flatnonzero(are_points)

    def _walk(self, others: Array, written: int) -> Array:
        """Go from record to record, skipping points; return which slots are rows and events."""
        total = len(self.words)
        covered: Array = np.zeros(total, bool)
        following: memoryview | None = None  # made when needed: where rows follow rows, it is not
        # Views, not lists: in a block of wide rows, few of these numbers are looked at.
        tags, counts = memoryview(self.words[:written, _TAG]), memoryview(self.words[:written, 1])
        at = int(others[0])
        while at < written:
            tag = tags[at]
            end, found = self._file(tag, counts[at], at)
            if end > total:
                self.used = at
                break
            found.append(at)
            size = end - at
            if end < written and tags[end] == tag:
                alike = self._alike(at, size)
                found += alike
                end += len(alike) * size
            if size > 1:
                covered[at:end] = True
            if end < written and tags[end] >> KIND_SHIFT == POINT:
                if following is None:
                    following = _following(others, total)
                end = following[end]
            at = end
        if self.used == total and at >= written:
            self.rest = min(at, total)
        return covered

    def _alike(self, at: int, size: int) -> range:
        """Return where the records begin that directly follow one and are like it: rows with its columns, pads."""
        following = self.words[at + size : self.used - size + 1 : size]
        for few in (32, len(following)):  # usually there are many or hardly any
            same = (following[:few, _TAG] == self.words[at, _TAG]) & (following[:few, 1] == self.words[at, 1])
            count = len(same) if same.all() else int(same.argmin())
            if count < few:
                break
        return range(at + size, at + size * (count + 1), size)

    def _file(self, tag: int, count: int, at: int) -> tuple[int, list[int]]:
        """Return where a record ends, and the list of those of its kind."""
        kind = tag >> KIND_SHIFT
        if kind == ROW and count <= MAX_ROW:
            found = self.rows.get((tag & ID_MASK, count))
            if found is None:
                found = self.rows[tag & ID_MASK, count] = []
            return at + 1 + (count + 3) // 4, found
        if kind == BLOB and count <= MAX_BLOB:
            return at + 1 + payload_slots(count), self.blobs
        self.is_sound &= kind in (0, PAD)
        return at + 1, self.pads if kind else self.empty

    def heads(self) -> Array:
        """Return the places of all slots that have their own checksum."""
        others = [*self.blobs, *self.pads, *(at for starts in self.rows.values() for at in starts)]
        return np.concatenate([self.points, np.array(others, dtype=np.intp)])


def _following(others: Array, total: int) -> memoryview:
    """Return for each slot of a block the next one from there on that is not a point."""
    nearest = np.full(total + 1, total)
    nearest[others] = others
    return memoryview(np.ascontiguousarray(np.minimum.accumulate(nearest[::-1])[::-1]))


class NumpyGatherer(Gatherer):
    """A gatherer that processes whole blocks, and single slots only in damaged blocks."""

    numpy = True

    def __init__(self, wanted: frozenset[str] | None = None) -> None:
        super().__init__(wanted)
        self._stretches: dict[int, list[Series]] = {}
        #: Rows by id and count: the places of the columns that were kept, and these columns side by side.
        self._matrices: dict[tuple[int, int], list[tuple[Sequence[int], Series]]] = {}

    def take(self, block: Block, first: int) -> int:
        """Take the slots of a block; return how many were used (none of a record that continues beyond it)."""
        layout = Layout(block.data)
        words = layout.words
        if not layout.is_sound or words[layout.empty].any() or not _goes_on(block, layout.used, first):
            return super().take(block, first)
        found = {} if self.only_events else layout.rows
        rows = {key: _Rows(words, starts, key[1]) for key, starts in found.items() if starts}
        whole = block.trusted or (
            _heads_are_whole(words, layout, first) and all(map(_Rows.are_intact, rows.values()))
        )
        if not whole:
            return super().take(block, first)
        for at in layout.blobs:
            self.take_piece(piece_at(block.data, at, first + at, trusted=block.trusted))
        for (identity, count), matrix in rows.items():
            if self._is_row_wanted(identity, count):
                places = self._wanted_of(identity, count)
                kept = self._matrices.setdefault((identity, count), [])
                kept.append((places, matrix.series(first, None if len(places) == count else places)))
        self._take_columns(words, layout.points, first)
        self.holes += _holes(layout.empty, first)
        if layout.rest < layout.used:
            self.holes.append(Piece(EMPTY, first + layout.rest, layout.used - layout.rest))
        return layout.used

    def _take_columns(self, words: Array, places: Array, first: int) -> None:
        tags = words[:, _TAG] if places is None else words[places, _TAG]
        if not len(tags):
            return
        ids = tags & ID_MASK
        if ids.min() == ids.max():
            self._take_stretch(int(ids[0]), words if places is None else words[places], first, places)
            return
        ids = ids.astype(np.uint16) if ids.max() < 1 << 16 else ids  # NumPy sorts these by radix
        order = np.argsort(ids, kind="stable")
        ids, places = ids[order], order if places is None else places[order]
        for part in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(ids)) + 1):
            self._take_stretch(int(ids[part[0]]), words[places[part]], first, places[part])

    def _take_stretch(self, identity: int, words: Array, first: int, places: Array) -> None:
        if self._is_wanted(identity):
            self._stretches.setdefault(identity, []).append(_series(words, first, places))

    def _parts(self) -> dict[Metric, list[Series]]:
        found = super()._parts()
        for identity, stretches in self._stretches.items():
            found.setdefault(self.names.metric(identity), []).extend(stretches)
        for (identity, count), matrices in self._matrices.items():
            metrics = self.names.row(identity, count)
            for places, matrix in matrices:
                for at, place in enumerate(places):
                    metric = metrics[place]
                    if self._wanted is None or metric.name in self._wanted:
                        part = matrix._replace(values=matrix.values[:, at])
                        found.setdefault(metric, []).append(part)
        return found

    def merge(self, parts: list[Series]) -> Series:
        """Return several series as one, in the order of recording."""
        columns = [np.concatenate(column) for column in list(zip(*parts, strict=True))[1:]]
        if any(before.seqs[-1] > after.seqs[0] for before, after in pairwise(parts)):
            order = np.argsort(np.concatenate([part.seqs for part in parts]), kind="stable")
            columns = [column[order] for column in columns]
        return Series(None, *columns)


class _Rows:
    """The rows of a block that have the same columns."""

    def __init__(self, words: Array, starts: list[int], count: int) -> None:
        self._starts = np.array(starts)
        self._count = count
        self._heads = words[self._starts]
        #: Each payload, followed by its checksum.
        self._sealed: Array = np.empty((len(starts), 2 * count + 1), "<u4")
        self._sealed[:, -1] = self._heads[:, 0]
        self._copy_payloads(words, 1 + payload_slots(8 * count))

    def _copy_payloads(self, words: Array, size: int) -> None:
        """Copy the payloads of rows of ``size`` slots; those of rows that follow each other all at once."""
        wide, starts = self._sealed.shape[1] - 1, self._starts
        breaks: Array = np.flatnonzero(np.diff(starts) != size) + 1
        if len(breaks) > len(starts) // 4:
            slots = starts[:, None] + np.arange(1, size)
            self._sealed[:, :-1] = words[slots].reshape(len(starts), -1)[:, :wide]
            return
        for begin, end in pairwise([0, *breaks.tolist(), len(starts)]):
            several = words[starts[begin] : starts[begin] + (end - begin) * size].reshape(end - begin, -1)
            self._sealed[begin:end, :-1] = several[:, _WORDS : _WORDS + wide]

    def are_intact(self) -> bool:
        """Say whether all payloads match their checksums."""
        return crc32(self._sealed) == expected_checksum(len(self._starts), 8 * self._count + 4)

    def series(self, first: int, places: Sequence[int] | None = None) -> Series:
        """Return the rows, with a matrix of the values in all columns, or in some."""
        if places is None:
            kept = np.ascontiguousarray(self._sealed[:, :-1])
        else:
            halves = 2 * np.array(places, dtype=np.intp)[:, None] + np.arange(2)
            kept = np.ascontiguousarray(self._sealed[:, halves.reshape(-1)])
        values = kept.view("<f8")
        return _series(self._heads, first, self._starts)._replace(values=values)


def _series(words: Array, first: int, places: Array) -> Series:
    """Return the columns of the slots at these places of a block; None means all."""
    doubles, steps = words.view("<f8"), words.view("<i8")
    seqs = range(first, first + len(words)) if places is None else first + places
    return Series(seqs, steps[:, _STEP].copy(), doubles[:, _TIME].copy(), doubles[:, 0].copy())


def _goes_on(block: Block, used: int, first: int) -> bool:
    """Say whether the record that seems to continue beyond a block really does."""
    if used == block.slots:
        return True
    return piece_at(block.data, used, first + used, trusted=block.trusted).kind == PARTIAL


def _heads_are_whole(words: Array, layout: Layout, first: int) -> bool:
    if layout.points is None:
        return _points_are_whole(words, first)
    places = layout.heads()
    heads = words[places]
    heads[:, 0] ^= ((first + places) & 0xFFFFFFFF).astype(np.uint32)
    return crc32(heads) == expected_checksum(len(places), SLOT)


def _points_are_whole(words: Array, first: int) -> bool:
    at = 0
    while at < len(words):
        size = up_to_grid(first + at)
        if not are_intact(memoryview(words[at : at + size]).cast("B"), first + at):
            return False
        at += size
    return True


def _holes(places: list[int], first: int) -> list[Piece]:
    """Return runs of empty slots as pieces."""
    found: list[Piece] = []
    for at in places:
        if found and found[-1].seq + found[-1].slots == first + at:
            found[-1] = found[-1]._replace(slots=found[-1].slots + 1)
        else:
            found.append(Piece(EMPTY, first + at, 1))
    return found
