"""A recorded file or folder, which can be opened wherever the run is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from tracelet.errors import StoreError
from tracelet.messages import did_you_mean
from tracelet.store.run_source import RunSource


class Artifact:
    """A file or folder that was recorded with a run; media are files, too."""

    def __init__(self, source: RunSource, recorded: Mapping[str, Any]) -> None:
        self._source = source
        self._recorded = recorded

    @property
    def name(self) -> str:
        """The name: of a medium as it was logged, else that of the file or folder."""
        return str(self._recorded["name"])

    @property
    def path(self) -> str:
        """The path of the file or folder in the run."""
        return str(self._recorded["path"])

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files: each with ``path`` in the run, ``size`` in bytes and ``sha256``."""
        return [dict(file) for file in self._recorded["files"]]

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file["size"] for file in self._recorded["files"])

    def open(self, file: str | None = None) -> BinaryIO:
        """Open a file for reading, as a binary stream; from a lake, it is streamed.

        Of an artifact with several files, ``file`` is the path below the artifact's own. Raises :class:`StoreError` if
        there is no such file.
        """
        found = self._find(file)
        try:
            return self._source.open(found["path"], found["sha256"])
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(f"artifact {self.name!r}: {found['path']}: cannot be read: {reason}") from None

    def _find(self, file: str | None) -> dict[str, Any]:
        files = self._recorded["files"]
        if file is None and len(files) == 1:
            return dict(files[0])
        inner = {one["path"].removeprefix(f"{self.path}/"): one for one in files}
        if file is None:
            raise StoreError(
                f"artifact {self.name!r}: expected the name of one of its {len(files)} files, such as"
                f" {next(iter(inner), '')!r}"
            )
        if file not in inner and file not in {one["path"] for one in files}:
            raise StoreError(f"artifact {self.name!r} has no file {file!r}{did_you_mean(file, inner)}")
        return dict(inner.get(file) or next(one for one in files if one["path"] == file))

    def __repr__(self) -> str:
        return f"<Artifact {self.name!r}: {len(self._recorded['files'])} files, {self.size} bytes>"


def find_artifact(source: RunSource, recorded: Sequence[Mapping[str, Any]], name: str, run: str) -> Artifact:
    """Return the artifact of this name or path, the one recorded last. Raises :class:`StoreError` if there is none."""
    for one in reversed(recorded):
        folder = one["artifact_path"]
        if name in (one["path"], f"{folder}/{one['name']}" if folder else one["name"], one["name"]):
            return Artifact(source, one)
    names = {one["name"] for one in recorded}
    raise StoreError(f"run {run} has no artifact {name!r}{did_you_mean(name, names)}", artifact=name)
