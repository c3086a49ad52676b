"""Runs in Trackio's databases, read without Trackio."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.history_values import HistoryValues
from tracelet_builtin_plugins.numbers import is_step
from tracelet_builtin_plugins.sqlite_source import columns_of, is_database, open_database, tables_of
from tracelet_hookspecs import ImportedFile, ImportedRun

__all__ = ["import_trackio"]

_FLOATS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_KINDS: Final = {"trackio.image": "image", "trackio.video": "video", "trackio.audio": "audio"}
_ROWS: Final = 50_000  # of one part
_MOST_FILES: Final = 10_000
_WRONG: Final = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)
DAMAGED: Final = "damaged records"


def import_trackio(source: str) -> Iterator[ImportedRun] | None:
    """Return the runs in a database or in a folder with databases, ``None`` if there is none of Trackio's."""
    path = Path(source)
    files = [path] if path.is_file() else sorted(path.glob("*.db"))[:_MOST_FILES] if path.is_dir() else []
    stores = [file for file in files if not file.is_symlink() and _is_store(file)]
    if not stores:
        return None
    return (run for store in stores for run in _read_database(store))


def _is_store(path: Path) -> bool:
    if not is_database(path):
        return False
    try:
        with open_database(path) as connection:
            if "metrics" not in tables_of(connection):
                return False
            return columns_of(connection, "metrics") >= {"run_name", "step", "metrics", "timestamp"}
    except sqlite3.Error:
        return False


def _read_database(path: Path) -> Iterator[ImportedRun]:
    with open_database(path) as connection:
        has_ids = "run_id" in columns_of(connection, "metrics")
        tables = tables_of(connection)
        which = "run_id" if has_ids else "run_name"
        several: list[str] = [table for table in ("configs", "metrics", "system_metrics") if table in tables]
        query = " UNION ".join(f"SELECT {which}, run_name FROM {table}" for table in several)
        names = {str(key): str(name) for key, name in connection.execute(query)}
        for key, name in names.items():
            run = TrackioRun(path, key if has_ids else f"{path.stem}/{name}", name)
            yield from run.read(connection, which, key, several)


class TrackioRun:
    """One run of a project."""

    def __init__(self, path: Path, key: str, name: str) -> None:
        self._media = path.parent / "media"
        self._about: dict[str, Any] = {"key": key, "name": name, "project": path.stem}
        self._values = HistoryValues("trackio")
        self._files: list[ImportedFile] = []

    def read(
        self, connection: sqlite3.Connection, which: str, key: str, tables: list[str]
    ) -> Iterator[ImportedRun]:
        """Yield the run, in several parts if it is long."""
        try:
            if "configs" in tables:
                for (config,) in connection.execute(f"SELECT config FROM configs WHERE {which} = ?", (key,)):
                    self._take_config(config)
            for table in tables:
                if table != "configs":
                    yield from self._read_rows(connection, table, which, key)
        except sqlite3.DatabaseError:
            self._values.count(DAMAGED)
        part = self._part()
        part.files = [*part.files, *self._values.tables()]
        yield part

    def _read_rows(
        self, connection: sqlite3.Connection, table: str, which: str, key: str
    ) -> Iterator[ImportedRun]:
        is_system = table == "system_metrics"
        step = "NULL" if is_system else "step"
        rows = connection.execute(
            f"SELECT {step}, timestamp, metrics FROM {table} WHERE {which} = ? ORDER BY id", (key,)
        )
        for number, (step, when, metrics) in enumerate(rows):
            try:
                at = number if is_system else int(step)
                if not is_step(at):
                    raise ValueError("a step beyond 64 bits")
                for name, value in _parse(metrics).items():
                    self._take(name, value, at, _seconds(when), is_system=is_system)
            except _WRONG:
                self._values.count(DAMAGED)
            if number % _ROWS == _ROWS - 1:
                yield self._part()

    def _part(self) -> ImportedRun:
        values = self._values
        part = ImportedRun(
            points=values.take_points(), files=self._files, damage=values.take_damage(), **self._about
        )
        self._files = []
        return part

    def _take_config(self, text: Any) -> None:
        try:
            config = _parse(text)
        except _WRONG:
            self._values.count(DAMAGED)
            return
        self._about["params"] = {key: value for key, value in config.items() if not key.startswith("_")}
        if config.get("_Group"):
            self._about["group"] = str(config["_Group"])
        if config.get("_Username"):
            self._about["facts"] = {"user": str(config["_Username"])}
        if isinstance(created := config.get("_Created"), str):
            self._about["started_at"] = _seconds(created)

    def _take(self, name: str, value: Any, step: int, when: float, *, is_system: bool) -> None:
        if isinstance(value, str) and value in _FLOATS:
            value = _FLOATS[value]
        if isinstance(value, (int, float)):  # truth values, too
            self._values.add(name, step, value, when, is_system=is_system)
        elif isinstance(value, dict) and str(value.get("_type", "")).startswith("trackio."):
            self._take_medium(name, value, {"step": step, "timestamp": when})
        elif isinstance(value, dict):
            for key, inner in value.items():
                self._take(f"{name}/{key}", inner, step, when, is_system=is_system)
        elif value is not None:
            self._values.add_text(name, step, value)

    def _take_medium(self, name: str, value: dict[str, Any], about: dict[str, Any]) -> None:
        kind = value["_type"]
        if kind in _KINDS and "file_path" in value:
            path = str(self._media / str(value["file_path"]))
            self._files.append(ImportedFile(name, path=path, kind=_KINDS[kind], **about))
        elif kind == "trackio.table" and isinstance(value.get("_value"), list):
            rows = value["_value"]
            columns = list(dict.fromkeys(key for row in rows for key in row))
            content: dict[str, Any] = {
                "columns": columns,
                "rows": [[row.get(column) for column in columns] for row in rows],
            }
            data = json.dumps(content).encode()
            self._files.append(ImportedFile(name, data=data, kind="table", suffix=".table.json", **about))
        elif kind == "trackio.markdown" and "_value" in value:
            data = str(value["_value"]).encode("utf-8", "replace")
            self._files.append(ImportedFile(name, data=data, kind="text", suffix=".txt", **about))
        elif kind == "trackio.histogram" and "bins" in value:
            counts = [int(count) for count in value["values"]]
            content = {
                "edges": value["bins"],
                "counts": counts,
                "count": sum(counts),
                "not_finite": 0,
            }
            data = json.dumps(content).encode()
            self._files.append(
                ImportedFile(name, data=data, kind="histogram", suffix=".histogram.json", **about)
            )
        else:
            self._values.count(f"media of type {kind}")


def _parse(text: Any) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("expected an object")
    return found


def _seconds(text: Any) -> float:
    date = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
