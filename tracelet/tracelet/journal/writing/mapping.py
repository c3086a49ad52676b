"""Mapping a part of a segment's file into memory, such that the mapping survives if the program closes our
descriptors.

A mapping needs no descriptor once it is made. But before Python 3.13, a ``mmap`` object keeps a duplicate of
the descriptor and closes that number with itself, whatever file it refers to by then. So the number is
determined, and an object whose number the program has reused is never freed, at the cost of a few hundred
kilobytes of address space.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from typing import Any, ClassVar

from tracelet.safe_files import claim_number, owns_number, release_number


def map_file(number: int, offset: int, size: int) -> memoryview:
    """Map bytes of the file with this descriptor; the map ends with the last reference to the memory.

    Raises:
        OSError: it cannot be mapped. EMFILE also if the descriptor would take the place of a closed standard
        stream. ValueError: the file is too short.
    """
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(number, size, offset=offset, trackfd=False))
    return _map_with_duplicate(number, offset, size)


def _map_with_duplicate(number: int, offset: int, size: int) -> memoryview:
    state = os.fstat(number)
    identity = (state.st_dev, state.st_ino)
    probe = os.dup(number)  # the mapping's duplicate will most likely have the same number
    os.close(probe)
    if probe < 3:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    mapping = _Mapping(number, size, offset=offset)
    mapping.claim(_find_duplicate(probe, identity), identity)
    return memoryview(mapping)


def _find_duplicate(probe: int, identity: tuple[int, int]) -> int:
    """Return the number of a mapping's duplicate, -1 if it cannot be found: then the mapping is never freed."""
    if _is_unowned(probe, identity):
        return probe
    try:
        found = [number for number in map(int, os.listdir("/proc/self/fd")) if _is_unowned(number, identity)]
    except OSError:
        return -1
    return found[0] if len(found) == 1 else -1


def _is_unowned(number: int, identity: tuple[int, int]) -> bool:
    """Say whether a number refers to that file and belongs to no object of tracelet."""
    try:
        state = os.fstat(number)
    except OSError:
        return False
    return (state.st_dev, state.st_ino) == identity and not owns_number(number)


class _Mapping(mmap.mmap):
    """A mapping that is not freed unless the descriptor number it closes is still its own."""

    _number = -1
    _identity = (-1, -1)
    _kept: ClassVar[list[object]] = []  # those that must not be freed

    def claim(self, number: int, identity: tuple[int, int]) -> None:
        """Store the number that freeing this object closes."""
        self._number, self._identity = number, identity
        if number >= 0:
            claim_number(number, self)

    # At interpreter shutdown, the module may be gone before its last object is.
    def __del__(self, owns: Any = owns_number, release: Any = release_number, fstat: Any = os.fstat) -> None:
        if owns(self._number, self):
            release(self._number, self)
            try:
                state = fstat(self._number)
            except OSError:
                state = None
            if state is not None and (state.st_dev, state.st_ino) == self._identity:
                return
        self._kept.append(self)
