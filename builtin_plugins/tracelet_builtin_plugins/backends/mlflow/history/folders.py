"""MLflow's folder store: a folder per experiment, in it a folder per run, in it a file per metric."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tracelet_builtin_plugins.backends.mlflow.history import runs
from tracelet_builtin_plugins.numbers import is_step
from tracelet_hookspecs import ImportedRun

__all__ = ["is_store", "read_folder"]

_META: Final = "meta.yaml"
_LARGEST_META: Final = 1 << 20  # bytes, also of a parameter or a tag
_LARGEST: Final = 1 << 30  # bytes of a file with the points of a metric
_MOST: Final = 100_000  # experiments, runs of one, or metrics
_LINE: Final = re.compile(r"([A-Za-z_]\w*):(?: (.*))?$")


def is_store(folder: Path) -> bool:
    """Return whether a folder is a store: one of its folders is an experiment."""
    return any("experiment_id" in _read_meta(inner) for inner in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    inner = [folder / name for name in names if not name.startswith(".")][:_MOST]
    return [path for path in inner if path.is_dir() and not path.is_symlink()]


def _read(path: Path, limit: int = _LARGEST_META) -> str:
    """Return the text in a regular file. Raises ``OSError`` for anything else."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, encoding="utf-8", errors="replace") as file:
        if not path.is_file() or os.fstat(fd).st_size > limit:
            raise OSError(f"{path}: expected a file of at most {limit} bytes")
        return file.read()


def _read_meta(folder: Path) -> dict[str, str]:
    """Return the values in a ``meta.yaml``, which is a flat mapping; empty if there is none."""
    try:
        lines = _read(folder / _META).splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if match := _LINE.match(line):
            name = match[1]
            found[name] = match[2] or ""
        elif name and line.startswith(" "):  # a long text continues
            found[name] += " " + line.strip()
    return {key: _unquote(value.strip()) for key, value in found.items()}


def _unquote(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return "" if text in ("null", "~") else text


def read_folder(folder: Path, root: Path) -> Iterator[ImportedRun]:
    """Yield the runs of all experiments that were not deleted."""
    for inner in _folders(folder):
        meta = _read_meta(inner)
        if "experiment_id" not in meta or meta.get("lifecycle_stage") == "deleted":
            continue
        found = [(_read_meta(path), path) for path in _folders(inner)]
        for about, path in sorted(found, key=lambda each: (each[0].get("start_time", ""), str(each[1]))):
            if "artifact_uri" in about and about.get("lifecycle_stage") != "deleted":
                yield _read_run(path, meta.get("name") or inner.name, about, root)


def _read_run(path: Path, experiment: str, about: dict[str, str], root: Path) -> ImportedRun:
    damage: dict[str, int] = {}
    metrics = {name: _read_metric(file, damage) for name, file in _files(path / "metrics")}
    params, tags = (_read_values(path / kind, damage) for kind in ("params", "tags"))
    about = {**about, "name": about.get("run_name", "")}
    run_id = about.get("run_id") or about.get("run_uuid") or path.name
    run = runs.make_run(run_id, experiment, about, params, tags, metrics)
    local = path / "artifacts"
    named = runs.artifact_folder(about["artifact_uri"], root)
    is_local = about["artifact_uri"].rstrip("/").endswith(f"{path.parent.name}/{path.name}/artifacts")
    damage[runs.ELSEWHERE] = int(named is None and not is_local)
    places = dict.fromkeys(one.absolute() for one in (local, named) if one is not None)
    run.files = [file for one in places for file in runs.find_artifacts(one)]
    run.damage = damage
    return run


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each file; a name with ``/`` makes folders."""
    count = 0
    for at, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for path in (Path(at, name) for name in sorted(names)):
            count += 1
            if count > _MOST:
                return
            yield path.relative_to(folder).as_posix(), path


def _read_values(folder: Path, damage: dict[str, int]) -> dict[str, str]:
    found = {}
    for name, path in _files(folder):
        try:
            found[name] = _read(path)
        except OSError:
            _count(damage, "files that cannot be read")
    return found


def _read_metric(path: Path, damage: dict[str, int]) -> runs.Series:
    """Return the points of a metric: a line each, with milliseconds, value and step."""
    columns: runs.Series = ([], [], [])
    try:
        text = _read(path, _LARGEST)
    except OSError:
        _count(damage, "files that cannot be read")
        return columns
    *lines, last = text.split("\n")
    if last:  # still being written, or cut off
        _count(damage, "lines that are cut off")
    for line in lines:
        words = line.split()
        try:
            when, value = int(words[0]) / 1000, float(words[1])
            step = int(words[2]) if len(words) > 2 else 0
        except (ValueError, ArithmeticError, IndexError):
            step = 1 << 64
        if not is_step(step):
            _count(damage, "damaged lines")
            continue
        columns[0].append(step)
        columns[1].append(value)
        columns[2].append(when)
    return columns


def _count(damage: dict[str, int], reason: str) -> None:
    damage[reason] = damage.get(reason, 0) + 1
