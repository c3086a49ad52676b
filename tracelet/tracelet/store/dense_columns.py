"""Sorted columns of numbers that take less memory than their items: a quarter or half of a time's, none of a step's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tracelet.store.point_columns import require_numpy

BLOCK: Final = 65536  # items
#: Times of this century are multiples of it, so the difference of two is exact, and is a small whole number.
_TICK: Final = 2.0**-22  # seconds
_MOST: Final = (1 << 32) - 1
_EXACT: Final = 2.0**53  # below it, whole numbers are exact


class Block(NamedTuple):
    """Items ``start + (0, 1, 2, ...) * scale``, or ``start + offsets * scale``, or just ``offsets``.

    Offsets of 16 bits are each relative to the one before.
    """

    size: int
    first: float
    last: float
    start: Any
    scale: Any  # 0 for plain offsets
    offsets: Any | None

    def items(self) -> Any:
        """Return the items, exactly as they were given."""
        numpy = require_numpy("tracelet ui")
        if self.offsets is None:
            return self.start + numpy.arange(self.size) * self.scale
        if not self.scale:
            return self.offsets
        offsets = self.offsets if self.offsets.itemsize > 2 else numpy.cumsum(self.offsets, dtype="int64")
        return self.start + offsets * self.scale

    def pick(self, places: Any) -> Any:
        """Return the items at some places."""
        if self.offsets is None:
            return self.start + places * self.scale
        if self.offsets.itemsize > 2:
            return self.start + self.offsets[places] * self.scale if self.scale else self.offsets[places]
        return self.items()[places]

    def search(self, values: Any, side: str) -> Any:
        """Return where values would have to be inserted."""
        numpy = require_numpy("tracelet ui")
        if self.offsets is None and self.scale > 0 and max(abs(self.first), abs(self.last)) < _EXACT:
            at = (values - float(self.start)) / float(self.scale)
            found = numpy.ceil(at) if side == "left" else numpy.floor(at) + 1
            return numpy.clip(found, 0, self.size).astype("int64")
        return numpy.searchsorted(self.items(), values, side)

    @property
    def nbytes(self) -> int:
        """The memory that the items take."""
        return 0 if self.offsets is None else int(self.offsets.nbytes)


class DenseColumn:
    """A column of sorted numbers that is appended to, and read in parts."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._ends: list[int] = []  # of each block, the place behind it
        self.is_sorted = True

    def append(self, items: Any) -> None:
        """Append a NumPy array."""
        for at in range(0, len(items), BLOCK):
            block = _make_block(items[at : at + BLOCK])
            before = self._blocks[-1].last if self._blocks else block.first
            self.is_sorted = self.is_sorted and block.first >= before and bool(_is_sorted(block))
            self._blocks.append(block)
            self._ends.append(len(self) + block.size)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def nbytes(self) -> int:
        """The memory that the items take."""
        return sum(block.nbytes for block in self._blocks)

    def all(self) -> Any:
        """Return the whole column as an array."""
        return self.pick(slice(0, len(self)))

    def pick(self, places: Any) -> Any:
        """Return the items at a slice, or at an array of places in ascending order, as an array."""
        numpy = require_numpy("tracelet ui")
        if isinstance(places, slice):
            low, high = places.start, places.stop
            parts = [
                block.items()[max(0, low - end + block.size) : high - end + block.size]
                for block, end in zip(self._blocks, self._ends, strict=True)
                if end > low and end - block.size < high
            ]
            return numpy.concatenate(parts) if parts else numpy.zeros(0)
        owners = numpy.searchsorted(self._ends, places, "right")
        parts = []
        for owner in numpy.unique(owners).tolist():
            block, end = self._blocks[owner], self._ends[owner]
            parts.append(block.pick(places[owners == owner] - (end - block.size)))
        return numpy.concatenate(parts) if parts else numpy.zeros(0)

    def search(self, values: Sequence[float], side: str) -> Any:
        """Return where values would have to be inserted, as ``numpy.searchsorted`` does."""
        numpy = require_numpy("tracelet ui")
        wanted = numpy.asarray(values, dtype="float64")
        found = numpy.full(len(wanted), len(self), dtype="int64")
        owners = numpy.searchsorted([block.last for block in self._blocks], wanted, side)
        for owner in numpy.unique(owners[owners < len(self._blocks)]).tolist():
            block, end = self._blocks[owner], self._ends[owner]
            mine = owners == owner
            found[mine] = end - block.size + block.search(wanted[mine], side)
        return found


def _make_block(items: Any) -> Block:
    numpy = require_numpy("tracelet ui")
    first, last, size = items[0], items[-1], len(items)
    ends = (size, float(first), float(last))
    if items.dtype.kind == "i":
        stride = items[1] - first if size > 1 else 1
        if (first + numpy.arange(size) * stride == items).all():
            return Block(*ends, first, stride, None)
        scale: Any = 1
    else:
        scale = _TICK
    apart = (items - first) / scale
    if apart.min() >= 0 and apart.max() <= _MOST:
        offsets = apart.astype("uint32")
        gaps = numpy.diff(offsets, prepend=offsets[:1])
        if (offsets[1:] >= offsets[:-1]).all() and gaps.max() < 1 << 16:
            offsets = gaps.astype("uint16")
        block = Block(*ends, first, scale, offsets)
        if (block.items() == items).all():
            return block
    return Block(*ends, first, 0, items.copy())


def _is_sorted(block: Block) -> bool:
    items = block.items()
    return bool((items[1:] >= items[:-1]).all())
