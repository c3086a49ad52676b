"""trackio, compared with ``trackio.log``: one call for each point, with ``finish`` at the end."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench_backends import Case


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Use a folder; neither side needs a server."""
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    import trackio

    done = [0]

    def store(points: list[tuple[str, float, int, float]]) -> None:
        done[0] += 1
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trackio.init(project="client", name=f"run{done[0]}", embed=False)
            for name, value, step, _ in points:
                trackio.log({name: value}, step=step)
            trackio.finish()

    def count() -> int:
        path = folder / "trackio" / "backend.db"
        if not path.exists():
            return 0
        with closing(sqlite3.connect(path)) as connection:
            [total] = connection.execute("SELECT count(*) FROM metrics WHERE metrics <> '{}'").fetchone()
        return int(total)

    yield Case("trackio", {"project": "backend"}, store, count)
