"""Copies a folder: everything in it that can be kept, and a list of what cannot, with the reasons."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tracelet.run.artifacts.file_copy import DISK_FULL, MissingError, copy_file
from tracelet.run.run_files import MAX_PATH, publish_file, remove_tree, stored_name
from tracelet.safe_files import Descriptor, open_folder

_DATA_FOLDER: Final = ".tracelet"  # the usual name of a data folder, which holds a folder ``runs``


class TreeCopy:
    """Copies one folder into another, folder by folder. Links to files are followed, links to folders are not."""

    def __init__(
        self, root: Path, target: PurePosixPath, room: int, skip: Callable[[os.stat_result], bool]
    ) -> None:
        """Set up the copy.

        Args:
            root: the folder that the caller trusts.
            target: the folder below it to copy into; it exists.
            room: bytes that the path of a file may take below the target.
            skip: whether a folder is a data folder of tracelet, which is left out.
        """
        self.files: list[dict[str, Any]] = []
        self.missing: list[dict[str, str]] = []
        self.disk_full: OSError | None = None
        self._root = root
        self._target = target
        self._room = room
        self._skip = skip

    def copy(self, source: Path) -> None:
        """Copy everything in a folder."""
        pending = [(str(source), PurePosixPath())]
        while pending:
            path, inner = pending.pop()
            try:
                entries = sorted(os.scandir(path), key=lambda entry: entry.name)
                folder = open_folder(self._root, self._target / inner, create=True)
            except OSError as error:
                self._miss(inner, (error.strerror or str(error)).lower())
                continue
            folders = list(self._copy_entries(entries, inner, folder))
            pending += reversed(folders)

    def _copy_entries(
        self, entries: list[os.DirEntry[str]], inner: PurePosixPath, folder: Descriptor
    ) -> Iterator[tuple[str, PurePosixPath]]:
        """Copy the files among the entries of one folder, and yield its folders."""
        for entry in entries:
            place = inner / stored_name(entry.name)
            if not _is_folder(entry):
                self._copy_file(entry, place, folder)
            elif self._is_data_folder(entry):
                continue
            elif entry.is_symlink():
                self._miss(place, "a link to a folder; log it separately")
            else:
                yield entry.path, place

    def _is_data_folder(self, entry: os.DirEntry[str]) -> bool:
        if entry.name == _DATA_FOLDER and os.path.isdir(os.path.join(entry.path, "runs")):
            return True
        try:
            return self._skip(entry.stat())
        except OSError:
            return False

    def _copy_file(self, entry: os.DirEntry[str], place: PurePosixPath, folder: Descriptor) -> None:
        name = stored_name(entry.name)
        if len(os.fsencode(str(place))) >= self._room:
            return self._miss(place, f"its path in the run would be longer than {MAX_PATH} bytes")
        if self.disk_full is not None:
            return self._miss(place, "the disk is full")
        try:
            copy = copy_file(entry.path, folder)
            if not publish_file(folder, copy.part, name):
                remove_tree(folder, copy.part)
                raise MissingError("a file with this name exists already")
        except MissingError as error:
            return self._miss(place, str(error))
        except OSError as error:
            self.disk_full = error if error.errno in DISK_FULL else None
            return self._miss(place, (error.strerror or str(error)).lower())
        self.files.append({"path": str(place), "size": copy.size, "sha256": copy.sha256})
        if copy.changed:
            self.files[-1]["changed"] = True
        return None

    def _miss(self, place: PurePosixPath, reason: str) -> None:
        self.missing.append({"path": str(place), "reason": reason})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
