"""Runs in a repository of Aim, read with Aim's own package: its databases are RocksDB."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import copy2, copytree
from typing import Any, Final

from tracelet_builtin_plugins.backends.aim.repository import import_aim, require_aim
from tracelet_hookspecs import ImportedFile, ImportedPoints, ImportedRun, MetricType

__all__ = ["import_repository"]

_FOLDER: Final = ".aim"
_CHUNKS: Final = "chunks"
_MOST_RUNS: Final = 100_000
_SYSTEM: Final = "__system__"  # in front of the name of what Aim measures itself
_MEDIA: Final = {"images": "image", "texts": "text", "distributions": "histogram", "audios": "audio"}
_SEQUENCES: Final = {"images": "image", "texts": "text", "distributions": "distribution", "audios": "audio"}
DAMAGED: Final = "runs that cannot be read"


def import_repository(source: str) -> Iterator[ImportedRun] | None:
    """Return the runs of a repository, ``None`` if there is none.

    Raises :class:`~tracelet_builtin_plugins.extras.MissingExtraError` if there is one and Aim is not installed.
    """
    path = Path(source)
    folder = path if path.name == _FOLDER else path / _FOLDER
    if not (folder / "meta" / _CHUNKS).is_dir():
        return None
    require_aim()
    return _read_runs(folder)


def _read_runs(folder: Path) -> Iterator[ImportedRun]:
    for name in sorted(os.listdir(folder / "meta" / _CHUNKS))[:_MOST_RUNS]:
        try:
            with tempfile.TemporaryDirectory(prefix="tracelet-aim-") as copy:
                run = _read_copy(folder, Path(copy), name)
        except Exception:  # whatever Aim raises for a damaged database
            run = ImportedRun(name, damage={DAMAGED: 1})
        if run is not None:
            yield run


def _read_copy(folder: Path, copy: Path, name: str) -> ImportedRun | None:
    """Read a copy of one run: Aim finds a run by an index that it writes, and locks what it reads."""
    for part in ("meta", "seqs"):
        source = folder / part / _CHUNKS / name
        if source.is_dir() and not source.is_symlink():
            copytree(source, copy / _FOLDER / part / _CHUNKS / name, symlinks=True)
    for file in folder.iterdir():
        if file.is_file() and not file.is_symlink():
            copy2(file, copy / _FOLDER)
    repo = import_aim("aim.sdk.repo").Repo(str(copy))
    try:
        import_aim("aim.sdk.index_manager").RepoIndexManager(repo).index(name)
        repo.container_pool.clear()
        run = repo.get_run(name)
        return None if run is None else _read_run(run, name)
    finally:
        repo.container_pool.clear()


def _read_run(run: Any, name: str) -> ImportedRun:
    damage: dict[str, int] = {}
    attributes = run.meta_run_tree.collect().get("attrs", {})
    params = (
        dict(attributes.pop("hparams", None) or {}) if isinstance(attributes.get("hparams"), dict) else {}
    )
    tags = attributes.pop("tags", None)
    facts = {key: attributes.pop(key) for key in ("__system_params", "tracelet") if key in attributes}
    return ImportedRun(
        key=name,
        name=run.name or name,
        project=run.experiment or None,
        params={**attributes, **params},
        tags={**dict.fromkeys(run.tags, ""), **(tags if isinstance(tags, dict) else {})},
        points=[points for metric in run.metrics() if (points := _points(metric)) is not None],
        files=[file for kind in _MEDIA for file in _files(run, kind, damage)],
        started_at=run.creation_time,
        ended_at=run.end_time,
        outcome="running" if run.active else None,
        notes=run.description or None,
        facts=facts,
        damage=damage,
    )


def _points(metric: Any) -> ImportedPoints | None:
    steps, (values, _, times) = metric.data.items_list()
    if not steps:
        return None
    is_system = metric.name.startswith(_SYSTEM)
    return ImportedPoints(
        _name_of(metric),
        [int(step) for step in steps],
        [float(value) for value in values],
        [float(time) for time in times],
        MetricType.SYSTEM if is_system else MetricType.SCALAR,
        "aim" if is_system else None,
    )


def _name_of(sequence: Any) -> str:
    """Return the name, with the context that tells apart metrics of one name: ``loss [subset=val]``."""
    context = sequence.context.to_dict()
    words = ", ".join(f"{key}={context[key]}" for key in sorted(context))
    name = str(sequence.name).removeprefix(_SYSTEM)
    return f"{name} [{words}]" if words else name


def _files(run: Any, kind: str, damage: dict[str, int]) -> Iterator[ImportedFile]:
    for found in run.collect_sequence_info((kind,)).get(kind, ()):
        context = import_aim("aim.storage.context").Context(found["context"])
        sequence = getattr(run, f"get_{_SEQUENCES[kind]}_sequence")(found["name"], context)
        steps, (values, _, times) = sequence.data.items_list()
        for step, value, time in zip(steps, values, times, strict=True):
            for one in value if isinstance(value, (list, tuple)) else [value]:
                content = None
                with suppress(Exception):  # a damaged object
                    content = _content(kind, one)
                if content is None:
                    damage["media that cannot be read"] = damage.get("media that cannot be read", 0) + 1
                    continue
                data, suffix = content
                about: dict[str, Any] = {"step": int(step), "timestamp": float(time), "kind": _MEDIA[kind]}
                yield ImportedFile(_name_of(sequence), data=data, suffix=suffix, **about)


def _content(kind: str, value: Any) -> tuple[bytes, str]:
    if kind == "texts":
        return str(value.data).encode("utf-8", "replace"), ".txt"
    if kind == "distributions":
        counts, edges = value.to_np_histogram()
        whole = [int(count) for count in counts]
        content = {"edges": [float(edge) for edge in edges], "counts": whole}
        text = json.dumps({**content, "count": sum(whole), "not_finite": 0}, allow_nan=False)
        return text.encode(), ".histogram.json"
    data = value.storage["data"]
    data = bytes(data.load() if hasattr(data, "load") else data)
    return data, f".{str(value.storage['format']).lower()}"
