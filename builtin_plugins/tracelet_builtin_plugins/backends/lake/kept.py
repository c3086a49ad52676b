"""What the run document will say of this folder's writers, kept on the local disk.

A document is not replaced with every record. If the process that delivers is killed, the next one delivers what follows
its cursor, and finds here what the document lacks of the records before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["KeptEntries"]

_FOLDER: Final = "lake"
_LARGEST: Final = 1 << 28  # bytes
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class KeptEntries:
    """The entries of a document, by writer, in a file of the run's folder."""

    def __init__(self, run_dir: Path, url: str) -> None:
        digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._path = run_dir / _FOLDER / f"{digest}.document"

    def read(self) -> dict[str, Any]:
        """Return the entries; none if the file is missing or cannot be read."""
        try:
            self._check_folder()
            with os.fdopen(os.open(self._path, os.O_RDONLY | _FLAGS), "rb") as file:
                found = json.loads(file.read(_LARGEST))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, entries: Mapping[str, Any]) -> None:
        """Replace the entries. A disk that refuses it costs something only if the process is killed."""
        part = self._path.with_name(f".{self._path.name}-{uuid.uuid4().hex}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._check_folder()
            try:
                with os.fdopen(
                    os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600), "wb"
                ) as file:
                    file.write(json.dumps(entries, separators=(",", ":")).encode())
                os.replace(part, self._path)
            finally:
                part.unlink(missing_ok=True)

    def _check_folder(self) -> None:
        """Raise for a link: the run's folder may come from somebody else."""
        if stat.S_ISLNK(os.lstat(self._path.parent).st_mode):
            raise OSError(f"{self._path.parent}: expected a folder, found a symbolic link")
