"""The file: several processes append whole batches, torn lines are removed, and each point is in it once."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

PointId = tuple[Any, ...]  # writer, sequence, index
Line = tuple[PointId | None, bytes]

LINE_START: Final = b'{"type":'  # a file that begins differently belongs to something else
REMEMBERED: Final = 16_384  # ids of points, to recognize repeats; a batch is far smaller
TAIL: Final = 256 * REMEMBERED  # bytes at the end of a file that hold about that many points
LONGEST_TORN: Final = 256 << 20  # bytes after the last newline: of a batch that a crash cut, or zeros
LOCK_TIMEOUT: Final = 10.0  # seconds; other processes of the run hold the lock for milliseconds


class JsonlFile:
    """A file of lines that several processes may append to.

    It is opened for each batch and closed again, so it can be moved or removed at any time, and forked processes
    share nothing. Every append first removes an incomplete line that a killed process has left.
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
        """Append lines without repeated points: all of them or, with an exception, none."""
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
    """Open a file to append to, with exclusive access. Its folders are created if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = open_regular(path)
    try:
        lock(fd, path)
        yield fd
    finally:
        os.close(fd)  # this releases the lock


def open_regular(path: Path) -> int:
    """Open a file to append to. Raises ``ValueError`` for a symbolic link, a pipe, a device or a folder.

    A link could lead to any file of the user, for example in a run copied from someone else.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise unsuitable(path, "a symbolic link") from None
        if error.errno in (errno.EISDIR, errno.ENXIO, errno.ENODEV):
            raise unsuitable(path, "a folder" if path.is_dir() else "a pipe, a socket or a device") from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise unsuitable(path, "a pipe, a socket or a device")
    return fd


def unsuitable(path: Path, found: str) -> ValueError:
    """Return the error for something that is not a regular file."""
    return ValueError(f"{path}: expected a regular file, found {found}; choose another plugins.jsonl.path")


def lock(fd: int, path: Path) -> None:
    """Lock an open file. Raises ``TimeoutError`` if another process holds the lock for too long."""
    import fcntl

    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{path}: another process has held the lock for {LOCK_TIMEOUT} s"
                ) from None
            time.sleep(0.005)
        except OSError:
            return None  # a file system without locks; a single process does not need them


def remove_torn_line(fd: int, path: Path) -> int:
    """Remove what follows the last newline, and return the number of bytes.

    Raises ``ValueError``, and changes nothing, if that does not look like a line of this plugin.
    """
    size = os.fstat(fd).st_size
    if not size or os.pread(fd, 1, size - 1) == b"\n":
        return 0
    keep = end_of_last_line(fd, size, path)
    require_own(fd, path, keep)
    require_own(fd, path, 0)
    os.ftruncate(fd, keep)
    return size - keep


def end_of_last_line(fd: int, size: int, path: Path) -> int:
    """Return the position after the last newline, or 0.

    Raises ``ValueError`` for more than what a crash can leave: a sparse file of a terabyte is not ours.
    """
    end = size
    while end:
        if size - end > LONGEST_TORN:
            raise ValueError(
                f"{path}: expected a file that this plugin wrote, found no end of a line in its last"
                f" {LONGEST_TORN >> 20} MiB; choose another path"
            )
        start = max(0, end - 65_536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def require_own(fd: int, path: Path, position: int) -> None:
    """Raise ``ValueError`` unless a line of this plugin, or the rest of one after a crash, begins here."""
    found = os.pread(fd, len(LINE_START), position).rstrip(b"\0")  # a power failure leaves zeros
    if not LINE_START.startswith(found):
        raise ValueError(
            f"{path}: expected a file that this plugin wrote, found {found!r}; choose another path"
        )


def write_whole(fd: int, data: bytes, *, fsync: bool) -> None:
    """Append all of the data. After a failure (a full disk, for example) the file is as it was."""
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
