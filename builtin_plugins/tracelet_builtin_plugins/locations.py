"""Where backends that write to the local disk put their files if the configuration gives a relative path."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["in_project", "project_folder"]

_DATA: Final = ".tracelet"  # the data folder at a project's root; a run's folder is DATA/runs/ID


def project_folder(run_dir: Path) -> Path:
    """Return the project's root: the folder of ``.tracelet``. A data folder of another name is its own root.

    It depends on the run's folder alone, so that a later ``tracelet sync`` finds the same place from any directory.
    """
    folder = run_dir.absolute()
    data = folder.parent.parent if len(folder.parents) > 1 else folder.parent
    return data.parent if data.name == _DATA else data


def in_project(path: str, run_dir: Path) -> Path:
    """Return a configured path; ``~`` is the home folder, and a relative path starts at the project's root."""
    given = Path(path).expanduser()
    return given if given.is_absolute() else project_folder(run_dir) / given
