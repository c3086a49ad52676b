"""The points of a lake for other engines: PyArrow and Ray Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.errors import StoreError
from tracelet.lake.run_files import list_all_files
from tracelet.lake.storage import Storage, require_module
from tracelet_hookspecs.lake_layout import COLUMNS, KINDS, METRICS


def dataset(
    url: str,
    kind: str = METRICS,
    *,
    project: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Return the rows of a lake as a ``pyarrow.dataset.Dataset``, with the columns ``project`` and ``run`` added.

    Args:
        url: where the lake is: any URL that fsspec reads, or a folder.
        kind: ``metrics``, ``params``, ``tags`` or ``events``.
        project: only this project, which saves listing the others.
        storage_options: for fsspec: credentials, an endpoint.

    The files are those that count now. After a crash of a writer two of them may have the same record: rows with the
    same ``writer``, ``sequence`` and ``index`` are the same.
    """
    import_dataset = require_module("pyarrow.dataset", "tracelet.lake.dataset")
    storage = Storage(url, storage_options)
    filesystem, root = storage.filesystem()
    paths = [f"{root}/{path}" for path in _paths(storage, kind, project)]
    return import_dataset.dataset(
        paths,
        schema=_schema(kind),
        format="parquet",
        filesystem=filesystem,
        partitioning=import_dataset.partitioning(flavor="hive", schema=_partitions()),
        partition_base_dir=root,
    )


def ray_dataset(
    url: str,
    kind: str = METRICS,
    *,
    project: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Return the same rows as a ``ray.data.Dataset``, which Ray reads on its workers."""
    ray_data = require_module("ray.data", "tracelet.lake.ray_dataset", extra="ray")
    arrow_fs = require_module("pyarrow.fs", "tracelet.lake.ray_dataset")
    storage = Storage(url, storage_options)
    filesystem, root = storage.filesystem()
    paths = [f"{root}/{path}" for path in _paths(storage, kind, project)]
    wrapped = (
        None if storage.folder is not None else arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(filesystem))
    )
    return ray_data.read_parquet(
        paths,
        filesystem=wrapped,
        schema=_schema(kind),
        partitioning=ray_data.datasource.Partitioning("hive", base_dir=root, field_names=["project", "run"]),
    )


def _paths(storage: Storage, kind: str, project: str | None) -> list[str]:
    if kind not in KINDS:
        from tracelet.messages import one_of

        raise StoreError(f"lake: expected {one_of(KINDS)} as kind, found {kind!r}")
    paths = [file.path for file in list_all_files(storage, kind, project)]
    if not paths:
        raise StoreError(
            f"lake: {storage.shown} has no {kind}{f' of project {project!r}' if project else ''}"
        )
    return paths


def _partitions() -> Any:
    import pyarrow

    return pyarrow.schema([("project", pyarrow.string()), ("run", pyarrow.string())])


def _schema(kind: str) -> Any:
    import pyarrow

    own = [(name, pyarrow.type_for_alias(type_)) for name, type_ in COLUMNS[kind].items()]
    return pyarrow.schema([*own, *_partitions()])
