"""A lake in a folder: of this machine, or a shared one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from tracelet_builtin_plugins.backends.lake.failures import ChangedError

__all__ = ["FolderObjects", "Found"]

_LOCKING: Final = 2.0  # seconds to wait for another process that replaces a document
_POLL: Final = 0.005


class Found(NamedTuple):
    """An object, and the version of it that a conditional write names."""

    data: bytes
    version: str | None


class FolderObjects:
    """Files in place of objects. Each is written under another name first, so that it is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = str(folder)

    def create(self, path: str, data: bytes) -> None:
        """Write a file; if there is one of that size, it is the same."""
        target = self._folder / path
        with contextlib.suppress(OSError):
            if target.stat().st_size == len(data):
                return
        with self._new(target) as file:
            file.write(data)

    def read(self, path: str) -> Found | None:
        """Return a file. Its version is a digest of its content."""
        try:
            data = (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None
        return Found(data, hashlib.sha256(data).hexdigest())

    def replace(self, path: str, data: bytes, version: str | None) -> str:
        """Replace a file. Where the file system has no locks, another process may change it in between."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.parent):
            found = self.read(path)
            if (found.version if found else None) != version:
                raise ChangedError(f"{target}: changed by another process")
            with self._new(target) as file:
                file.write(data)
        return hashlib.sha256(data).hexdigest()

    def has(self, path: str) -> bool:
        """Say whether a file exists."""
        return (self._folder / path).exists()

    def upload(self, path: str, file: Path) -> None:
        """Copy a file."""
        with open(file, "rb") as source, self._new(self._folder / path) as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def begin(self) -> None:
        """A call begins. A folder that hangs cannot be interrupted."""

    def close(self) -> None:
        """Nothing to release."""

    @contextlib.contextmanager
    def _new(self, target: Path) -> Iterator[BinaryIO]:
        """Open a file that takes its name once it is complete and on the disk."""
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{uuid.uuid4().hex}.tmp")  # readers skip names with a dot
        try:
            with open(draft, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes, if that is possible; after some seconds, go on without."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        end = time.monotonic() + _LOCKING
        while time.monotonic() < end:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_POLL)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(descriptor)
