"""The names of the folders that hold recorded runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DATA_FOLDER: Final = ".tracelet"  # at the project's root
RUNS_FOLDER: Final = "runs"  # in the data folder: one folder per run, named after its id


def runs_folder(data: Path) -> Path:
    """Return the folder of all runs in a data folder."""
    return data / RUNS_FOLDER
