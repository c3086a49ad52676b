"""Checking many records with one call of ``zlib.crc32``.

The CRC over data followed by its own CRC is a constant. So the CRC over any number of consecutive records of
this form depends only on their number and length: computing it for blank records gives the value for real
ones. Seeding a CRC with a sequence number is equivalent to XORing the seed's four bytes onto the slot's first
four; and because CRCs are linear, the CRC of a XOR is the XOR of the CRCs (and of the CRC of as many zeros).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from zlib import crc32

from tracelet.journal.format import SLOT

_GRID = 4096  # slots; those between two multiples of it share the upper bits of the sequence number
_SEED = struct.Struct(f"<I{SLOT - 4}x")


@lru_cache(maxsize=64)
def expected_checksum(records: int, size: int) -> int:
    """Return the CRC of ``records`` records of ``size`` bytes, each ending with its own (unseeded) CRC."""
    blank = bytes(size - 4)
    return crc32((blank + crc32(blank).to_bytes(4, "little")) * records)


@lru_cache(maxsize=64)
def _lower_seeds_checksum(start: int, slots: int) -> int:
    """Return the CRC of slots that hold only the lower part of their seeds, XORed with that of zeros."""
    return crc32(b"".join(map(_SEED.pack, range(start, start + slots)))) ^ crc32(bytes(slots * SLOT))


@lru_cache(maxsize=64)
def _zeros_checksum(slots: int) -> int:
    return crc32(bytes(slots * SLOT))


def up_to_grid(seq: int) -> int:
    """Return how many slots from ``seq`` on :func:`are_intact` can check at once."""
    return _GRID - seq % _GRID


def are_intact(data: bytes | memoryview, first: int) -> bool:
    """Say whether each slot in ``data`` is an intact record of one slot.

    One damaged slot never passes; several do with a probability of 2**-32. The slots must not go beyond the
    next multiple of 4096.
    """
    slots, lower = len(data) // SLOT, first % _GRID
    upper = crc32(_SEED.pack(first - lower & 0xFFFFFFFF) * slots) ^ _zeros_checksum(slots)
    seeds = upper ^ _lower_seeds_checksum(lower, slots)
    return crc32(data) ^ seeds == expected_checksum(slots, SLOT)
