"""Event files: records of a length, its checksum, the data and their checksum (the framing of TFRecord).

A process that delivers appends to a file of its own, whole batches at a time. A file that a kill has cut stays
readable: readers stop at the last whole record, and the next process begins another file.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from tracelet_builtin_plugins.backends.tensorboard import crc32c, protobuf

__all__ = ["EventFile", "file_name", "frame", "frame_start", "read_events", "replace_file", "writer_of"]

_PREFIX: Final = "events.out.tfevents"
_LENGTH: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")
_HEADER: Final = 12  # bytes: the length and its checksum
_CREATE: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN: Final = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def file_name(started_at: float, writer: str, number: int) -> str:
    """Return the name of a file. TensorBoard finishes with a file once one with a later name exists."""
    return f"{_PREFIX}.{max(0, int(started_at)):010d}.{writer}.{number:04d}"


def writer_of(name: str) -> tuple[str, int] | None:
    """Return the writer and the number in a file's name, or ``None`` if it is none of :func:`file_name`."""
    prefix, *rest = name.removeprefix(f"{_PREFIX}.").split(".")
    if not name.startswith(_PREFIX) or len(rest) != 2 or not (prefix.isdigit() and rest[1].isdigit()):
        return None
    return rest[0], int(rest[1])


@lru_cache(maxsize=4096)
def frame_start(size: int) -> bytes:
    """Return what comes before the data of a record."""
    length = _LENGTH.pack(size)
    return length + _CRC.pack(crc32c.masked_crc(length))


def frame(data: bytes) -> bytes:
    """Return a record."""
    return frame_start(len(data)) + data + _CRC.pack(crc32c.masked_crc(data))


def read_events(path: Path) -> Iterator[bytes]:
    """Yield the data of each whole record. Ends at the first one that is cut off or whose length is damaged."""
    with open(path, "rb", buffering=1 << 20) as file:
        while len(start := file.read(_HEADER)) == _HEADER:
            (size,) = _LENGTH.unpack_from(start)
            if size > os.fstat(file.fileno()).st_size or start != frame_start(size):
                return
            data = file.read(size + 4)
            if len(data) < size + 4:
                return
            yield data[:size]


class EventFile:
    """The file in a folder to which this process appends what one writer recorded. Made with the first record."""

    def __init__(self, folder: Path, writer: str, started_at: float, *, fsync: bool = False) -> None:
        self.folder = folder
        self._writer = writer
        self._started_at = started_at
        self._fsync = fsync
        self._path: Path | None = None

    def earlier(self) -> list[Path]:
        """Return the files of this writer in the folder, the oldest first."""
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        own = sorted(
            (found[1], name) for name in names if (found := writer_of(name)) and found[0] == self._writer
        )
        return [self.folder / name for _, name in own]

    def append(self, records: bytes) -> None:
        """Append whole records: all of them or, with an exception, none."""
        fd = self._open()
        try:
            end = os.fstat(fd).st_size
            if not end:
                records = frame(protobuf.file_version(self._started_at)) + records
            try:
                write_all(fd, records, fsync=self._fsync)
            except BaseException:
                os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)

    def _open(self) -> int:
        # For each batch: so the folder may be moved or removed at any time, and forked processes share nothing.
        if self._path is not None:
            try:
                return os.open(self._path, _OPEN)
            except FileNotFoundError:
                self._path = None
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                self._path = None  # replaced by a symbolic link, which may lead to any file
        self.folder.mkdir(parents=True, exist_ok=True)
        last = self.earlier()
        number = writer_of(last[-1].name)[1] + 1 if last else 1  # type: ignore[index]
        while True:
            path = self.folder / file_name(self._started_at, self._writer, number)
            try:
                fd = os.open(path, _CREATE, 0o600)
            except FileExistsError:
                number += 1
                continue
            self._path = path
            return fd


def write_all(fd: int, data: bytes, *, fsync: bool) -> None:
    """Write all of the data."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
    if fsync:
        os.fsync(fd)


def replace_file(path: Path, data: bytes, *, fsync: bool) -> None:
    """Replace a file as a whole: a reader sees the old content or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    fd = os.open(part, _CREATE, 0o600)
    try:
        try:
            write_all(fd, data, fsync=fsync)
        finally:
            os.close(fd)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
