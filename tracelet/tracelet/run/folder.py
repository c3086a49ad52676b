"""Run ids, and folders that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Final

from tracelet.config.settings import RUN_ID, RUN_ID_FORM
from tracelet.errors import UsageError
from tracelet.layout import runs_folder
from tracelet.logs import get_logger

log = get_logger("tracelet.run")

_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz023456789"  # without letters and digits that look alike


def new_run_id() -> str:
    """Return an id that sorts by time (UTC) and that no other run has: ``20261123-065801-k3x9qd``."""
    tail = "".join(_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(6))
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + tail


def check_run_id(run_id: str) -> str:
    """Return the id, or raise :class:`UsageError`: it names a folder."""
    if not re.fullmatch(RUN_ID, run_id):
        raise UsageError(f"run_id: expected {RUN_ID_FORM}, found {run_id!r}")
    return run_id


def make_data_folder(data: Path) -> None:
    """Create the data folder, private and ignored by git."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    runs_folder(data).mkdir(mode=0o700, exist_ok=True)
    ignore = data / ".gitignore"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # follows no link, not even one that leads nowhere
    with contextlib.suppress(FileExistsError), open(os.open(ignore, flags, 0o600), "wb") as file:
        file.write(b"# Written by tracelet: what runs record is not source code.\n*\n")


def make_run_folder(data: Path, run_id: str) -> Path:
    """Create a run's folder, private. It exists already if another process of the same run came first.

    If it cannot be created, the training goes on: the journal counts what it cannot write, and tries again.

    Raises:
        UsageError: a symbolic link is in its place.
    """
    folder = runs_folder(data) / run_id
    if folder.is_symlink():
        raise UsageError(
            f"{folder}: expected the folder of a run, found a symbolic link to {os.path.realpath(folder)}, through"
            " which nothing is written; replace it by that folder"
        )
    try:
        make_data_folder(data)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        log.error(
            "%s: cannot create the run's folder (%s); fix that or set TRACELET_DIR", folder, error.strerror
        )
    return folder
