"""The file: appended to in whole batches by any number of processes, mended, each point in it once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

PointId = tuple[Any, ...]  # writer, sequence, index
Line = tuple[PointId | None, bytes]

LINE_START: Final = b'{"type":'  # what does not begin so is somebody else's file
REMEMBERED: Final = 16_384  # ids by which a repeated point is told; a batch is far smaller
TAIL: Final = 256 * REMEMBERED  # bytes at the end of a file that hold about so many
LOCK_TIMEOUT: Final = 10.0  # seconds; other processes of the run hold the lock for milliseconds


class JsonlFile:
    """A file of lines that several processes may append to.

    It is opened for each batch and closed again, so it may be moved away or removed at any time, and a
    fork leaves nothing shared. Every append first removes a line that a killed process left torn.
    """

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self.path = path
        self._fsync = fsync
        self._counts = {"lines": 0, "repeats_skipped": 0, "torn_bytes_removed": 0}
        self._recent: set[PointId] = set()
        self._older: set[PointId] = set()
        self._recalled = False

    def status(self) -> dict[str, Any]:
        """Return the path and the counts."""
        return {"path": str(self.path), **self._counts}

    def append(self, lines: Sequence[Line]) -> None:
        """Append lines, leaving out repeated points: all of them or, with an exception, none."""
        with locked(self.path) as fd:
            self._counts["torn_bytes_removed"] += remove_torn_line(fd, self.path)
            if not self._recalled:
                self._recall(fd)
            fresh: dict[Any, bytes] = {}
            for number, (point_id, text) in enumerate(lines):
                if point_id not in self._recent and point_id not in self._older:
                    fresh.setdefault(point_id or number, text)
            write_whole(fd, b"".join(fresh.values()), fsync=self._fsync)
        self._remember(key for key in fresh if isinstance(key, tuple))
        self._counts["lines"] += len(fresh)
        self._counts["repeats_skipped"] += len(lines) - len(fresh)

    def _remember(self, ids: Iterable[PointId]) -> None:
        # Two generations: between REMEMBERED and twice as many ids are known, at no cost per id.
        self._recent.update(ids)
        if len(self._recent) >= REMEMBERED:
            self._older, self._recent = self._recent, set()

    def _recall(self, fd: int) -> None:
        require_own(fd, self.path, 0)
        size = os.fstat(fd).st_size
        start = max(0, size - TAIL)
        lines = os.pread(fd, size - start, start).split(b"\n")
        for text in lines[1:] if start else lines:
            if text.startswith(b'{"type":"metric"'):
                with suppress(ValueError):  # a line that was damaged later
                    self._recent.add(tuple(json.loads(text).get("id", ())))
        self._recalled = True


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Open a file to append to, made with its folders if need be, with the other processes kept out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        lock(fd, path)
        yield fd
    finally:
        os.close(fd)  # which unlocks


def lock(fd: int, path: Path) -> None:
    """Take the lock that goes with an open file; ``TimeoutError`` where another process keeps it."""
    import fcntl

    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{path}: another process has kept it locked for {LOCK_TIMEOUT} s"
                ) from None
            time.sleep(0.005)
        except OSError:
            return None  # a file system without locks; a single process is safe there all the same


def remove_torn_line(fd: int, path: Path) -> int:
    """Cut off what follows the last newline, and return how many bytes that was.

    Raises ``ValueError``, and changes nothing, where that does not look like a line of this plugin.
    """
    size = os.fstat(fd).st_size
    if not size or os.pread(fd, 1, size - 1) == b"\n":
        return 0
    keep = end_of_last_line(fd, size)
    require_own(fd, path, keep)
    require_own(fd, path, 0)
    os.ftruncate(fd, keep)
    return size - keep


def end_of_last_line(fd: int, size: int) -> int:
    """Return the position behind the last newline, 0 where there is none."""
    end = size
    while end:
        start = max(0, end - 65_536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def require_own(fd: int, path: Path, position: int) -> None:
    """Raise ``ValueError`` unless a line of this plugin, or what a crash left of one, begins here."""
    found = os.pread(fd, len(LINE_START), position).rstrip(b"\0")  # zeros are what a power loss leaves
    if not LINE_START.startswith(found):
        raise ValueError(
            f"{path}: expected a file that this plugin wrote, found {found!r}; choose another path"
        )


def write_whole(fd: int, data: bytes, *, fsync: bool) -> None:
    """Append all of the data, or take back what got in before the failure (a full disk, say)."""
    end = os.fstat(fd).st_size
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
        if fsync:
            os.fsync(fd)
    except BaseException:
        os.ftruncate(fd, end)
        raise
