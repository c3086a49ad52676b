"""Merging the many small files of a run into few, while others write and read.

The steps of one run, each of which may be repeated after a crash:

1. Rows of small files go into new files, under names that contain a digest of their contents. Nobody reads them yet.
2. The manifest is replaced, in one request: from now on, readers take the new files in place of the old ones.
3. After the grace period, files that are no longer in use are deleted. Until then, a reader that has listed them can
   still read them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final, NamedTuple

from tracelet.errors import StoreError
from tracelet.lake.changing import Changed, ChangingStorage
from tracelet.lake.storage import StoredObject, require_module
from tracelet.secrets import redact
from tracelet_hookspecs.lake_layout import (
    DICTIONARY_COLUMNS,
    FORMAT,
    KINDS,
    SORTED_BY,
    is_merged,
    merged_name,
    parse_file_name,
    parse_run_folder,
)

__all__ = ["GRACE", "MIN_FILES", "Optimized", "optimize"]

GRACE: Final = 24 * 3600.0  # seconds
MIN_FILES: Final = 8  # of one kind, from which on merging is worth a file
_LARGE: Final = 64 << 20  # bytes: files of this size stay as they are
_TOGETHER: Final = 128 << 20  # bytes of small files that are merged at once, in memory
_ROWS_PER_GROUP: Final = 65_536
_DRAFT_AGE: Final = 3600.0  # seconds, besides the grace period
_MANIFEST: Final = "merged.json"


class Optimized(NamedTuple):
    """What was done with one run. ``error`` says why it was left as it is."""

    project: str
    run: str
    merged: int = 0  # files
    into: int = 0  # files
    rows: int = 0
    repeated: int = 0  # rows that were there more than once
    deleted: int = 0  # files
    error: str | None = None


class _Run(NamedTuple):
    folder: str
    project: str
    id: str
    objects: list[StoredObject]  # with paths relative to the folder


def optimize(
    storage: ChangingStorage,
    *,
    grace: float = GRACE,
    min_files: int = MIN_FILES,
    now: Callable[[], float] = time.time,
) -> Iterator[Optimized]:
    """Merge the small files of each run, and delete those that were merged longer ago than ``grace`` seconds.

    Runs may be in progress, readers are not disturbed, and several processes may do it at once: one of them wins.
    Where a store has no conditional writes (all but S3 and folders), let only one do it at a time.
    """
    for run in _runs(storage.find("")):
        try:
            yield _optimize_run(storage, run, grace, min_files, now())
        except (Changed, FileNotFoundError):  # another process has done it
            yield Optimized(run.project, run.id)
        except (StoreError, OSError, ValueError) as error:
            yield Optimized(run.project, run.id, error=redact(str(error)) or type(error).__name__)


def _runs(objects: list[StoredObject]) -> Iterator[_Run]:
    found: dict[str, list[StoredObject]] = {}
    for one in objects:
        parts = one.path.split("/", 2)
        if len(parts) == 3 and parse_run_folder(one.path) is not None:
            folder = "/".join(parts[:2])
            found.setdefault(folder, []).append(one._replace(path=parts[2]))
    for folder, inner in found.items():
        project, run_id = parse_run_folder(folder) or ("", "")
        yield _Run(folder, project, run_id, inner)


def _optimize_run(storage: ChangingStorage, run: _Run, grace: float, min_files: int, now: float) -> Optimized:
    manifest, version = _read_manifest(storage, run)
    unused = [one.path for one in run.objects if _is_unused(storage, run, one.path, manifest, now - grace)]
    storage.delete([f"{run.folder}/{path}" for path in unused])
    run = run._replace(objects=[one for one in run.objects if one.path not in set(unused)])
    result = Optimized(run.project, run.id, deleted=len(unused))
    groups = [group for kind in KINDS for group in _groups(run, manifest, kind, min_files)]
    if not groups:
        return result
    generation = manifest["generation"] + 1
    files, rows, repeated = [], 0, 0
    for group in groups:
        data, kept, dropped = _merge(storage, run.folder, group)
        kind = group[0].path.partition("/")[0]
        files.append(f"{kind}/{merged_name(generation, sha256(data).hexdigest())}")
        storage.write(f"{run.folder}/{files[-1]}", data)
        rows, repeated = rows + kept, repeated + dropped
    replaced = {one.path for group in groups for one in group}
    renewed = _renew(manifest, generation, files, replaced, {one.path for one in run.objects}, now)
    storage.replace(f"{run.folder}/{_MANIFEST}", json.dumps(renewed).encode(), version)
    return result._replace(merged=len(replaced), into=len(files), rows=rows, repeated=repeated)


def _renew(
    manifest: dict[str, Any],
    generation: int,
    files: list[str],
    replaced: set[str],
    existing: set[str],
    now: float,
) -> dict[str, Any]:
    """Return the manifest after a merge. Files that are deleted need not be mentioned any more."""
    times = {path: at for path, at in manifest["replaced_at"].items() if path in existing}
    times.update(dict.fromkeys(replaced, now))
    return {
        "format": FORMAT,
        "generation": generation,
        "files": sorted({*manifest["files"], *files} - replaced),
        "replaced": sorted(times),
        "replaced_at": times,
        "merged_at": now,
    }


def _read_manifest(storage: ChangingStorage, run: _Run) -> tuple[dict[str, Any], str | None]:
    empty = {"generation": 0, "files": [], "replaced": [], "replaced_at": {}, "merged_at": 0.0}
    found = storage.read_versioned(f"{run.folder}/{_MANIFEST}")
    if found is None:
        return empty, None
    manifest = json.loads(found[0])
    if manifest.get("format", FORMAT) > FORMAT:
        raise StoreError(
            f"{run.folder}/{_MANIFEST}: expected format {FORMAT} or older, found {manifest['format']}; upgrade tracelet"
        )
    return {**empty, **manifest}, found[1]


def _is_unused(
    storage: ChangingStorage, run: _Run, path: str, manifest: dict[str, Any], before: float
) -> bool:
    """Say whether a file can be deleted: it was merged before that time, or it was never put to use."""
    name = path.rpartition("/")[2]
    if name.startswith(".") and name.endswith(".tmp"):  # of a process that was killed
        return storage.changed_at(f"{run.folder}/{path}") < before - _DRAFT_AGE
    if path in manifest["replaced_at"]:
        return bool(manifest["replaced_at"][path] <= before)
    is_orphan = is_merged(path) and path not in manifest["files"]  # of a merge that was not completed
    return is_orphan and _generation(name) <= manifest["generation"] and manifest["merged_at"] <= before


def _generation(name: str) -> int:
    digits = name.split("-")[1] if name.count("-") else ""
    return int(digits) if digits.isdigit() else 0


def _groups(run: _Run, manifest: dict[str, Any], kind: str, min_files: int) -> Iterator[list[StoredObject]]:
    """Yield files to be merged into one each, so that each writer's are together, in order."""
    files, replaced = set(manifest["files"]), set(manifest["replaced"])
    small = [
        one
        for one in run.objects
        if one.path.startswith(f"{kind}/") and one.size < _LARGE and one.path not in replaced
        and (one.path in files if is_merged(one.path) else parse_file_name(one.path) is not None)
    ]  # fmt: skip
    if sum(not is_merged(one.path) for one in small) < max(1, min_files):
        return
    group: list[StoredObject] = []
    for one in sorted(small, key=lambda one: (not is_merged(one.path), one.path)):
        if group and sum(each.size for each in group) + one.size > _TOGETHER:
            if len(group) > 1:
                yield group
            group = []
        group.append(one)
    if len(group) > 1:
        yield group


def _merge(storage: ChangingStorage, folder: str, group: list[StoredObject]) -> tuple[bytes, int, int]:
    """Return one file with the rows of several, each record once, and how many rows were kept and dropped."""
    pyarrow = require_module("pyarrow", "merging files of a lake")
    parquet = require_module("pyarrow.parquet", "merging files of a lake")
    contents = storage.read_several([f"{folder}/{one.path}" for one in group])
    if any(data is None for data in contents):
        raise FileNotFoundError(folder)
    tables = [parquet.read_table(pyarrow.BufferReader(data)) for data in contents]
    kind = group[0].path.partition("/")[0]
    table = pyarrow.concat_tables(tables, promote_options="default")
    table = table.sort_by([(name, "ascending") for name in SORTED_BY[kind]])
    kept = _without_repeats(table, pyarrow)
    metadata = {**(tables[0].schema.metadata or {}), **_names_of(tables)}
    kept = kept.replace_schema_metadata(metadata)
    return _encode(parquet, pyarrow, kept, kind), kept.num_rows, table.num_rows - kept.num_rows


def _names_of(tables: list[Any]) -> dict[bytes, bytes]:
    """Return the original names that any of the files knows."""
    key, names = b"tracelet.original_names", {}
    for table in tables:
        names.update(json.loads((table.schema.metadata or {}).get(key, b"{}")))
    return {key: json.dumps(names).encode()} if names else {}


def _without_repeats(table: Any, pyarrow: Any) -> Any:
    """Return a sorted table with each record once: repeats of a record are next to each other."""
    if table.num_rows < 2:
        return table
    compute = require_module("pyarrow.compute", "merging files of a lake")
    same = None
    for name in ("writer", "sequence", "index"):
        column = table.column(name).combine_chunks()
        equal = compute.equal(column[1:], column[:-1])
        same = equal if same is None else compute.and_(same, equal)
    first = pyarrow.array([True])
    return table.filter(pyarrow.concat_arrays([first, compute.invert(same)]))


def _encode(parquet: Any, pyarrow: Any, table: Any, kind: str) -> bytes:
    sink = pyarrow.BufferOutputStream()
    names = table.schema.names
    ordering = [(name, "ascending") for name in SORTED_BY[kind]]
    parquet.write_table(
        table,
        sink,
        row_group_size=_ROWS_PER_GROUP,
        data_page_size=64 * 1024,
        compression="zstd",
        use_dictionary=[name for name in DICTIONARY_COLUMNS if name in names],
        column_encoding={
            name: "DELTA_BINARY_PACKED" for name in ("step", "sequence", "index", "size") if name in names
        },
        write_statistics=True,
        write_page_index=True,
        sorting_columns=parquet.SortingColumn.from_ordering(table.schema, ordering),
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data
