"""The configuration that a program runs under: that of the project which the program is part of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.config.files import find_root
from tracelet.config.loading import load_config
from tracelet.config.model import Config

_MARKS: Final = ("tracelet.toml", "pyproject.toml", ".git")
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


def program_file() -> Path | None:
    """Return the file of the program being run, or ``None`` in an interactive session."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).resolve() if file else None


def program_config(program: Path | None, overrides: Mapping[str, Any], **more: Any) -> Config:
    """Load the configuration that a program runs under; ``more`` is what :func:`load_config` takes.

    The project is the script's. A script that stands in no project at all, and a tool that is installed (a test
    runner, a notebook server), belong to the current folder's.
    """
    root = find_root(program.parent) if program is not None and not _is_installed(program) else find_root()
    if not any((root / mark).exists() for mark in _MARKS):
        root = find_root()
    return load_config(program, root=root, overrides=overrides, **more)


def _is_installed(program: Path) -> bool:
    return not _INSTALLED.isdisjoint(program.parts) or program.parent == Path(sys.executable).parent
