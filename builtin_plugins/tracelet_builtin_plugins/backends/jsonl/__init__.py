"""The backend ``jsonl``: one JSON object per line, appended to a file.

``docs/plugins/jsonl.md`` describes the format of the lines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.jsonl.file import JsonlFile
from tracelet_builtin_plugins.batch_hooks import BatchHooks
from tracelet_hookspecs import BackendPlugin, MetricData, PluginMetadata, PluginType, RunView, hookimpl
from tracelet_hookspecs.strict_json import to_json

__all__ = ["JsonlBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "path": {
        "type": "string",
        "default": "events.jsonl",
        "description": "the file, relative to the run's folder; {run} and {project} are filled in",
    },
    "fsync": {
        "type": "boolean",
        "default": False,
        "description": "wait until each batch is on the disk",
    },
}

encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
quoted: Final = lru_cache(maxsize=8192)(encode)  # names, sources and writers are repeated often


class JsonlBackend(BatchHooks, BackendPlugin):
    """Appends what a run records to a file of JSON lines: whole lines only, each point once."""

    _file: JsonlFile | None = None

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="jsonl",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Writes what a run records to a file, one JSON object per line",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "exactly_once"},
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` for an empty path."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)
        if not self._config["path"]:
            raise ValueError("plugins.jsonl.path: expected the name of a file, found an empty string")

    @hookimpl
    def start(self) -> None:
        """Forget the last run. The file is opened when there is something to write."""
        self._run = self._file = None

    @hookimpl
    def stop(self) -> None:
        """Nothing to release: every call closes the file again."""

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the file, and the numbers of lines written, repeats skipped and torn bytes removed."""
        return self._file.status() if self._file else {"path": self._config.get("path")}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Write the line that describes the run."""
        self._run = run
        self._write(run, "run", name=run.name, project=run.project, time=run.started_at)

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Write how the run ended."""
        self._write(run, "end", outcome=outcome)

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Append a batch of points, without those that the file has already."""
        run = run or self._run
        head = f'{{"type":"metric","run":{quoted(run.id if run else None)}'
        self._file_of(run).append([(point.id, metric_line(head, point)) for point in points])

    @hookimpl
    def log_params(self, params: Mapping[str, Any], run: RunView | None = None) -> None:
        """Append parameters."""
        self._write(run, "params", params=params)

    @hookimpl
    def set_tags(self, tags: Mapping[str, Any], run: RunView | None = None) -> None:
        """Append tags."""
        self._write(run, "tags", tags=tags)

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any]) -> None:
        """Append what has changed about the run: its name, notes, group, parent and the like."""
        self._write(run, "changed", changes=changes)

    @hookimpl
    def log_artifact(
        self, local_path: str, artifact_path: str | None = None, run: RunView | None = None
    ) -> None:
        """Append the path of an artifact, relative to the run's folder if it is in there."""
        run = run or self._run
        path = Path(local_path)
        if run and path.is_relative_to(run.dir):
            path = path.relative_to(run.dir)
        self._write(run, "artifact", path=path.as_posix(), artifact_path=artifact_path)

    def _write(self, run: RunView | None, kind: str, **fields: Any) -> None:
        run = run or self._run
        text = encode(to_json({"type": kind, "run": run.id if run else None, **fields}))
        self._file_of(run).append([(None, f"{text}\n".encode())])

    def _file_of(self, run: RunView | None) -> JsonlFile:
        text = self._config["path"]
        if run:
            text = text.replace("{run}", run.id).replace("{project}", run.project)
        path = Path(text).expanduser()
        if not path.is_absolute():
            if run is None:
                raise RuntimeError(
                    f"plugins.jsonl.path: {text} is relative to a run's folder, and no run is known"
                )
            if not run.dir.is_dir():
                raise FileNotFoundError(f"the run's folder is gone: {run.dir}")
            path = within(run.dir, path)
        if self._file is None or self._file.path != path:
            self._file = JsonlFile(path, fsync=self._config["fsync"])
        return self._file


def within(folder: Path, path: Path) -> Path:
    """Return a path in the run's folder. Raises ``ValueError`` if a symbolic link there leads out of it."""
    joined = folder / path
    if ".." not in path.parts and not joined.parent.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{joined}: expected a file in the run's folder, found a symbolic link that leads out of it"
        )
    return joined


def metric_line(head: str, point: MetricData) -> bytes:
    """Return a point's line. Formatting by hand is several times faster than through a mapping."""
    text = f'{head},"name":{quoted(point.name)},"value":{number(point.value)}'
    if point.iteration is not None:
        text += f',"step":{number(point.iteration)}'
    text += f',"time":{number(point.timestamp)},"kind":{quoted(point.type.value)}'
    if point.source:
        text += f',"source":{quoted(point.source)}'
    if point.metadata:
        text += f',"metadata":{encode(to_json(point.metadata))}'
    if point.id:
        writer, sequence, index = point.id
        text += f',"id":[{quoted(writer)},{sequence},{index}]'
    return f"{text}}}\n".encode()


def number(value: Any) -> str:
    """Return a number as JSON text; anything else (NaN, say) as ``to_json`` converts it."""
    quick = type(value) is int or (type(value) is float and math.isfinite(value))
    return repr(value) if quick else encode(to_json(value))
