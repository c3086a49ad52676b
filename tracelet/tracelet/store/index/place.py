"""Where the index of a data folder may live: on a local disk that can be written."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tracelet.journal.writing.filesystem import SAFE, file_system

FOLDER: Final = "index"
# Where locks and shared memory are known to work between processes. Network file systems are not among them.
LOCAL: Final = SAFE | {"bcachefs", "ext2", "ext3", "f2fs", "jfs", "ramfs", "reiserfs", "zfs"}


def folders(data: Path, environ: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Yield the folders for the index of a data folder, the best one first, each made and writable."""
    for folder in _candidates(data, os.environ if environ is None else environ):
        if _is_local(folder) and _make(folder):
            yield folder


def _candidates(data: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    if data.is_dir():
        yield data / FOLDER
    name = hashlib.sha256(os.fsencode(os.path.realpath(data))).hexdigest()[:32]
    cache = user_cache(environ)
    if cache is not None:
        yield cache / FOLDER / name
    if hasattr(os, "geteuid"):
        yield Path(tempfile.gettempdir()) / f"tracelet-{os.geteuid()}" / FOLDER / name


def user_cache(environ: Mapping[str, str]) -> Path | None:
    """Return the user's folder of what tracelet may forget; ``None`` where the user has no home."""
    if base := environ.get("XDG_CACHE_HOME"):
        return Path(base) / "tracelet"
    if sys.platform == "win32" and (base := environ.get("LOCALAPPDATA")):
        return Path(base) / "tracelet" / "cache"
    home = environ.get("HOME") or os.path.expanduser("~")
    return None if home in ("", "~") else Path(home) / ".cache" / "tracelet"


def _is_local(folder: Path) -> bool:
    return not sys.platform.startswith("linux") or file_system(folder) in LOCAL


def _make(folder: Path) -> bool:
    """Make a folder that nobody else can read, and say whether it is ours and can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid() or os.geteuid() == 0
        return mine and not folder.is_symlink() and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False
