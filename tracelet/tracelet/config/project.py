"""Where a project is, and where configuration is on disk."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

PROJECT_FILE: Final = "tracelet.toml"
PYPROJECT: Final = "pyproject.toml"
_HEADER: Final = rb"(?m)^\s*\[+\s*tool\s*\.\s*tracelet\b"


def absolute(path: str, base: Path | None = None) -> Path:
    """Return a configured path, ``~`` resolved, as seen from ``base`` (the current folder)."""
    expanded = os.path.expanduser(path)
    return Path(expanded) if os.path.isabs(expanded) else Path(base or Path.cwd(), expanded)


def find_root(start: str | Path | None = None) -> Path:
    """Return the project root for a script, a folder or the current one.

    The root is the nearest ancestor with a ``tracelet.toml`` or a ``[tool.tracelet]`` table in its
    ``pyproject.toml``; where there is none, the nearest with any ``pyproject.toml``, then with ``.git``, then
    the folder itself.
    """
    folder = Path(os.path.abspath(start if start is not None else Path.cwd()))
    if folder.is_file():
        folder = folder.parent
    ancestors = [folder, *folder.parents]
    for marks in (project_file, _has_pyproject, _has_git):
        for ancestor in ancestors:
            if marks(ancestor):
                return ancestor
    return folder


def _has_pyproject(folder: Path) -> bool:
    return (folder / PYPROJECT).is_file()


def _has_git(folder: Path) -> bool:
    return (folder / ".git").exists()


def project_file(folder: Path) -> Path | None:
    """Return the file in ``folder`` that configures tracelet: ``tracelet.toml`` before ``pyproject.toml``."""
    own, shared = folder / PROJECT_FILE, folder / PYPROJECT
    if own.is_file():
        return own
    return shared if _mentions_tracelet(shared) else None


def _mentions_tracelet(pyproject: Path) -> bool:
    """Say whether the file has a ``[tool.tracelet]`` table, or seems to where it cannot be parsed."""
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
    """Return the user's folder of tracelet's configuration; ``None`` where the user has no home."""
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
