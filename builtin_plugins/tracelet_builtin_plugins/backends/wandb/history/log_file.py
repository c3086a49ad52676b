"""Reading the file in which wandb keeps a run: LevelDB's log format, also if it is damaged or still being written.

Blocks of 32 KiB hold fragments of records. A header of seven bytes says the checksum, the length and whether it is the
whole record or its first, middle or last part.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["LogFile", "is_log_file"]

_IDENTITY: Final = b":W&B"
_START: Final = 7  # bytes: the identity, a magic number and the version
_BLOCK: Final = 32_768
_HEADER: Final = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_LARGEST: Final = 256 << 20  # bytes of one record
_BLOCKS: Final = 128  # read at a time
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SEEDS: Final = {kind: zlib.crc32(bytes([kind])) for kind in (_WHOLE, _FIRST, _MIDDLE, _LAST)}


def is_log_file(path: Path) -> bool:
    """Return whether a file is one of wandb's."""
    try:
        with open(os.open(path, _OPEN), "rb") as file:
            return file.read(len(_IDENTITY)) == _IDENTITY
    except OSError:
        return False


class LogFile:
    """Reads a file from where it has stopped before. ``damaged`` counts the places that are no records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._at = _START
        self._parts: list[bytes] = []  # of a record that is not complete yet
        self._size = 0
        self._is_lost = False  # whether the beginning of the current record is lost

    @property
    def is_cut(self) -> bool:
        """Whether bytes follow the last whole record, other than the padding of a block."""
        try:
            return bool(self._parts) or os.lstat(self.path).st_size > self._at
        except OSError:
            return False

    def records(self) -> Iterator[bytes]:
        """Yield the whole records that follow. Raises ``OSError`` if the file cannot be read."""
        fd = os.open(self.path, _OPEN)
        try:
            while True:
                start = self._at - self._at % _BLOCK
                data = os.pread(fd, _BLOCK * _BLOCKS, start)
                is_last = len(data) < _BLOCK * _BLOCKS
                before = self._at
                yield from self._fragments(data, start)
                if is_last or self._at == before:
                    return
        finally:
            os.close(fd)

    def _fragments(self, data: bytes, start: int) -> Iterator[bytes]:
        at = self._at - start
        while at < len(data):
            left = _BLOCK - at % _BLOCK
            if left < _HEADER.size:  # padding
                if at + left > len(data):
                    break
                at += left
                self._at = start + at
                continue
            if at + _HEADER.size > len(data):
                break
            checksum, size, kind = _HEADER.unpack_from(data, at)
            end = at + _HEADER.size + size
            if kind == size == checksum == 0 and not any(data[at : at + left]):  # padding
                if at + left > len(data):
                    break
                at += left
                self._at = start + at
                continue
            fits = size <= left - _HEADER.size
            if fits and end > len(data):
                break  # not written yet, or cut off
            content = data[at + _HEADER.size : end]
            if not fits or kind not in _SEEDS or zlib.crc32(content, _SEEDS[kind]) != checksum:
                self._lose()
                at = min(at + left, len(data))  # the next block begins with a header
                self._at = start + at
                continue
            at = end
            self._at = start + at
            record = self._join(kind, content)
            if record is not None:
                yield record

    def _lose(self) -> None:
        self.damaged += 1
        self._parts, self._size, self._is_lost = [], 0, True

    def _join(self, kind: int, content: bytes) -> bytes | None:
        """Add a fragment; return the record if it is complete."""
        if kind in (_WHOLE, _FIRST):
            if self._parts:
                self._lose()
            self._parts, self._size, self._is_lost = [], 0, False
        elif self._is_lost:
            return None  # counted already
        elif not self._parts:
            self._lose()
            return None
        self._parts.append(content)
        self._size += len(content)
        if self._size > _LARGEST:
            self._lose()
        elif kind in (_WHOLE, _LAST):
            record, self._parts, self._size = b"".join(self._parts), [], 0
            return record
        return None
