"""A local cache of immutable files: of limited size, and safe with any number of processes.

A file is written under another name and then renamed, so nobody sees a part of it. The time of its last use is its
modification time; what was not used for longest goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

DEFAULT_LIMIT: Final = 10 << 30  # bytes
_IN_USE: Final = 300.0  # seconds for which a file that was just used is kept whatever the limit
_LEFTOVER: Final = 3600.0  # seconds after which a file that nobody finished writing is removed
_PART: Final = ".part"


class FileCache:
    """Files by name, in a folder."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._unchecked = limit  # bytes written since the size was looked at; at first, look

    def get(self, name: str, size: int, fetch: Callable[[Path], None]) -> Path:
        """Return the local copy of a file; ``fetch`` writes it if there is none of this size."""
        file = self._folder / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        if _is_complete(file, size):
            with contextlib.suppress(OSError):
                os.utime(file)
            return file
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, part = tempfile.mkstemp(dir=self._folder, suffix=_PART)
        os.close(fd)
        try:
            fetch(Path(part))
            os.replace(part, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
        self._unchecked += size
        if self._unchecked > self._limit // 16:
            self._unchecked = 0
            self.trim()
        return file

    def trim(self) -> None:
        """Remove what was not used for longest until the rest fits, and what nobody finished writing."""
        now = time.time()
        kept: list[tuple[float, int, str]] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if not entry.name.endswith(_PART):
                        kept.append((status.st_mtime, status.st_size, entry.path))
                    elif now - status.st_mtime > _LEFTOVER:
                        os.unlink(entry.path)
        excess = sum(size for _, size, _ in kept) - self._limit
        for used, size, path in sorted(kept):
            if excess <= 0 or now - used < _IN_USE:
                break
            with contextlib.suppress(OSError):  # another process was quicker
                os.unlink(path)
            excess -= size


def _is_complete(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except OSError:
        return False
