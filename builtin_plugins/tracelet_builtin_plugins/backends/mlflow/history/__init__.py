"""Runs of MLflow: from a folder store, a SQLite file or a server, read without MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tracelet_builtin_plugins.backends.mlflow.history import database, folders, server
from tracelet_hookspecs import ImportedRun

__all__ = ["import_mlflow"]


def import_mlflow(source: str) -> Iterator[ImportedRun] | None:
    """Return the runs of a store, ``None`` if it is none of MLflow's."""
    if source.startswith(("http://", "https://")):
        return server.read_server(source)
    path = Path(source.removeprefix("sqlite:///").removeprefix("file://"))
    if path.is_file():
        return database.read_database(path, path.absolute().parent) if database.is_store(path) else None
    several = [folder for folder in (path, path / "mlruns") if folders.is_store(folder)]
    files = (
        [file for file in sorted(path.glob("*.db"))[:100] if database.is_store(file)] if path.is_dir() else []
    )
    if not several and not files:
        return None
    return _read_all(path, several, files)


def _read_all(root: Path, several: list[Path], files: list[Path]) -> Iterator[ImportedRun]:
    for file in files:
        yield from database.read_database(file, root.absolute())
    for folder in several:
        yield from folders.read_folder(folder, root.absolute())
