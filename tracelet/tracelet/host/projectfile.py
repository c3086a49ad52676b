"""``tracelet_plugins.py``: where such files are found, and whether a plugin file can be trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FILE_NAME: Final = "tracelet_plugins.py"


def project_files(root: Path, script_dir: Path) -> list[Path]:
    """Return the plugin files from the project root down to the script's folder, outermost first.

    For a script outside the root these are the root's own file and the one in the script's folder.
    """
    root, script_dir = root.resolve(), script_dir.resolve()
    folders = [script_dir, *script_dir.parents]
    chain = folders[: folders.index(root) + 1] if root in folders else [script_dir, root]
    return [file for folder in reversed(chain) if (file := folder / FILE_NAME).is_file()]


def refusal(file: Path, root: Path | None = None, program: Path | None = None) -> str | None:
    """Return why a plugin file must not be run, with the remedy, or ``None`` if it can be trusted.

    Refused is a file that everybody can write to, a file in such a folder (its own or one between it and the root;
    the root itself is the user's responsibility), and a file whose owner is neither the user, nor root, nor the
    owner of the program being run: running it would run another user's code. For a symbolic link, both the link and
    its target must pass. Checked only on platforms with owners and modes.
    """
    if not hasattr(os, "geteuid"):
        return None
    try:
        return next(_objections(file, root, program), None)
    except OSError as error:
        return f"{file}: refused, because {error.filename or file} cannot be examined ({error.strerror})"


def _objections(file: Path, root: Path | None, program: Path | None) -> Iterator[str]:
    link, target = Path(os.path.abspath(file)), file.resolve()
    if target.stat().st_mode & stat.S_IWOTH:
        yield f"{file}: refused, because everybody can write to it; run: chmod o-w {target}"
    for folder in dict.fromkeys([*_folders_below(root, link), *_folders_below(root, target)]):
        if _anybody_may_replace(folder):
            yield f"{file}: refused, because everybody can write to its folder {folder}; run: chmod o-w {folder}"
    trusted = {os.geteuid(), 0}
    if program is not None and program.exists():
        trusted.add(program.stat().st_uid)
    for owner in (link.lstat().st_uid, target.stat().st_uid):
        if owner not in trusted:
            yield (
                f"{file}: refused, because it belongs to user {owner}, who is neither you ({os.geteuid()}), nor"
                f" root, nor the owner of the program; if you trust it, run: chown {os.geteuid()} {target}"
            )


def _anybody_may_replace(folder: Path) -> bool:
    """Return whether everybody can replace files in a folder. With the sticky bit set, only their owners can."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _folders_below(root: Path | None, file: Path) -> Iterator[Path]:
    """Yield the folders between a file and the root, and the cache whose bytecode Python would run instead."""
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
