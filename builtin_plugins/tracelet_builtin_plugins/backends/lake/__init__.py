"""The backend ``lake``: runs as immutable Parquet files in an object store or a folder.

``docs/lake.md`` describes the files.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.lake.mapping import MAPPING
from tracelet_builtin_plugins.backends.lake.objects import Objects, check_client, open_objects
from tracelet_builtin_plugins.backends.lake.tables import load_pyarrow
from tracelet_builtin_plugins.backends.lake.writing import RunWriter
from tracelet_builtin_plugins.batch_hooks import BatchHooks, left_to_records, new_id, with_ids
from tracelet_hookspecs import (
    BackendPlugin,
    Batching,
    MetricColumns,
    MetricData,
    PluginMetadata,
    PluginType,
    RecordId,
    RunView,
    hookimpl,
    mask_text,
)

__all__ = ["LakeBackend"]

_FIRST_SECONDS: Final = 10.0  # between two files at the beginning of a run
_GROWTH: Final = 0.05  # of the run's age: the longer it runs, the rarer the files

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "url": {
        "type": "string",
        "required": True,
        "description": "s3://bucket/prefix, gs://..., az://..., another URL of fsspec, or a folder",
    },
    "storage_options": {
        "type": "object",
        "default": {},
        "secret": True,
        "description": "options of the client: credentials, endpoint_url and the like",
    },
    "flush_seconds": {
        "type": "number",
        "default": 300,
        "description": "the longest time between two files; at the beginning of a run it is 10 s",
    },
    "flush_points": {
        "type": "integer",
        "default": 65_536,
        "description": "pending records that are written without waiting",
    },
    "heartbeat_seconds": {
        "type": "number",
        "default": 300,
        "description": "the longest time between two documents of a live run; after three times as long it counts as"
        " killed",
    },
}


class LakeBackend(BatchHooks, BackendPlugin):
    """Writes files that any engine can query, each record exactly once."""

    def __init__(self) -> None:
        self._objects: Objects | None = None
        self._writer: RunWriter | None = None
        self._started = time.monotonic()

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="lake",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Writes runs as Parquet files to an object store or a folder",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "media", "exactly_once"},
            mapping=MAPPING,
        )

    @property
    def batching(self) -> Batching:
        """Few files: one every ten seconds at first, and every ``flush_seconds`` in a run of hours."""
        seconds = max(_FIRST_SECONDS, _GROWTH * (time.monotonic() - self._started))
        return Batching(
            min(seconds, float(self._config["flush_seconds"])), max(1, int(self._config["flush_points"]))
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` for limits below zero."""
        defaults = {key: entry["default"] for key, entry in SCHEMA.items() if "default" in entry}
        self._config = {**defaults, **dict(config)}
        for key, least in (("flush_seconds", 0), ("flush_points", 0), ("heartbeat_seconds", 1)):
            if not self._config[key] >= least:
                raise ValueError(f"plugins.lake.{key}: expected at least {least}, found {self._config[key]}")

    @hookimpl
    def start(self) -> None:
        """Check that the packages are there. Raises an error that names a missing one."""
        self._objects = self._writer = self._run = None
        self._started = time.monotonic()
        with warnings.catch_warnings():  # pyarrow and the clients add filters when they are imported
            load_pyarrow()
            check_client(self._config["url"])

    @hookimpl
    def stop(self) -> None:
        """Store what the run document lacks."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        if self._objects is not None:
            self._objects.close()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return where the files are, and how many were written."""
        where = self._objects.url if self._objects else mask_text(str(self._config.get("url", "")))
        return {"url": where, **(self._writer.counts if self._writer else {})}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """List the run. If the store is down, that is left to the first record."""
        self._run = run
        with left_to_records():
            self._writer_of(run).begin()

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Store how the run ended."""
        self._writer_of(run).end(outcome, getattr(run, "writer_states", None))

    def keep_alive(self, run: RunView) -> float:
        """Show in the document that a silent run lives. Returns the seconds until that is due again."""
        return self._writer_of(run).keep_alive()

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Store a batch of points as a file."""
        self._writer_of(run).store_points(with_ids(points))

    @hookimpl
    def log_columns(self, columns: MetricColumns, run: RunView | None = None) -> None:
        """Store a batch of points as a file, without an object for each."""
        self._writer_of(run).store_columns(columns)

    @hookimpl
    def log_event(
        self,
        type: str,
        payload: Mapping[str, Any],
        timestamp: float,
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Store an event, and the contents of an artifact."""
        self._writer_of(run).store_event(type, payload, timestamp, id or new_id())

    @hookimpl
    def log_params(
        self, params: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None
    ) -> None:
        """Store parameters. The host calls ``log_event`` in place of this."""
        self.log_event("params", {"params": dict(params)}, time.time(), run, id)

    @hookimpl
    def log_artifact(
        self,
        local_path: str,
        artifact_path: str | None = None,
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Store an artifact. The host calls ``log_event`` in place of this."""
        payload = {"path": local_path, "artifact_path": artifact_path, "files": [{"path": local_path}]}
        self.log_event("artifact", payload, time.time(), run, id)

    def _writer_of(self, run: RunView | None) -> RunWriter:
        run = self._known_run(run)
        if self._objects is None:
            self._objects = open_objects(self._config["url"], dict(self._config["storage_options"]), run.dir)
        self._objects.begin()
        if self._writer is None or self._writer.id != run.id:
            self._writer = RunWriter(self._objects, run, float(self._config["heartbeat_seconds"]))
        return self._writer
