"""The data files of a run: which of them count, and in what order."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Final, NamedTuple

from tracelet.errors import StoreError
from tracelet.lake.storage import Storage, StoredObject
from tracelet_hookspecs.lake_layout import (
    FORMAT,
    KINDS,
    FileName,
    is_merged,
    manifest_path,
    parse_file_name,
    run_folder,
)

_MANIFEST: Final = manifest_path("", "").rpartition("/")[2]
_TRIES: Final = 5


class DataFile(NamedTuple):
    """A Parquet file: its path below the lake's URL, its size, and whose rows it has (``None``: it is merged)."""

    path: str
    size: int
    name: FileName | None


class RunFiles(NamedTuple):
    """The files of a run that count, by kind (``metrics``, ``events``, ...)."""

    by_kind: dict[str, list[DataFile]]

    def of(self, kind: str) -> list[DataFile]:
        """Return the files of a kind, in the order of their rows."""
        return self.by_kind.get(kind, [])


def are_disjoint(files: list[DataFile]) -> bool:
    """Return whether the names of files alone show that no record is in two of them."""
    names = [file.name for file in files]
    if any(name is None for name in names):
        return len(names) == 1
    known = sorted(name for name in names if name is not None)
    return all(one.writer != two.writer or one.last < two.first for one, two in pairwise(known))


def list_files(storage: Storage, project: str, run_id: str) -> RunFiles:
    """Return the data files of a run."""
    folder = run_folder(project, run_id)
    return _count_files(storage, folder, storage.find(folder))


def _count_files(storage: Storage, folder: str, objects: list[StoredObject]) -> RunFiles:
    """Return the files that count, of those in a folder.

    The manifest is read after the list, so that no row is missed. If a merge ended in between, it names files that the
    list lacks, which is then made again.
    """
    manifest = f"{folder}/{_MANIFEST}"
    for _ in range(_TRIES):
        present = {one.path for one in objects}
        if manifest not in present:
            return _select(objects, folder, frozenset(), frozenset())
        merged, replaced = _read_manifest(storage, manifest)
        missing = [file for file in merged if f"{folder}/{file}" not in present]
        if not missing:
            return _select(objects, folder, merged, replaced)
        objects = storage.find(folder)
    raise StoreError(
        f"lake: {storage.shown}/{manifest} lists {len(missing)} files that are gone, such as {missing[0]}; restore them"
        " from a backup of the bucket, or deliver the run again"
    )


def _read_manifest(storage: Storage, path: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the merged files, and those that they replace."""
    (data,) = storage.read_several([path])
    if data is None:
        return frozenset(), frozenset()
    try:
        found = json.loads(data)
        if found["format"] > FORMAT:
            raise StoreError(
                f"lake: {storage.shown}/{path} has format {found['format']}, expected at most {FORMAT}; upgrade"
                " tracelet"
            )
        return frozenset(map(str, found["files"])), frozenset(map(str, found["replaced"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StoreError(f"lake: {storage.shown}/{path} cannot be read: {error!r}") from None


def _select(
    objects: list[StoredObject], folder: str, merged: frozenset[str], replaced: frozenset[str]
) -> RunFiles:
    found: dict[str, list[DataFile]] = {kind: [] for kind in KINDS}
    for one in objects:
        inner = one.path[len(folder) + 1 :]
        kind = inner.partition("/")[0]
        if kind not in found or not inner.endswith(".parquet"):
            continue
        counts = inner in merged if is_merged(inner) else inner not in replaced
        name = parse_file_name(inner)
        if counts and (is_merged(inner) or name is not None):
            found[kind].append(DataFile(one.path, one.size, name))
    return RunFiles(found)


def list_all_files(storage: Storage, kind: str, project: str | None = None) -> list[DataFile]:
    """Return the data files of one kind of all runs, or of those of a project."""
    wanted = "" if project is None else run_folder(project, "").rpartition("/")[0]
    by_run: dict[str, list[StoredObject]] = {}
    for one in storage.find(wanted):
        parts = one.path.split("/")
        if len(parts) > 2 and parts[0].startswith("project=") and parts[1].startswith("run="):
            by_run.setdefault("/".join(parts[:2]), []).append(one)
    found: list[DataFile] = []
    for folder, objects in by_run.items():
        found += _count_files(storage, folder, objects).of(kind)
    return found
