"""Finding the records of an event file, also of one that is damaged or still being written."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tracelet_builtin_plugins.backends.tensorboard import crc32c
from tracelet_builtin_plugins.backends.tensorboard.event_file import frame_start

__all__ = ["Block", "RecordReader"]

HEADER: Final = 12  # bytes: the length and its checksum
FOOTER: Final = 4  # bytes: the checksum of the data
LARGEST: Final = 512 << 20  # bytes of one record: anything larger is damaged
_BLOCK: Final = 32 << 20  # bytes read at a time
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LENGTH: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")
_ZEROS: Final = re.compile(rb"\0{4}")  # the upper half of a length
_NOT_ZERO: Final = re.compile(rb"[^\0]")


class Block(NamedTuple):
    """A piece of a file, with the place and the size of the data of each record in it."""

    data: bytes
    starts: list[int]
    sizes: list[int]

    def record(self, index: int) -> bytes:
        """Return the data of a record."""
        return self.data[self.starts[index] : self.starts[index] + self.sizes[index]]

    def is_intact(self, index: int) -> bool:
        """Return whether the checksum of a record's data is right."""
        end = self.starts[index] + self.sizes[index]
        (expected,) = _CRC.unpack_from(self.data, end)
        return int(expected) == crc32c.masked_crc(self.record(index))


class RecordReader:
    """Reads a file from where it has stopped before. ``damaged`` counts what is not a record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._at = 0
        self._heads: dict[bytes, int] = {}  # intact headers that were seen, with the length that they say

    @property
    def is_cut(self) -> bool:
        """Whether bytes follow the last whole record."""
        try:
            return os.lstat(self.path).st_size > self._at
        except OSError:
            return False

    def blocks(self) -> Iterator[Block]:
        """Yield the whole records that follow, a few megabytes at a time.

        Raises ``OSError`` if the file cannot be read.
        """
        fd = os.open(self.path, _OPEN)
        try:
            rest = b""
            size = os.fstat(fd).st_size
            wanted = _BLOCK
            while self._at + len(rest) < size:
                more = min(wanted, size - self._at) - len(rest)  # a buffer as large as asked for is allocated
                data = rest + os.pread(fd, more, self._at + len(rest))
                if len(data) == len(rest):
                    return
                is_last = self._at + len(data) >= size
                block, used, needed = self._scan(data, size - self._at, is_last=is_last)
                if block.starts:
                    yield block
                self._at += used
                rest = data[used:]
                wanted = max(_BLOCK, needed)
                if is_last:
                    return
        finally:
            os.close(fd)

    def _scan(self, data: bytes, available: int, *, is_last: bool) -> tuple[Block, int, int]:
        """Return the records in the data, how many bytes they take, and how many the next one needs."""
        starts: list[int] = []
        sizes: list[int] = []
        heads = self._heads
        at, end = 0, len(data)
        while at + HEADER <= end:
            size = heads.get(data[at : at + HEADER])
            if size is None:
                size = self._learn(data[at : at + HEADER], available - at)
            if size is None:
                found = self._find_next(data, at + 1, available)
                if found is None:
                    # The start of a header may be at the end of the data, unless the file ends there.
                    return self._give_up(Block(data, starts, sizes), at, end, is_last=is_last)
                self.damaged += 1
                at = found
                continue
            after = at + HEADER + size + FOOTER
            if after > end:
                return Block(data, starts, sizes), at, HEADER + size + FOOTER
            starts.append(at + HEADER)
            sizes.append(size)
            at = after
        return Block(data, starts, sizes), at, 0

    def _give_up(self, block: Block, at: int, end: int, *, is_last: bool) -> tuple[Block, int, int]:
        """Skip data in which no header is found."""
        used = max(at + 1, end - HEADER + 1) if not is_last else at
        if not is_last:
            self.damaged += 1
        return block, used, 0

    def _learn(self, head: bytes, available: int) -> int | None:
        """Return the length that a header says, or ``None`` if it is none."""
        (size,) = _LENGTH.unpack_from(head)
        if size > LARGEST or head != frame_start(size):
            return None
        if len(self._heads) < 100_000:
            self._heads[head] = size
        return int(size)

    def _find_next(self, data: bytes, at: int, available: int) -> int | None:
        """Return the place of the next intact header; all lengths are below 2**32."""
        while (found := _ZEROS.search(data, at + 4)) is not None:
            at = found.start() - 4
            if at + HEADER > len(data):
                return None
            if self._learn(data[at : at + HEADER], available - at) is not None:
                return at
            if data[at + 4 : at + HEADER] == bytes(8):  # a stretch of zeros: go to its end
                text = _NOT_ZERO.search(data, at + HEADER)
                at = max(at + 1, text.start() - HEADER if text is not None else len(data))
            else:
                at += 1
        return None
