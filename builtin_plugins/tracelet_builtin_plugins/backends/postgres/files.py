"""The files of an artifact: where they are, how large they are, and their SHA-256."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["FileReader"]

_PIECE: Final = 1 << 20  # bytes
_SECONDS: Final = 15.0  # of reading in one call; the host's limit for a call is 30


class FileReader:
    """Reads the files of one artifact. If that takes longer than a call may, the next call continues."""

    def __init__(self) -> None:
        self._artifact: Any = None
        self._done: list[tuple[str, int, str]] = []
        self._hash = hashlib.sha256()
        self._read = 0  # bytes of the current file

    def read(self, artifact: Any, path: Path) -> list[tuple[str, int, str]]:
        """Return the relative path ("" for the artifact itself), size and SHA-256 of each file, in a fixed order.

        Raises ``TimeoutError`` if the files are too large to be read in one call: call again.
        """
        if artifact != self._artifact:
            self.__init__()  # type: ignore[misc]
            self._artifact = artifact
        end = time.monotonic() + _SECONDS
        for file in sorted(files_of(path))[len(self._done) :]:
            with open(file, "rb", opener=_open_regular) as stream:
                stream.seek(self._read)
                while piece := stream.read(_PIECE):
                    self._hash.update(piece)
                    self._read += len(piece)
                    if time.monotonic() > end:
                        raise TimeoutError(f"{file}: large; reading it to compute its SHA-256 continues")
            relative = "" if file == path else file.relative_to(path).as_posix()
            self._done.append((relative, self._read, self._hash.hexdigest()))
            self._hash, self._read = hashlib.sha256(), 0
        self._artifact, done = None, self._done
        return done


def files_of(path: Path) -> Iterator[Path]:
    """Yield a file, or each regular file in a folder."""
    if not path.is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def _open_regular(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ValueError(f"{path}: expected a regular file, found a folder, a pipe or a device")
    return fd
