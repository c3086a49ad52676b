"""Make outlines in a process of its own: ``python -m tracelet.store.outlines DATA FOLDER RUN...``."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from tracelet.errors import TraceletError
from tracelet.store.outlines.building import build_outline
from tracelet.store.outlines.outline_file import outline_path
from tracelet.store.store import open_store


def main(data: str, folder: str, *runs: str) -> None:
    """Make the outlines of some runs, with the lowest priority; a run that cannot be read has none."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(15)
    store = open_store(data)
    for run in runs:
        with contextlib.suppress(OSError, ValueError, TraceletError):
            build_outline(store, run, outline_path(Path(folder), run))


if __name__ == "__main__":
    main(*sys.argv[1:])
