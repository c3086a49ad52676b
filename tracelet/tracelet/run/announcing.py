"""The one line that a program prints when it starts a run: where the run is, and how to see it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tracelet.run.current import current_cell
from tracelet.run.run import Run
from tracelet.run.stderr import print_line


def announce(run: Run) -> None:
    """Print where a run is, on a terminal or in a notebook, unless ``quiet`` is set.

    A pipe or a file gets nothing: another program may read it. ``quiet = false`` prints there, too.
    """
    quiet = run.config.settings.get("quiet")
    if quiet is None:
        quiet = not _is_watched()
    if not quiet and run.config.mode != "disabled" and (run.job is None or run.job.rank == 0):
        print_line(f"run {run.name} is recorded in {_short(run.dir)}; to see it: tracelet show {run.id}")


def _is_watched() -> bool:
    try:
        return current_cell() is not None or sys.stderr.isatty()
    except (AttributeError, ValueError, OSError):  # no stderr, or a closed one
        return False


def _short(path: Path) -> str:
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return str(path)
    return str(path) if relative.startswith("..") else relative
