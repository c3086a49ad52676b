"""Copies one file while it is hashed. Blocks are shared with the original if the file system can do that."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import sys
from typing import Any, Final, NamedTuple

from tracelet.run.run_files import new_part, remove_tree
from tracelet.safe_files import Descriptor, write_all

_CHUNK: Final = 1 << 20  # bytes read at a time
_ATTEMPTS: Final = 3  # at a copy of a file that does not change meanwhile
_FICLONE: Final = 0x40049409  # Linux: share the blocks of another file (btrfs, XFS, bcachefs)
_WORTH_CLONING: Final = 1 << 16  # bytes
_ENDLESS: Final = 1 << 30  # bytes read of a file that says it is empty, as those in /proc do
_KINDS: Final = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class MissingError(Exception):
    """A file that cannot be kept, with the reason."""


class Copy(NamedTuple):
    """A copy that has no name yet."""

    part: str
    size: int
    sha256: str
    changed: bool  # whether the original was written to during each attempt


def copy_file(source: str, folder: Descriptor) -> Copy:
    """Copy a file into an open folder.

    Raises:
        MissingError: the original cannot be read.
        OSError: the copy cannot be written.
    """
    reading = _open(source)
    for attempt in range(_ATTEMPTS):
        writing, part = new_part(folder)
        try:
            before = os.fstat(reading.fd)
            size, digest = _copy_bytes(reading, writing, before.st_size)
            after = os.fstat(reading.fd)
        except BaseException:
            remove_tree(folder, part)
            raise
        changed = (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size)
        if not changed or attempt == _ATTEMPTS - 1:
            return Copy(part, size, digest, changed)
        remove_tree(folder, part)
    raise AssertionError("unreachable")


def _open(source: str) -> Descriptor:
    try:
        kind = stat.S_IFMT(os.stat(source).st_mode)
        if kind != stat.S_IFREG:
            raise MissingError(_KINDS.get(kind, "a device"))
        return Descriptor(os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except FileNotFoundError:
        raise MissingError("a broken link" if os.path.islink(source) else "it is gone") from None
    except OSError as error:
        raise MissingError(_reason(error)) from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _copy_bytes(reading: Descriptor, writing: Descriptor, size: int) -> tuple[int, str]:
    """Copy as many bytes as the file has now: one that grows faster than it is read would never end."""
    if size >= _WORTH_CLONING and _clone(reading, writing):
        return _hash(writing, None, os.fstat(writing.fd).st_size)
    return _hash(reading, writing, size or _ENDLESS)


def _clone(reading: Descriptor, writing: Descriptor) -> bool:
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):
        fcntl.ioctl(writing.fd, _FICLONE, reading.fd)
        return True
    return False


def _hash(reading: Descriptor, writing: Descriptor | None, limit: int) -> tuple[int, str]:
    digest: Any = hashlib.sha256()
    buffer = memoryview(bytearray(min(_CHUNK, max(limit, 1))))
    done = 0
    while done < limit:
        try:
            got = os.preadv(reading.fd, [buffer[: limit - done]], done)
        except OSError as error:
            raise MissingError(_reason(error)) from None
        if not got:
            break
        digest.update(buffer[:got])
        if writing is not None:
            write_all(writing, buffer[:got])
        done += got
    return done, digest.hexdigest()
