"""MLflow's database in a SQLite file."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.mlflow.history import runs
from tracelet_builtin_plugins.sqlite_source import is_database, open_database, tables_of
from tracelet_hookspecs import ImportedRun

__all__ = ["is_store", "read_database"]

_TABLES: Final = {"experiments", "runs", "metrics", "params", "tags"}


def is_store(path: Path) -> bool:
    """Return whether a file is a database of MLflow."""
    if not is_database(path):
        return False
    try:
        with open_database(path) as connection:
            return tables_of(connection) >= _TABLES
    except sqlite3.Error:
        return False


def read_database(path: Path, root: Path) -> Iterator[ImportedRun]:
    """Yield all runs that were not deleted, those that began first before the others."""
    with open_database(path) as connection:
        names = dict(connection.execute("SELECT experiment_id, name FROM experiments").fetchall())
        columns = "run_uuid, experiment_id, name, status, start_time, end_time, artifact_uri"
        found = connection.execute(
            f"SELECT {columns} FROM runs WHERE lifecycle_stage != 'deleted' ORDER BY start_time, run_uuid"
        ).fetchall()
        for run_id, experiment, *about in found:
            yield _read_run(connection, str(run_id), str(names.get(experiment, experiment)), about, root)


def _read_run(
    connection: sqlite3.Connection, run_id: str, experiment: str, about: list[Any], root: Path
) -> ImportedRun:
    name, status, started, ended, uri = about
    damage: dict[str, int] = {}
    params, tags = (
        {
            str(key): str(value)
            for key, value in _select(connection, f"key, value FROM {kind}", run_id, damage)
        }
        for kind in ("params", "tags")
    )
    columns = "key, step, value, is_nan, timestamp FROM metrics"
    rows = sorted(_select(connection, columns, run_id, damage), key=_place)  # not by the damaged database
    points = (
        (str(key), step, math.nan if is_nan else value, when) for key, step, value, is_nan, when in rows
    )
    facts = {"name": name, "status": status, "start_time": started, "end_time": ended}
    run = runs.make_run(run_id, experiment, facts, params, tags, runs.as_series(points, damage))
    folder = runs.artifact_folder(str(uri), root) if uri else None
    if folder is not None:
        run.files = list(runs.find_artifacts(folder))
    elif uri:
        damage[runs.ELSEWHERE] = 1
    run.damage = damage
    return run


def _place(row: tuple[Any, ...]) -> tuple[str, float, float]:
    """Return what sorts points: by metric, then by time and step."""
    name, step, _, _, when = row
    numbers = (one if isinstance(one, (int, float)) else 0 for one in (when, step))
    return (str(name), *numbers)  # type: ignore[return-value]


def _select(
    connection: sqlite3.Connection, what: str, run_id: str, damage: dict[str, int]
) -> list[tuple[Any, ...]]:
    """Return the rows of a run that can be read."""
    rows: list[tuple[Any, ...]] = []
    try:
        rows.extend(connection.execute(f"SELECT {what} WHERE run_uuid = ?", (run_id,)))
    except sqlite3.DatabaseError:
        damage[runs.DAMAGED] = damage.get(runs.DAMAGED, 0) + 1
    return rows
