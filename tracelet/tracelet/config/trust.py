"""Whether a file of plugins or configuration can be trusted: it must not be another user's.

A plugin file runs as the user who starts the program, and a configuration decides what runs and where data goes, so
both follow one rule. Git has the same one for repositories (``safe.directory``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SAFE_DIRECTORIES: Final = "TRACELET_SAFE_DIRECTORIES"
_reported: set[Path] = set()
_MOST_LINKS: Final = 40  # the longest chain of symbolic links, as in Linux


def refusal(file: Path, root: Path | None = None, program: Path | None = None) -> str | None:
    """Return why a file must not be used, with the remedy, or ``None`` if it can be trusted.

    Refused is a file that everybody can write to, a file in such a folder (its own or one between it and the root;
    the root itself is the user's responsibility), and a file whose owner is neither the user, nor root, nor the
    owner of the program being run: using it would run another user's code. The same holds for every symbolic link
    on the way to the file, and for the folder of bytecode next to it. Folders named in ``TRACELET_SAFE_DIRECTORIES``
    are trusted. Checked only on platforms with owners and modes.
    """
    if not hasattr(os, "geteuid"):
        return None
    file = Path(os.path.abspath(file))
    try:
        return None if _is_declared_safe(file) else next(_objections(file, root, program), None)
    except OSError as error:
        return f"{file}: refused, because {error.filename or file} cannot be examined ({error.strerror})"
    except RuntimeError:  # raised by Path.resolve before Python 3.13
        return f"{file}: refused, because its symbolic links lead in a circle"


def is_trusted(file: Path, program: Path | None = None) -> bool:
    """Return whether a configuration file can be trusted. One that cannot be is reported once, and ignored."""
    why = refusal(file, file.parent, program)
    if why is None:
        return True
    if file not in _reported:
        from tracelet.logs import get_logger

        _reported.add(file)
        get_logger("tracelet.config").warning("configuration is ignored: %s", why)
    return False


def _is_declared_safe(file: Path) -> bool:
    """Return whether the file and its target are in folders that the user declares safe."""
    declared = [
        each.strip() for each in os.environ.get(SAFE_DIRECTORIES, "").split(os.pathsep) if each.strip()
    ]
    if not declared:
        return False
    safe = [Path(each).expanduser().resolve() for each in declared if each != "*"]
    return "*" in declared or any(file.resolve().is_relative_to(each) for each in safe)


def _objections(file: Path, root: Path | None, program: Path | None) -> Iterator[str]:
    links, target = _links(file), file.resolve()
    if target.stat().st_mode & stat.S_IWOTH:
        yield f"{file}: refused, because everybody can write to it; run: chmod o-w {target}"
    trusted = _trusted_users(program)
    if file.suffix == ".py":
        yield from _objections_to_bytecode(file, target.parent / "__pycache__", trusted)
    for folder in dict.fromkeys(folder for each in (*links, target) for folder in _folders_below(root, each)):
        if _anybody_may_replace(folder):
            yield f"{file}: refused, because everybody can write to its folder {folder}; run: chmod o-w {folder}"
    for each in (*links, target):
        owner = each.lstat().st_uid
        if owner not in trusted:
            what = "it" if each == file else f"{each}, which it leads to,"
            yield (
                f"{file}: refused, because {what} belongs to user {owner}, who is neither you ({os.geteuid()}), nor"
                f" root, nor the owner of the program; if you trust it, run: chown -h {os.geteuid()} {each},"
                f" or set {SAFE_DIRECTORIES}={file.parent}"
            )


def _trusted_users(program: Path | None) -> set[int]:
    trusted = {os.geteuid(), 0}
    if program is not None and program.exists():
        trusted.add(program.stat().st_uid)
    if os.geteuid() == 0 and (user := os.environ.get("SUDO_UID", "")).isdigit():
        trusted.add(int(user))
    return trusted


def _links(file: Path) -> list[Path]:
    """Return the symbolic links on the way from a file to its target, the file itself first."""
    links: list[Path] = []
    while file.is_symlink() and len(links) < _MOST_LINKS:
        links.append(file)
        file = Path(os.path.abspath(file.parent / file.readlink()))
    return links


def _anybody_may_replace(folder: Path) -> bool:
    """Return whether everybody can replace files in a folder. With the sticky bit set, only their owners can."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _objections_to_bytecode(file: Path, cache: Path, trusted: set[int]) -> Iterator[str]:
    """Object to a folder of bytecode that others can write to: Python would run it in place of the source."""
    try:
        found = cache.lstat()
    except FileNotFoundError:
        return
    if found.st_uid not in trusted:
        yield (
            f"{file}: refused, because {cache}, whose bytecode Python would run, belongs to user {found.st_uid};"
            f" run: rm -r {cache}"
        )
    elif not stat.S_ISLNK(found.st_mode) and found.st_mode & stat.S_IWOTH:
        yield f"{file}: refused, because everybody can write to its folder {cache}; run: chmod o-w {cache}"


def _folders_below(root: Path | None, file: Path) -> Iterator[Path]:
    """Yield the folders between a file and the root; without a root, or outside of it, the file's own."""
    folders = file.parents
    if root is None or not {root.resolve(), Path(os.path.abspath(root))}.intersection(folders):
        yield folders[0]
        return
    for folder in folders:
        if folder in (root.resolve(), Path(os.path.abspath(root))):
            return
        yield folder
