"""Unpacking a chunk into the slots it was made from, with zeros for their checksums."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from tracelet.journal.format import BLOB, ID_MASK, KIND_SHIFT, MAX_RECORDS, NO_STEP, PAD, SLOT, payload_slots
from tracelet.journal.segments import arithmetic, packing
from tracelet.journal.segments.outline import Outline, integers
from tracelet.journal.segments.packing import LENGTHS, PARTS, PackedError
from tracelet.journal.segments.pieces import EMPTY, Piece


class Column(NamedTuple):
    """Points of one metric: those with an id of their own (``width`` 0), or one place of all rows of a kind."""

    identity: int
    width: int
    place: int
    seqs: Any
    steps: Any
    times: Any
    values: Any


class UnpackedChunk:
    """A chunk of a compacted segment. Only the requested columns are unpacked."""

    def __init__(self, packed: bytes, slots: int, first: int = 0, numpy: bool | None = None) -> None:
        """Parse a chunk. Its memory use is bounded by ``slots``, whatever the chunk declares.

        Args:
            packed: the chunk's content.
            slots: how many slots it has.
            first: the sequence number of the first one.
            numpy: whether to use NumPy; None means if it is installed.

        Raises:
            PackedError: it does not hold that many slots. :meth:`columns` raises it later as well.
        """
        self._parts = _split(packed)
        self._first = first
        self._numpy = numpy
        records, sized, timed = LENGTHS.unpack(self._parts[0])
        if max(records, sized, timed) > min(slots, MAX_RECORDS):
            raise PackedError(f"expected at most {min(slots, MAX_RECORDS)} records, found more")
        sizes = integers(packing.unpack_planes(self._parts[2], 4, sized))
        self.outline = Outline(packing.unpack_planes(self._parts[1], 4, records), sizes, slots)
        if len(self.outline.places) != timed:
            raise PackedError(f"expected {timed} records with a time, found {len(self.outline.places)}")
        if self.outline.blobs:
            _ = self.times, self.payloads  # so that events need no further check

    @property
    def end(self) -> int:
        """The sequence number after the last slot."""
        return self._first + self.outline.slots

    @property
    def written(self) -> int:
        """The sequence number after the last slot that is not empty."""
        for at, slots in self.outline.empty[-1:]:
            if at + slots == self.outline.slots:
                return self._first + at
        return self.end

    def events(self) -> Iterator[Piece]:
        """Yield the events."""
        start, payloads = 0, self.payloads if self.outline.blobs else b""
        for number, tag, size in self.outline.blobs:
            seq, time = self._first + self.outline.places[number], float(self.times[number])
            payload = payloads[start : start + size]
            slots = 1 + payload_slots(size)
            yield Piece(BLOB, seq, slots, tag & ID_MASK, NO_STEP, time, payload=payload)
            start += size

    def holes(self) -> list[Piece]:
        """Return the stretches of empty slots."""
        return [Piece(EMPTY, self._first + at, slots) for at, slots in self.outline.empty]

    def columns(self, wanted: Callable[[int, int], Sequence[int]]) -> Iterator[Column]:
        """Yield points and columns of rows, those that ``wanted`` names by a group's id and number of columns."""
        groups = list(self.outline.groups.items())
        asked = {
            place: chosen
            for place, ((tag, count), _) in enumerate(groups)
            if (chosen := wanted(tag & ID_MASK, count))
        }
        if not asked:
            return
        starts = list(accumulate((count or 1 for (_, count), _ in groups), initial=0))
        all_steps = self.steps(list(asked))
        values = iter(self.values([starts[place] + one for place, chosen in asked.items() for one in chosen]))
        pick = packing.choose_arithmetic(self._numpy).pick
        for (place, chosen), steps in zip(asked.items(), all_steps, strict=True):
            (tag, count), numbers = groups[place]
            seqs, times = pick(self.seqs, numbers), pick(self.times, numbers)
            for one in chosen:
                yield Column(tag & ID_MASK, count, one, seqs, steps, times, next(values))

    @cached_property
    def seqs(self) -> Any:
        """The sequence numbers of all records with a time."""
        return packing.choose_arithmetic(self._numpy).shift(self.outline.places, self._first)

    @cached_property
    def times(self) -> Any:
        """All times."""
        return packing.unpack(self._parts[3], [len(self.outline.places)], "d", self._numpy)[0]

    def steps(self, wanted: Sequence[int] | None = None) -> list[Any]:
        """Return the steps of each group, or of those wanted."""
        lengths = [len(numbers) for numbers in self.outline.groups.values()]
        return packing.unpack(self._parts[4], lengths, "q", self._numpy, wanted)

    def values(self, wanted: Sequence[int] | None = None) -> list[Any]:
        """Return the values of each column of each group, or of those wanted."""
        groups = self.outline.groups.items()
        lengths = [len(numbers) for (_, count), numbers in groups for _ in range(count or 1)]
        return packing.unpack(self._parts[5], lengths, "d", self._numpy, wanted)

    @cached_property
    def payloads(self) -> bytes:
        """Return the payloads of all events, one after the other."""
        return packing.unpack_bytes(self._parts[6], sum(size for _, _, size in self.outline.blobs))[0]


def unpack_slots(packed: bytes, count: int, numpy: bool | None = None) -> bytes:
    """Return the ``count`` slots that were packed. Raises PackedError if there are more or fewer."""
    chunk = UnpackedChunk(packed, count, numpy=numpy)
    slots = bytearray(chunk.outline.slots * SLOT)
    _put_events(slots, chunk.outline, chunk.payloads)
    fill = _fill_plainly if isinstance(chunk.times, packing.Plain) else _fill_with_numpy
    fill(slots, chunk.outline, chunk.times, chunk.steps(), chunk.values())
    return bytes(slots)


def _split(packed: bytes) -> list[bytes]:
    if len(packed) < PARTS.size:
        raise PackedError("the lengths of the parts are missing")
    ends = list(accumulate(PARTS.unpack_from(packed), initial=PARTS.size))
    if ends[-1] > len(packed) or ends[1] - ends[0] != LENGTHS.size:
        raise PackedError("the parts are longer than the chunk")
    return [packed[start:end] for start, end in pairwise(ends)]


def _put_events(slots: bytearray, outline: Outline, payloads: bytes) -> None:
    start = 0
    for number, tag, size in outline.blobs:
        at = outline.places[number]
        struct.pack_into("<IIqdI", slots, at * SLOT, 0, size, NO_STEP, 0.0, tag)
        slots[(at + 1) * SLOT : (at + 1) * SLOT + size] = payloads[start : start + size]
        start += size
    for at in outline.pads:
        struct.pack_into("<dqdI", slots, at * SLOT, 0.0, NO_STEP, 0.0, PAD << KIND_SHIFT)


def _fill_plainly(slots: bytearray, outline: Outline, times: Any, steps: Any, values: Any) -> None:
    rest = iter(values)
    for ((tag, count), numbers), group in zip(outline.groups.items(), steps, strict=True):
        places = arithmetic.pick(outline.places, numbers)
        columns = [next(rest) for _ in range(count or 1)]
        if not count:
            _put(slots, "q", places, 1, group)
            _put(slots, "d", places, 0, columns[0])
            _put(slots, "I", places, 6, array("I", [tag]) * len(places))
            continue
        put = struct.Struct(f"<IIqdII{count}d").pack_into
        for at, step, *row in zip(places, group, *columns, strict=True):
            put(slots, at * SLOT, 0, count, step, 0.0, tag, 0, *row)
    _put(slots, "d", outline.places, 2, times)


def _put(slots: bytearray, code: str, places: Sequence[int], offset: int, items: array[Any]) -> None:
    """Put numbers of one kind into slots, each ``offset`` numbers after the start of its slot."""
    if isinstance(places, range) and sys.byteorder == "little":
        view = memoryview(slots).cast(code)  # type: ignore[call-overload]
        width = SLOT // items.itemsize
        view[places.start * width + offset :: places.step * width] = items
        return
    put, shift = struct.Struct(f"<{code}").pack_into, offset * items.itemsize
    for at, item in zip(places, items, strict=True):
        put(slots, at * SLOT + shift, item)


def _fill_with_numpy(slots: bytearray, outline: Outline, times: Any, steps: Any, values: Any) -> None:
    import numpy as np

    words = np.frombuffer(slots, "<u4").reshape(-1, SLOT // 4)
    doubles, integers = words.view("<f8"), words.view("<i8")
    rest, index = iter(values), packing.choose_arithmetic().index
    for ((tag, count), numbers), group in zip(outline.groups.items(), steps, strict=True):
        places = arithmetic.pick(outline.places, numbers)
        at = index(places)
        integers[at, 1] = group
        words[at, 6] = tag
        if not count:
            doubles[at, 0] = next(rest)
            continue
        words[at, 1] = count
        matrix = np.zeros((len(places), payload_slots(8 * count) * 4))
        for place in range(count):
            matrix[:, place] = next(rest)
        payload = at[:, None] + np.arange(1, 1 + payload_slots(8 * count))
        doubles[payload] = matrix.reshape(len(places), -1, 4)
    doubles[index(outline.places), 2] = times
