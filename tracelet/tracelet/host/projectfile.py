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

    Refused is a file that everybody may write to, one that stands in such a folder (its own or one between it
    and the root; the root itself is the user's to judge), and one whose owner is neither the user, nor root, nor
    the owner of the program being run: running it would run another user's code. Of a symbolic link, both the
    link and what it leads to have to pass. Only where the platform has owners and modes.
    """
    if not hasattr(os, "geteuid"):
        return None
    try:
        return next(_objections(file, root, program), None)
    except OSError as error:
        return f"{file}: refused, since {error.filename or file} cannot be examined ({error.strerror})"


def _objections(file: Path, root: Path | None, program: Path | None) -> Iterator[str]:
    link, target = Path(os.path.abspath(file)), file.resolve()
    if target.stat().st_mode & stat.S_IWOTH:
        yield f"{file}: refused, since everybody may write to it; run: chmod o-w {target}"
    for folder in dict.fromkeys([*_folders_below(root, link), *_folders_below(root, target)]):
        if _anybody_may_replace(folder):
            yield f"{file}: refused, since everybody may write to its folder {folder}; run: chmod o-w {folder}"
    trusted = {os.geteuid(), 0}
    if program is not None and program.exists():
        trusted.add(program.stat().st_uid)
    for owner in (link.lstat().st_uid, target.stat().st_uid):
        if owner not in trusted:
            yield (
                f"{file}: refused, since it belongs to user {owner}, who is neither you ({os.geteuid()}), nor"
                f" root, nor the owner of the program; if you trust it, run: chown {os.geteuid()} {target}"
            )


def _anybody_may_replace(folder: Path) -> bool:
    """Whether everybody may put another file in a file's place; where the sticky bit is set, only owners may."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _folders_below(root: Path | None, file: Path) -> Iterator[Path]:
    """Yield the folders between a file and the root, and what Python would run in the file's place."""
    folders = file.parents
    cache = folders[0] / "__pycache__"
    if cache.is_dir():
        yield cache
    if root is None or not {root.resolve(), Path(os.path.abspath(root))}.intersection(folders):
        yield folders[0]
        return
    for folder in folders:
        if folder in (root.resolve(), Path(os.path.abspath(root))):
            return
        yield folder
