"""The artifacts of a run: copied under its folder, each version to a separate place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tracelet.errors import RecordingError
from tracelet.run.artifacts.arguments import check_artifact_path, find_source
from tracelet.run.artifacts.file_copy import MissingError, copy_file
from tracelet.run.artifacts.tree_copy import TreeCopy
from tracelet.run.run_files import (
    MAX_PATH,
    WrittenFiles,
    open_inside,
    publish_file,
    publish_folder,
    remove_tree,
)
from tracelet.safe_files import Descriptor, open_folder

TOP: Final = "artifacts"
_VERSIONS: Final = 1_000_000
_NOT_A_FOLDER: Final = (errno.ENOTDIR, errno.EINVAL, errno.ELOOP)

Record = dict[str, Any]


class ArtifactStore:
    """Copies what a program logs, and returns the record of each copy."""

    def __init__(self, run_dir: Path, written: WrittenFiles) -> None:
        self._run_dir = run_dir
        self._data_dir = run_dir.parent.parent
        self._written = written
        self._latest: dict[str, Record] = {}  # what was logged last, by its path without the version
        self._folders: set[str] = set()  # folders that were recorded whole

    def add(self, local_path: Any, artifact_path: Any) -> Record:
        """Copy a file or folder and return its record.

        Raises:
            RecordingError: the arguments are wrong, or the file cannot be read.
            OSError: the copy cannot be written.
        """
        place = check_artifact_path(artifact_path)
        source, name = find_source(local_path)
        is_folder = source.is_dir()
        if is_folder:
            self._check_not_own(source)
        open_inside(self._run_dir, PurePosixPath(TOP))  # fails if it is a link
        copy = self._add_folder if is_folder else self._add_file
        record: Record = {
            "path": "",
            "artifact_path": None if artifact_path is None else "/".join(place.parts),
            "name": name,
            **copy(source, place, name),
        }
        self._written.add(*(file["path"] for file in record["files"]))
        return record

    def _check_not_own(self, source: Path) -> None:
        """Refuse a folder of this store that holds the copy itself."""
        real, data = source.resolve(), self._data_dir.resolve()
        target = (self._run_dir / TOP).resolve()
        if (real == data or data in real.parents) and (real == target or real in target.parents):
            raise RecordingError(
                f"log_artifact: expected a folder of the program's, found tracelet's own data folder {source}"
            )

    # --- files ---------------------------------------------------------------------------------------------

    def _add_file(self, source: Path, place: PurePosixPath, name: str) -> Record:
        top = open_folder(self._run_dir, TOP)
        try:
            copy = copy_file(str(source), top)
        except MissingError as error:
            text = f"log_artifact: {source} cannot be kept: {error}"
            raise RecordingError(text, reason="unreadable file") from None
        try:
            known = self._latest.get(str(place / name))
            if known is not None and self._is_same(known, copy.size, copy.sha256):
                remove_tree(top, copy.part)
                return {key: known[key] for key in ("path", "version", "files")}
            for version, path in self._free_paths(place, name):  # noqa: B007 - both are used below
                folder = self._open(path.parent)
                if folder is None:
                    continue
                # From the top folder into the right one: still invisible, on the same file system.
                os.rename(copy.part, copy.part, src_dir_fd=top.fd, dst_dir_fd=folder.fd)
                if publish_file(folder, copy.part, path.name):
                    break
                os.rename(copy.part, copy.part, src_dir_fd=folder.fd, dst_dir_fd=top.fd)
        except BaseException:
            remove_tree(top, copy.part)
            raise
        file = {"path": str(path), "size": copy.size, "sha256": copy.sha256}
        if copy.changed:
            file["changed"] = True
        record = {"path": str(path), "version": version, "files": [file]}
        self._latest[str(place / name)] = record
        return record

    def _is_same(self, known: Record, size: int, sha256: str) -> bool:
        [file] = known["files"] if len(known["files"]) == 1 else [{}]
        if (file.get("size"), file.get("sha256"), file.get("path")) != (size, sha256, known["path"]):
            return False
        try:
            return os.stat(self._run_dir / known["path"], follow_symlinks=False).st_size == size
        except OSError:
            return False

    # --- folders -------------------------------------------------------------------------------------------

    def _add_folder(self, source: Path, place: PurePosixPath, name: str) -> Record:
        part = f".{os.urandom(8).hex()}.part"
        longest = PurePosixPath(TOP, f".v{_VERSIONS}", place, name)
        room = MAX_PATH - len(os.fsencode(str(self._run_dir / longest))) - 1
        copy = TreeCopy(self._run_dir, PurePosixPath(TOP, part), room, self._is_data_folder)
        top = open_folder(self._run_dir, TOP)
        try:
            copy.copy(source)
            if copy.disk_full is not None and not copy.files:
                raise copy.disk_full
            for version, path in self._free_paths(place, name):  # noqa: B007 - both are used below
                folder = self._open(path.parent)
                if folder is not None and publish_folder(top, part, folder, path.name):
                    break
        except BaseException:
            remove_tree(top, part)
            raise
        self._folders.add(str(path))
        self._latest.pop(str(place / name), None)
        files = [{**file, "path": f"{path}/{file['path']}"} for file in copy.files]
        record: Record = {"path": str(path), "version": version, "files": files}
        return {**record, "missing": copy.missing} if copy.missing else record

    def _is_data_folder(self, state: os.stat_result) -> bool:
        data = os.stat(self._data_dir)
        return (state.st_dev, state.st_ino) == (data.st_dev, data.st_ino)

    # --- places --------------------------------------------------------------------------------------------

    def _free_paths(self, place: PurePosixPath, name: str) -> Iterator[tuple[int, PurePosixPath]]:
        """Yield versions and their paths, from the next one that may be free."""
        known = self._latest.get(str(place / name))
        first = 1 if known is None else int(known["version"]) + 1
        for version in range(first, _VERSIONS):
            path = PurePosixPath(TOP, f".v{version}" if version > 1 else "", place, name)
            taken = os.path.lexists(self._run_dir / path)
            if not taken and not self._folders.intersection(map(str, path.parents)):
                yield version, path
        raise FileExistsError(errno.EEXIST, "no free version", str(place / name))

    def _open(self, path: PurePosixPath) -> Descriptor | None:
        """Open a folder, or return None if a file (or a link) is in its place."""
        try:
            return open_inside(self._run_dir, path)
        except OSError as error:
            if error.errno in _NOT_A_FOLDER:
                return None
            raise
