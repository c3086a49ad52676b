"""The transcript: lines in files of bounded size. The first lines and the last ones are kept.

Used by the separate process, so it imports nothing but the standard library. docs/plugins/console.md describes the
files.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from typing import Final

PARTS: Final = 4  # files that the second half of the limit is divided into
SUFFIX: Final = ".log"


class Transcript:
    """Files ``NAME.LINE.log``, where LINE is the number of the first line in it.

    A line is ``TIME<tab>STREAM<tab>TEXT``. Lines that may still change are written behind the finished ones, and
    replaced the next time, so that the files are complete whenever the process is killed.
    """

    def __init__(self, folder: str, name: str, limit: int) -> None:
        self._folder, self._name = folder, name
        self._head = limit // 2
        self._part = max(1, limit // 2 // PARTS)
        self._parts: deque[str] = deque()
        self._lines = 0
        self._size = 0  # of the finished lines in the current file
        self._fd = -1
        self._begin()

    def write(self, finished: Iterable[bytes], live: Iterable[bytes]) -> None:
        """Add finished lines, and the current state of those that may change."""
        data: list[bytes] = []
        for line in finished:
            data.append(line)
            self._lines += 1
            self._size += len(line)
            if self._size >= (self._part if self._parts else self._head):
                self._append(data)
                data = []
                self._parts.append(self._path)
                self._begin()
        self._append(data)
        _write(self._fd, b"".join(live))

    def _append(self, data: list[bytes]) -> None:
        """Write finished lines in place of the live ones that were written before."""
        os.ftruncate(self._fd, self._written)
        os.lseek(self._fd, self._written, os.SEEK_SET)
        block = b"".join(data)
        _write(self._fd, block)
        self._written += len(block)

    def _begin(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        while len(self._parts) > PARTS:  # the first one is the head, which stays
            head = self._parts.popleft()
            os.unlink(self._parts.popleft())
            self._parts.appendleft(head)
        self._path = os.path.join(self._folder, f"{self._name}.{self._lines:012d}{SUFFIX}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._size = self._written = 0

    def close(self) -> None:
        """Close the current file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
