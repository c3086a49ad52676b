"""From a packed chunk back to the slots that it was made of, with zeros for their checksums."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

from tracelet.journal import packing
from tracelet.journal.chunks import LENGTHS, PARTS, Key
from tracelet.journal.format import BLOB, KIND_SHIFT, NO_STEP, PAD, POINT, SLOT, payload_slots
from tracelet.journal.scan import places_of


class Outline:
    """Where in a chunk which records begin."""

    def __init__(self, tags: Sequence[int], sizes: Sequence[int]) -> None:
        self.groups: dict[Key, Sequence[int]] = {}  # places of points and rows
        self.timed: Sequence[int] = range(len(tags))  # places of all that has a time
        self.blobs: list[tuple[int, int, int]] = []  # place, tag, bytes
        self.pads: list[int] = []
        self.slots = len(tags)
        if sizes or PAD << KIND_SHIFT in tags:
            self._walk(tags, iter(sizes))
        else:
            self.groups = {(tag, 0): places for tag, places in places_of(tags).items()}

    def _walk(self, tags: Sequence[int], sizes: Iterator[int]) -> None:
        groups: dict[Key, list[int]] = {}
        timed: list[int] = []
        at = 0
        for tag in tags:
            kind = tag >> KIND_SHIFT
            if kind == PAD:
                self.pads.append(at)
                at += 1
                continue
            size = 0 if kind == POINT else next(sizes)
            if kind == 0:
                at += size
                continue
            timed.append(at)
            if kind == BLOB:
                self.blobs.append((at, tag, size))
                at += 1 + payload_slots(size)
                continue
            places = groups.get((tag, size))
            if places is None:
                places = groups[tag, size] = []
            places.append(at)
            at += 1 + (size + 3) // 4
        self.groups.update(groups)
        self.timed, self.slots = timed, at


def unpack_slots(packed: bytes, numpy: bool | None = None) -> bytes:
    """Return the slots that were packed."""
    parts = _split(packed)
    records, sized, timed = LENGTHS.unpack(parts[0])
    tags = _ints(packing.unpack_planes(parts[1], 4, records))
    outline = Outline(tags, _ints(packing.unpack_planes(parts[2], 4, sized)))
    groups = outline.groups.items()
    (times,) = packing.unpack(parts[3], [timed], "d", numpy)
    steps = packing.unpack(parts[4], [len(places) for _, places in groups], "q", numpy)
    lengths = [len(places) for (_, count), places in groups for _ in range(count or 1)]
    values = packing.unpack(parts[5], lengths, "d", numpy)
    payloads, _ = packing.unpack_bytes(parts[6], sum(size for _, _, size in outline.blobs))
    fill = _fill_plainly if isinstance(times, packing.Plain) else _fill_with_numpy
    slots = bytearray(outline.slots * SLOT)
    _put_events(slots, outline, payloads)
    fill(slots, outline, times, steps, values)
    return bytes(slots)


def _split(packed: bytes) -> list[bytes]:
    ends = list(accumulate(PARTS.unpack_from(packed), initial=PARTS.size))
    return [packed[start:end] for start, end in pairwise(ends)]


def _ints(data: bytes | bytearray) -> array[int]:
    items = array("I")
    items.frombytes(data)
    if sys.byteorder == "big":
        items.byteswap()
    return items


def _put_events(slots: bytearray, outline: Outline, payloads: bytes) -> None:
    start = 0
    for at, tag, size in outline.blobs:
        struct.pack_into("<IIqdI", slots, at * SLOT, 0, size, NO_STEP, 0.0, tag)
        slots[(at + 1) * SLOT : (at + 1) * SLOT + size] = payloads[start : start + size]
        start += size
    for at in outline.pads:
        struct.pack_into("<dqdI", slots, at * SLOT, 0.0, NO_STEP, 0.0, PAD << KIND_SHIFT)


def _fill_plainly(slots: bytearray, outline: Outline, times: Any, steps: Any, values: Any) -> None:
    rest = iter(values)
    for ((tag, count), places), group in zip(outline.groups.items(), steps, strict=True):
        columns = [next(rest) for _ in range(count or 1)]
        if not count:
            _put(slots, "q", places, 1, group)
            _put(slots, "d", places, 0, columns[0])
            _put(slots, "I", places, 6, array("I", [tag]) * len(places))
            continue
        put = struct.Struct(f"<IIqdII{count}d").pack_into
        for at, step, *row in zip(places, group, *columns, strict=True):
            put(slots, at * SLOT, 0, count, step, 0.0, tag, 0, *row)
    _put(slots, "d", outline.timed, 2, times)


def _put(slots: bytearray, code: str, places: Sequence[int], offset: int, items: array[Any]) -> None:
    """Put numbers of one kind into slots, ``offset`` of them behind each slot's beginning."""
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
    rest = iter(values)
    for ((tag, count), places), group in zip(outline.groups.items(), steps, strict=True):
        at = _index(places)
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
    doubles[_index(outline.timed), 2] = times


def _index(places: Sequence[int]) -> Any:
    import numpy as np

    if isinstance(places, range):
        return slice(places.start, places.stop, places.step)
    return np.array(places, dtype=np.intp)
