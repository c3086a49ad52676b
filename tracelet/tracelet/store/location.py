"""Where recorded runs live: the data folder, and the runs in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tracelet.errors import StoreError

DATA_FOLDER: Final = ".tracelet"
RUNS_FOLDER: Final = "runs"


def data_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """Return the data folder meant by a path: itself, or the one of the project that it holds.

    Without a path it is where the program being run records: ``TRACELET_DIR``, or what the project of its script
    says, else that of the current folder; it need not exist yet. Raises :class:`StoreError` for a path that leads
    nowhere.
    """
    if given is None:
        from tracelet.config import program_config, program_file

        return program_config(program_file(), {}).dir
    path = Path(given).expanduser().absolute()
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise StoreError(
            f"store: expected a {DATA_FOLDER} folder or a project with one, found {found} at {path}"
        )
    return _resolve(path)


def _resolve(path: Path) -> Path:
    if path.name == DATA_FOLDER:
        return path
    if (path / DATA_FOLDER).is_dir():
        return path / DATA_FOLDER
    if not (path / RUNS_FOLDER).is_dir() and (configured := _configured(path)) is not None:
        return configured
    return path


def _configured(project: Path) -> Path | None:
    from tracelet.config import load_config
    from tracelet.config.project import project_file

    return load_config(root=project).dir if project_file(project) is not None else None


def run_ids(data: Path) -> list[str]:
    """Return the ids of all runs, sorted; none where the data folder is not there. Each is a folder's name."""
    try:
        with os.scandir(data / RUNS_FOLDER) as entries:
            return sorted(entry.name for entry in entries if _is_run(entry))
    except (FileNotFoundError, NotADirectoryError):
        return []


def has_runs(data: Path) -> bool:
    """Say whether there is any run."""
    try:
        with os.scandir(data / RUNS_FOLDER) as entries:
            return any(map(_is_run, entries))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_run(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:  # a link to what cannot be reached
        return False
