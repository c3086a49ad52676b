"""The files of an imported run: artifacts and media, copied into the run's folder once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tracelet.errors import RecordingError
from tracelet.importers.known import FileKey, file_key
from tracelet.layout import media_type
from tracelet.run.artifacts import ArtifactStore
from tracelet.run.artifacts.arguments import check_artifact_path
from tracelet.run.media.media_folder import MediaFolder
from tracelet.run.run_files import WrittenFiles, stored_name
from tracelet.safe_files import Descriptor, open_file, read_at
from tracelet_hookspecs import ImportedFile

_LARGEST_MEDIUM: Final = 256 << 20  # bytes: media are held in memory
_CHUNK: Final = 1 << 20  # bytes read at a time
OUTSIDE: Final = "files outside the source"
UNREADABLE: Final = "files that cannot be read"

Write = Callable[[dict[str, Any], float | None], None]
Count = Callable[[Mapping[str, int]], None]


class FileImport:
    """Copies the files of one run, without those that an earlier import has copied."""

    def __init__(self, run_dir: Path, root: Path | None, known: set[FileKey], *, dry_run: bool) -> None:
        self._root = root
        self._known = known
        self._dry_run = dry_run
        written = WrittenFiles(run_dir)
        self._media = MediaFolder(run_dir, written)
        self._artifacts = ArtifactStore(run_dir, written)
        self.new = self.known = 0

    def add_all(self, files: Iterable[ImportedFile], write: Write, count: Count) -> None:
        """Copy files and record each; those that cannot be read are counted."""
        for file in files:
            try:
                self._add(file, write)
            except (RecordingError, ValueError, TypeError):
                count({OUTSIDE: 1})
            except OSError:
                count({UNREADABLE: 1})

    def _add(self, file: ImportedFile, write: Write) -> None:
        if not isinstance(file.data, (bytes, type(None))):
            raise TypeError("expected bytes as data")
        opened = None if file.data is not None else self._open(file)
        size, digest = _digest(opened, file.data or b"")
        kind = media_type(file.kind) if file.kind else None
        step = None if file.step is None else int(file.step)
        name = str(file.name) if kind else stored_name(PurePosixPath(str(file.name)).name or "unnamed")
        place = (
            None if file.artifact_path is None else "/".join(check_artifact_path(file.artifact_path).parts)
        )
        about = {"media": kind, "name": name, "step": step, "artifact_path": place or None}
        key = file_key(about, {"size": size, "sha256": digest})
        if key in self._known:
            self.known += 1
            return
        self._known.add(key)
        self.new += 1
        if self._dry_run:
            return
        record = (
            self._copy_medium(file, name, opened, size) if kind else self._copy_artifact(file, name, opened)
        )
        metadata = {"metadata": dict(file.metadata)} if file.metadata else {}
        write({**record, **about, "artifact_path": record["artifact_path"], **metadata}, file.timestamp)

    def _open(self, file: ImportedFile) -> Descriptor:
        """Open a file inside the source, following no link."""
        if file.path is None or self._root is None:
            raise ValueError("no content")
        path = Path(os.path.abspath(file.path))
        return open_file(self._root, path.relative_to(self._root))

    def _copy_medium(
        self, file: ImportedFile, name: str, opened: Descriptor | None, size: int
    ) -> dict[str, Any]:
        if size > _LARGEST_MEDIUM:
            raise OSError("too large")
        data = file.data if opened is None else read_at(opened, size, 0)
        suffix = file.suffix or (Path(file.path).suffix if file.path else "")
        written = self._media.write(name, file.step, suffix, data or b"")
        return {
            "path": written["path"],
            "artifact_path": str(PurePosixPath(written["path"]).parent),
            "files": [written],
        }

    def _copy_artifact(self, file: ImportedFile, name: str, opened: Descriptor | None) -> dict[str, Any]:
        """Copy by way of a private folder: between the check and the copy nobody can exchange the file."""
        with tempfile.TemporaryDirectory(prefix="tracelet-import-") as folder:
            part = Path(folder, name)
            with open(part, "wb") as target:
                for chunk in _chunks(opened, file.data or b""):
                    target.write(chunk)
            record = self._artifacts.add(part, file.artifact_path or None)
        return {key: record[key] for key in ("path", "artifact_path", "files", "version")}


def _chunks(opened: Descriptor | None, data: bytes) -> Iterable[bytes]:
    if opened is None:
        yield data
        return
    at, size = 0, opened.stat().st_size  # a file that grows meanwhile is taken as it was
    while at < size and (chunk := read_at(opened, min(_CHUNK, size - at), at)):
        yield chunk
        at += len(chunk)


def _digest(opened: Descriptor | None, data: bytes) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in _chunks(opened, data):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()
