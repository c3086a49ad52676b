"""Folders for the index of a data folder: on a local disk, writable, and not readable by others."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tracelet.journal.writing.filesystem import SAFE, file_system
from tracelet.layout import DATA_FOLDER, RUNS_FOLDER

FOLDER: Final = "index"
# File systems on which locks and shared memory are known to work between processes. Network ones are not.
LOCAL: Final = SAFE | {"bcachefs", "ext2", "ext3", "f2fs", "jfs", "ramfs", "reiserfs", "zfs"}


def index_folders(data: Path, environ: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Yield the folders for the index of a data folder, the best one first, each made and writable."""
    for folder in _candidates(data, os.environ if environ is None else environ):
        if _is_local(folder) and make_private_folder(folder):
            yield folder


def _candidates(data: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    if data.name == DATA_FOLDER or (data / RUNS_FOLDER).is_dir():  # not in the folder of a single run
        yield data / FOLDER
    name = hashlib.sha256(os.fsencode(os.path.realpath(data))).hexdigest()[:32]
    for folder in private_folders(environ):
        yield folder / FOLDER / name


def private_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders for files of this user that tracelet can do without, the best one first."""
    cache = user_cache(environ)
    if cache is not None:
        yield cache
    if hasattr(os, "geteuid"):
        yield Path(tempfile.gettempdir()) / f"tracelet-{os.geteuid()}"


def user_cache(environ: Mapping[str, str]) -> Path | None:
    """Return tracelet's folder in the user's cache; ``None`` if the user has no home."""
    if base := environ.get("XDG_CACHE_HOME"):
        return Path(base) / "tracelet"
    if sys.platform == "win32" and (base := environ.get("LOCALAPPDATA")):
        return Path(base) / "tracelet" / "cache"
    home = environ.get("HOME") or os.path.expanduser("~")
    return None if home in ("", "~") else Path(home) / ".cache" / "tracelet"


def _is_local(folder: Path) -> bool:
    return not sys.platform.startswith("linux") or file_system(folder) in LOCAL


def make_private_folder(folder: Path) -> bool:
    """Create a folder that only this user can read, and return whether it is this user's and can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid() or os.geteuid() == 0
        return mine and not folder.is_symlink() and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False
