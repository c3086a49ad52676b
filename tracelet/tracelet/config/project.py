"""The locations of projects and configuration files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tracelet.config.trust import is_trusted
from tracelet.errors import UsageError

PROJECT_FILE: Final = "tracelet.toml"
PYPROJECT: Final = "pyproject.toml"
_HEADER: Final = rb"(?m)^\s*\[+\s*tool\s*\.\s*tracelet\b"


def absolute(path: str, base: Path | None = None) -> Path:
    """Return a configured path, ``~`` resolved, as seen from ``base`` (the current folder)."""
    expanded = os.path.expanduser(path)
    return Path(expanded) if os.path.isabs(expanded) else Path(base or current_folder(), expanded)


def current_folder() -> Path:
    """Return the current folder. Raises :class:`UsageError` if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "the current folder was deleted; change to another one, or run a script that is in a project"
        ) from None


def find_root(start: str | Path | None = None, *, program: Path | None = None) -> Path:
    """Return the project root for a script, a folder or the current one.

    The root is the nearest ancestor with a ``tracelet.toml`` or a ``[tool.tracelet]`` table in its
    ``pyproject.toml``; otherwise the nearest with any ``pyproject.toml``, then with ``.git``, then the folder
    itself. Another user's configuration is ignored, unless that user also owns ``program`` (or the script).
    """
    folder = Path(os.path.abspath(start if start is not None else current_folder()))
    if folder.is_file():
        folder, program = folder.parent, program or folder
    ancestors = [folder, *folder.parents]
    configured = (each for each in ancestors if project_file(each, program))
    plain = (each for has_mark in (_has_pyproject, _has_git) for each in ancestors if has_mark(each))
    return next(configured, None) or next(plain, folder)


def _has_pyproject(folder: Path) -> bool:
    return (folder / PYPROJECT).is_file()


def _has_git(folder: Path) -> bool:
    return (folder / ".git").exists()


def project_file(folder: Path, program: Path | None = None) -> Path | None:
    """Return the file in ``folder`` that configures tracelet: ``tracelet.toml`` before ``pyproject.toml``.

    Another user's file is ignored, unless that user also owns the program.
    """
    own, shared = folder / PROJECT_FILE, folder / PYPROJECT
    if own.is_file() and is_trusted(own, program):
        return own
    return shared if _mentions_tracelet(shared) and is_trusted(shared, program) else None


def shadowed_file(file: Path | None) -> Path | None:
    """Return the ``pyproject.toml`` whose table does not count because of the ``tracelet.toml`` next to it."""
    if file is None or file.name != PROJECT_FILE:
        return None
    shared = file.parent / PYPROJECT
    return shared if _mentions_tracelet(shared) else None


def _mentions_tracelet(pyproject: Path) -> bool:
    """Return whether the file has a ``[tool.tracelet]`` table, or seems to if it cannot be parsed."""
    try:
        data = pyproject.read_bytes()
    except OSError:
        return False
    if b"tracelet" not in data:
        return False
    try:
        tool = parse_toml(data.decode("utf-8-sig")).get("tool", {})
    except ValueError:
        return re.search(_HEADER, data) is not None
    return isinstance(tool, dict) and "tracelet" in tool


def user_config_dir(environ: Mapping[str, str]) -> Path | None:
    """Return the user's folder of tracelet's configuration; ``None`` if the user has no home."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if sys.platform == "win32" and not base:
        base = environ.get("APPDATA", "")
    if os.path.isabs(base):
        return Path(base, "tracelet")
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(home, ".config", "tracelet") if os.path.isabs(home) else None


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML; ``ValueError`` for anything else."""
    # By name, since a type checker that assumes one Python would miss the other's module.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    values: dict[str, Any] = toml.loads(text)
    return values
