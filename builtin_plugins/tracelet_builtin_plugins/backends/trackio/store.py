"""Trackio's own SQLite store, through its storage class: without its server, threads or page."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.trackio import mapping
from tracelet_builtin_plugins.backends.trackio.mapping import Row
from tracelet_builtin_plugins.extras import import_extra

__all__ = ["MINIMUM", "LocalStore", "RunKey", "load_trackio"]

MINIMUM: Final = "0.43"
_DIR_VARIABLE: Final = "TRACKIO_DIR"

Config = dict[str, Any]


class RunKey:
    """What identifies a run at Trackio."""

    def __init__(self, project: str, run_id: str, name: str, started_at: float) -> None:
        self.project = project
        self.run_id = run_id
        self.name = name or run_id
        self.started_at = started_at

    @property
    def row_id(self) -> str:
        """The id of the empty row that makes a run visible before it has a metric."""
        return f"{self.run_id}:run"


def load_trackio(folder: Path | None) -> Any:
    """Import Trackio, which chooses its folder while it is imported, and return the class of its storage.

    Raises :class:`MissingExtraError` if it is not installed or too old, ``RuntimeError`` if this process has imported
    it before with another folder.
    """
    before = os.environ.get(_DIR_VARIABLE)
    try:
        if folder is not None and "trackio" not in sys.modules:
            os.environ[_DIR_VARIABLE] = str(folder)
        module = import_extra(
            "trackio.sqlite_storage", plugin="trackio", distribution="trackio", minimum=MINIMUM
        )
    finally:
        if before is None:
            os.environ.pop(_DIR_VARIABLE, None)
        else:
            os.environ[_DIR_VARIABLE] = before
    if folder is not None and Path(module.TRACKIO_DIR) != folder:
        raise RuntimeError(
            f"plugins.trackio.dir: expected {folder}, but this process uses Trackio with {module.TRACKIO_DIR};"
            " use isolation = 'process'"
        )
    return module.SQLiteStorage


class LocalStore:
    """Writes into Trackio's folder on this machine."""

    def __init__(self, folder: Path | None) -> None:
        """Import Trackio. Raises what :func:`load_trackio` raises."""
        self._storage = load_trackio(folder)
        # One connection stays open. Without it, SQLite would copy its log into the database after each batch, as
        # Trackio opens and closes a connection for each call.
        self._connection: sqlite3.Connection | None = None
        self._connected_to: tuple[Path, int] | None = None
        self._stored: dict[tuple[str, str], int] = {}  # the highest sequence stored, by table and writer

    def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._connected_to = None

    def where(self) -> str:
        """Return the folder, for people."""
        return str(self._storage.get_project_db_path("x").parent)

    def add_rows(self, run: RunKey, rows: Sequence[Row]) -> int:
        """Add rows of one kind, without what is stored already, and return how many values were new."""
        if not rows:
            return 0
        is_system = rows[0].is_system
        table = "system_metrics" if is_system else "metrics"
        fresh = mapping.without(rows, self._known(run.project, table, rows))
        if fresh:
            given: dict[str, Any] = {
                "metrics_list": [row.metrics() for row in fresh],
                "timestamps": [mapping.iso_time(row.timestamp) for row in fresh],
                "log_ids": [mapping.log_id(row) for row in fresh],
            }
            with storage_errors():
                if is_system:
                    self._storage.bulk_log_system(run.project, run.name, run_id=run.run_id, **given)
                else:
                    steps = [row.step or 0 for row in fresh]
                    self._storage.bulk_log(run.project, run.name, run_id=run.run_id, steps=steps, **given)
        for row in rows:
            if row.sequence > self._stored.get((table, row.writer), -1):
                self._stored[table, row.writer] = row.sequence
        return sum(len(row.values) for row in fresh)

    def _known(self, project: str, table: str, rows: Sequence[Row]) -> dict[tuple[str, int], set[int]]:
        """Return what is stored of records in the range of these rows."""
        ranges: dict[str, tuple[int, int]] = {}
        for row in rows:
            first, last = ranges.get(row.writer, (row.sequence, row.sequence))
            ranges[row.writer] = min(first, row.sequence), max(last, row.sequence)
        ids: list[str] = []
        for writer, (first, last) in ranges.items():
            if first > self._stored.get((table, writer), last):
                continue  # after everything that this process has stored
            limits = f"{writer}:{first:016d}:", f"{writer}:{last:016d}:~"
            query = f"SELECT log_id FROM {table} WHERE log_id BETWEEN ? AND ?"
            ids += [found for (found,) in self._select(project, query, limits)]
        return mapping.indexes_of(ids)

    def _select(self, project: str, query: str, values: Sequence[Any]) -> list[Any]:
        path = self._storage.get_project_db_path(project)
        if not path.exists():
            return []
        with storage_errors():
            try:
                return self._connect(path).execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error) or "no such column" in str(error):
                    return []  # a database that Trackio has just begun
                raise

    def _connect(self, path: Path) -> sqlite3.Connection:
        """Return the connection to a database; a new one if its file was replaced."""
        found = path.stat().st_ino
        if self._connection is None or self._connected_to != (path, found):
            self.close()
            self._connection = sqlite3.connect(
                path, timeout=10, check_same_thread=False, isolation_level=None
            )
            self._connected_to = path, found
        return self._connection

    def add_value(
        self, run: RunKey, key: str, value: Any, step: int, when: float, log_id: str | None
    ) -> None:
        """Add a row with one medium."""
        with storage_errors():
            self._storage.bulk_log(
                run.project,
                run.name,
                [{key: value}],
                steps=[step],
                timestamps=[mapping.iso_time(when)],
                log_ids=[log_id],
                run_id=run.run_id,
            )

    def update_config(self, run: RunKey, change: Callable[[Config], None]) -> None:
        """Change the run's config."""
        before = self._config(run)
        config = json.loads(json.dumps(before))
        change(config)
        if config == before:
            return
        with storage_errors():
            self._storage.bulk_log(
                run.project,
                run.name,
                [{}],
                steps=[0],
                timestamps=[mapping.iso_time(run.started_at)],
                config=config,
                log_ids=[run.row_id],
                run_id=run.run_id,
            )

    def _config(self, run: RunKey) -> Config:
        rows = self._select(run.project, "SELECT config FROM configs WHERE run_id = ?", [run.run_id])
        config = json.loads(rows[0][0]) if rows else {}
        return config if isinstance(config, dict) else {}

    def find_name(self, run: RunKey) -> str | None:
        """Return the name under which a run is stored."""
        query = "SELECT run_name FROM metrics WHERE run_id = ? ORDER BY id LIMIT 1"
        rows = self._select(run.project, query, [run.run_id])
        return str(rows[0][0]) if rows else None

    def rename(self, run: RunKey, name: str) -> None:
        """Rename a run that is stored."""
        with storage_errors():
            self._storage.rename_run(run.project, run.name, name, run_id=run.run_id)

    def add_file(self, run: RunKey, path: Path, name: str) -> str:
        """Copy a medium's file, and return its path in Trackio's media folder."""
        from importlib import import_module

        media_dir = Path(import_module("trackio.utils").MEDIA_DIR)
        relative = Path(run.project, mapping.folder_of(run.run_id), name)
        target = media_dir / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        shutil.copyfile(path, part)
        os.replace(part, target)
        return relative.as_posix()

    def add_artifact(self, run: RunKey, path: Path, target: str, kind: str) -> None:
        """Store a file or folder as an artifact. The same content again is the same version."""
        artifact = make_artifact(path, target, kind)
        if artifact is None:
            return
        with storage_errors():
            self._storage.commit_artifact_version(
                project=run.project,
                name=artifact.name,
                type=kind,
                description=target,
                manifest=artifact._build_manifest(run.project),
                metadata=None,
                aliases=None,
                run_name=run.name,
                run_id=run.run_id,
            )


def make_artifact(path: Path, target: str, kind: str) -> Any:
    """Return Trackio's artifact for a file or folder; ``None`` for a folder without files, which it cannot hold."""
    from importlib import import_module

    artifact = import_module("trackio.artifact").Artifact(name=mapping.artifact_name(target), type=kind)
    if not path.is_dir():
        artifact.add_file(path, target)
        return artifact
    files = sorted(each for each in path.rglob("*") if each.is_file())
    for each in files:
        artifact.add_file(each, f"{target}/{each.relative_to(path).as_posix()}")
    return artifact if files else None


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise a locked database or a full disk as ``OSError``: it passes, and the batch is tried again."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"Trackio's database: {error}") from error
