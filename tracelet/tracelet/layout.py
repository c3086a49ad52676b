"""The names of the folders that hold recorded runs, of the files in them, and of what processes hand on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DATA_FOLDER: Final = ".tracelet"  # at the project's root
TRASH_FOLDER: Final = "trash"  # in the data folder: deleted runs
SHIELD: Final = "TRACELET_SHIELD"  # the variable that names the packages whose place drop-ins have taken
RUNS_FOLDER: Final = "runs"  # in the data folder: one folder per run, named after its id
#: What a medium of type ``custom`` is, by the end of its file's name.
CUSTOM_MEDIA: Final = {
    ".table.json": "table",
    ".html": "html",
    ".confusion_matrix.json": "confusion_matrix",
    ".pr_curve.json": "pr_curve",
    ".roc_curve.json": "roc_curve",
}


def runs_folder(data: Path) -> Path:
    """Return the folder of all runs in a data folder."""
    return data / RUNS_FOLDER


def media_kind(media: str, path: str) -> str:
    """Return what kind of medium a file holds: ``"image"``, ``"table"``, ``"roc_curve"``, ...

    ``media`` is the name of the recorded :class:`MetricType`.
    """
    if media != "custom":
        return media
    return next((kind for suffix, kind in CUSTOM_MEDIA.items() if path.endswith(suffix)), media)


def media_type(kind: str) -> str:
    """Return the name of the :class:`MetricType` that a kind of medium is recorded as."""
    return "custom" if kind in CUSTOM_MEDIA.values() else kind
