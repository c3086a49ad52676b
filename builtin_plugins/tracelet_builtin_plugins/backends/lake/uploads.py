"""Artifacts and media: each content is stored once, whatever the number of runs that have it."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from tracelet_builtin_plugins.backends.lake.objects import Objects
from tracelet_hookspecs.lake_layout import artifact_path

__all__ = ["Stored", "Uploader", "find_file"]

_PIECE: Final = 1 << 20  # bytes
_SECONDS: Final = 15.0  # of work in one call; the host's limit for a call is 30
_MOST_KNOWN: Final = 100_000  # digests that are remembered as stored


class Stored(NamedTuple):
    """What is in the lake: the size of a file in bytes, and its SHA-256."""

    size: int
    sha256: str


class Uploader:
    """Stores files. One that takes longer than a call may continues on a thread of its own."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known: set[str] = set()
        self._jobs: dict[str, _Job] = {}
        self.uploaded = self.reused = 0

    def store(self, file: Path, end: float) -> Stored:
        """Store a file, and return its size and digest.

        Raises ``TimeoutError`` if that takes longer than until ``end`` (monotonic): call again.
        """
        key = str(file)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = _Job(self, file)
        if not job.done.wait(max(0.0, end - time.monotonic())):
            raise TimeoutError(f"{file}: large; uploading it continues")
        del self._jobs[key]
        if job.error is not None:
            raise job.error
        assert job.result is not None
        return job.result

    def put(self, file: Path) -> Stored:
        """Store a file, unless its content is there already."""
        size, digest = _digest(file)
        path = artifact_path(digest)
        if digest in self._known or self._objects.has(path):
            self.reused += 1
        else:
            self._objects.upload(path, file)
            if _digest(file) != (size, digest):
                raise OSError(f"{file}: changed while it was uploaded")
            self.uploaded += 1
        if len(self._known) < _MOST_KNOWN:
            self._known.add(digest)
        return Stored(size, digest)

    @staticmethod
    def end() -> float:
        """Return until when a call that begins now may work."""
        return time.monotonic() + _SECONDS


class _Job:
    """The upload of one file. Its thread is a daemon: it delays no program's end."""

    def __init__(self, uploader: Uploader, file: Path) -> None:
        self.done = threading.Event()
        self.result: Stored | None = None
        self.error: Exception | None = None
        self._uploader, self._file = uploader, file
        threading.Thread(target=self._run, name=f"tracelet upload {file.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            self.result = self._uploader.put(self._file)
        except Exception as error:
            self.error = error
        finally:
            self.done.set()


def find_file(run_dir: Path, path: str) -> Path | None:
    """Return a file of a run, ``None`` if it is gone. Raises ``ValueError`` if the path leads out of the run's folder.

    The journal may come from somebody else, so that no link is followed.
    """
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in path:
        raise ValueError(f"expected a path inside the run's folder, found {path!r}")
    file = run_dir
    for part in parts:
        file = file / part
        try:
            mode = os.lstat(file).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(mode):
            raise ValueError(f"expected a regular file inside the run's folder, found a link: {path!r}")
    if not stat.S_ISREG(mode):
        raise ValueError(f"expected a regular file, found a folder, a pipe or a device: {path!r}")
    return file


def _digest(file: Path) -> Stored:
    digest, size = hashlib.sha256(), 0
    with open(file, "rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return Stored(size, digest.hexdigest())
