"""``tracelet_plugins.py``: where such files stand, and whether a plugin file may be trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FILE_NAME: Final = "tracelet_plugins.py"


def project_files(root: Path, script_dir: Path) -> list[Path]:
    """Return the plugin files from the project root down to the script's folder, outermost first.

    A script outside the root has only the root's own file and the one beside it.
    """
    root, script_dir = root.resolve(), script_dir.resolve()
    folders = [script_dir, *script_dir.parents]
    chain = folders[: folders.index(root) + 1] if root in folders else [script_dir, root]
    return [file for folder in reversed(chain) if (file := folder / FILE_NAME).is_file()]


def refusal(file: Path, root: Path | None = None, program: Path | None = None) -> str | None:
    """Say why a plugin file must not be run, with the remedy, or ``None`` when it may be.

    Refused is a file that everybody may write to, one below such a folder (between it and the root), and one
    whose owner is neither the user, nor root, nor the owner of the program being run: running it would run
    another user's code. Only where the platform has owners and modes.
    """
    if not hasattr(os, "geteuid"):
        return None
    try:
        status = file.stat()
    except OSError as error:
        return f"{file}: cannot be examined ({error.strerror}); make it readable"
    if status.st_mode & stat.S_IWOTH:
        return f"{file}: refused, since everybody may write to it; run: chmod o-w {file}"
    for folder in _folders_below(root, file):
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return (
                f"{file}: refused, since everybody may write to its folder {folder}; run: chmod o-w {folder}"
            )
    return _wrong_owner(file, status.st_uid, program)


def _folders_below(root: Path | None, file: Path) -> Iterator[Path]:
    folders = file.resolve().parents
    if root is None or root.resolve() not in folders:
        yield folders[0]
        return
    for folder in folders:
        if folder == root.resolve():
            return
        yield folder


def _wrong_owner(file: Path, owner: int, program: Path | None) -> str | None:
    trusted = {os.geteuid(), 0}
    if program is not None and program.exists():
        trusted.add(program.stat().st_uid)
    if owner in trusted:
        return None
    return (
        f"{file}: refused, since it belongs to user {owner}, who is neither you ({os.geteuid()}), nor root,"
        f" nor the owner of the program; run: chown {os.geteuid()} {file}"
    )
