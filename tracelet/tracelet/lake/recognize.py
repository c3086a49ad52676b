"""Whether a folder is a lake."""

from __future__ import annotations

import os
from pathlib import Path

from tracelet_hookspecs.lake_layout import RUNS


def is_lake(folder: Path) -> bool:
    """Return whether a folder on this machine is a lake: it has run documents, or partitions of projects."""
    return _has_projects(folder / RUNS) or _has_projects(folder)


def _has_projects(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.startswith("project=") and entry.is_dir() for entry in entries)
    except OSError:
        return False
