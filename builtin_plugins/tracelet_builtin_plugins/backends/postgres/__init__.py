"""The backend ``postgres``: runs in tables of a PostgreSQL database.

``docs/plugins/postgres.md`` describes the tables.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.postgres.connection import Link
from tracelet_builtin_plugins.backends.postgres.files import FileReader
from tracelet_builtin_plugins.backends.postgres.mapping import MAPPING
from tracelet_builtin_plugins.backends.postgres.writing import File, RunWriter
from tracelet_builtin_plugins.batch_hooks import BatchHooks, left_to_records, new_id, with_ids
from tracelet_builtin_plugins.extras import import_extra
from tracelet_hookspecs import (
    BackendPlugin,
    MetricColumns,
    MetricData,
    PluginMetadata,
    PluginType,
    RecordId,
    RunView,
    hookimpl,
)

__all__ = ["PostgresBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "dsn": {
        "type": "string",
        "required": True,
        "secret": True,
        "description": "the connection string, postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    },
    "schema": {
        "type": "string",
        "default": "tracelet",
        "description": "the schema that the tables are in",
    },
}


class PostgresBackend(BatchHooks, BackendPlugin):
    """Writes what a run records to tables, each record exactly once."""

    _link: Link | None = None
    _writer: RunWriter | None = None

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="postgres",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Writes what a run records to a PostgreSQL database",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "media", "exactly_once"},
            mapping=MAPPING,
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {"schema": SCHEMA["schema"]["default"]} | dict(config)

    @hookimpl
    def start(self) -> None:
        """Connect, and create the tables if necessary."""
        psycopg = import_extra("psycopg", plugin="postgres", distribution="psycopg", minimum="3.1")
        self._run = self._writer = None
        self._files = FileReader()
        self._link = Link(psycopg, self._config["dsn"], self._config["schema"])
        self._link.open()

    @hookimpl
    def stop(self) -> None:
        """Store when the run ended, if that is not known yet, and close the connection."""
        link, writer = self._link, self._writer
        if link is None:
            return
        try:
            if writer is not None and writer.outcome is not None:
                with contextlib.suppress(OSError):
                    writer.end(writer.outcome)
        finally:
            link.close()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the server, and how many points were written or were there already."""
        if self._link is None:
            return {"connected": False}
        counts = self._writer.counts if self._writer else {}
        return {
            "server": self._link.server,
            "schema": self._config["schema"],
            "connected": self._link.is_open,
            "connections_opened": self._link.connects,
            **counts,
        }

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Create the run's row. If the server is down, that is left to the first record."""
        self._run = run
        with left_to_records():
            self._writer_of(run).ensure_run()

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Store how the run ended."""
        self._writer_of(run).end(outcome)

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any], id: RecordId | None = None) -> None:
        """Store a change of the run."""
        self._writer_of(run).change(changes, id or new_id())

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Store a batch of points in one transaction."""
        self._writer_of(run).store_points(with_ids(points))

    @hookimpl
    def log_columns(self, columns: MetricColumns, run: RunView | None = None) -> None:
        """Store a batch of points in one transaction, without an object for each."""
        self._writer_of(run).store_columns(columns)

    @hookimpl
    def log_params(
        self, params: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None
    ) -> None:
        """Store parameters."""
        self._writer_of(run).store_params(params, id or new_id())

    @hookimpl
    def set_tags(
        self, tags: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None
    ) -> None:
        """Store tags."""
        self._writer_of(run).store_tags(tags, id or new_id())

    @hookimpl
    def log_artifact(
        self,
        local_path: str,
        artifact_path: str | None = None,
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Store the path, size and SHA-256 of each file of an artifact."""
        id = id or new_id()
        writer, path = self._writer_of(run), Path(local_path)
        shown, target = (
            self._relative(path, run),
            f"{artifact_path}/{path.name}" if artifact_path else path.name,
        )
        files: list[File] = []
        for name, size, digest in self._files.read((writer.id, id), path):
            end = f"/{name}" if name else ""
            files.append((shown + end, target + end, "artifact", None, None, None, size, digest))
        writer.store_files(files, id)

    @hookimpl
    def log_media(
        self,
        name: str,
        step: int | None,
        kind: str,
        path: str,
        metadata: Mapping[str, Any],
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Store the path, size and SHA-256 of a media file, with its name and step."""
        id = id or new_id()
        size, digest = metadata.get("size"), metadata.get("sha256")
        if size is None or digest is None:
            [(_, size, digest)] = self._files.read((self._writer_of(run).id, id), Path(path))
        shown, target = self._relative(Path(path), run), metadata.get("artifact_path")
        self._writer_of(run).store_files(
            [(shown, target, kind, name, step, metadata.get("timestamp"), size, digest)], id
        )

    def _relative(self, path: Path, run: RunView | None) -> str:
        """Return a path as it stays valid when the run's folder is moved."""
        run = run or self._run
        if run is not None and path.is_relative_to(run.dir):
            return path.relative_to(run.dir).as_posix()
        return os.fspath(path)

    def _writer_of(self, run: RunView | None) -> RunWriter:
        run = self._known_run(run)
        if self._link is None:
            raise RuntimeError("plugin 'postgres' has not been started")
        if self._writer is None or self._writer.id != run.id:
            self._writer = RunWriter(self._link, self._config["schema"], run)
        return self._writer
