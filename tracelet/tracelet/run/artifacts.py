"""Copying files and folders into a run, with size and SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tracelet.errors import UsageError
from tracelet.run.folder import private_file

_CHUNK: Final = 1 << 20  # bytes read at a time


def copy_artifact(source: Path, run_dir: Path, artifact_path: str | None) -> dict[str, Any]:
    """Copy a file or folder under the run's ``artifacts`` and return its record.

    ``artifact_path`` is the folder among the artifacts that it goes into (the top, when left out).
    Raises :class:`UsageError` for a source that is not there and for a path that leads outside.
    """
    if not source.exists():
        raise UsageError(f"log_artifact: expected a file or folder, found nothing at {source}")
    target = PurePosixPath("artifacts") / check_inside(artifact_path) / source.resolve().name
    files = [
        {"path": str(target / inner) if inner else str(target), **_copy(file, run_dir / target / inner)}
        for file, inner in _files(source)
    ]
    return {
        "path": str(target),
        "artifact_path": artifact_path,
        "name": source.resolve().name,
        "files": files,
    }


def check_inside(artifact_path: str | None) -> PurePosixPath:
    """Return a relative path below the artifacts."""
    path = PurePosixPath((artifact_path or "").replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(
            f"artifact_path: expected a relative path below the run's artifacts, found {artifact_path!r}"
        )
    return path


def _files(source: Path) -> Iterator[tuple[Path, str]]:
    if source.is_file():
        yield source, ""
        return
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file():
                yield file, file.relative_to(source).as_posix()


def _copy(source: Path, target: Path) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    part = target.with_name(target.name + ".part")
    with open(source, "rb") as reading, os.fdopen(private_file(part), "wb") as writing:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            writing.write(chunk)
    os.replace(part, target)
    return {"size": size, "sha256": digest.hexdigest()}


def describe_file(file: Path, run_dir: Path) -> dict[str, Any]:
    """Return the record of a file that is already under the run's folder."""
    data = file.read_bytes()
    relative = file.relative_to(run_dir).as_posix()
    return {"path": relative, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
