"""The backend ``clearml``: tasks on a ClearML server, or in an offline session.

``docs/plugins/clearml.md`` describes how everything appears there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.clearml import mapping
from tracelet_builtin_plugins.batch_hooks import BatchHooks
from tracelet_hookspecs import BackendPlugin, MetricData, PluginMetadata, PluginType, RunView, hookimpl

if TYPE_CHECKING:
    from tracelet_builtin_plugins.backends.clearml.offline import OfflineTask
    from tracelet_builtin_plugins.backends.clearml.server import Server, ServerTask

__all__ = ["ClearmlBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "project": {"type": "string", "description": "the project in ClearML; the run's project by default"},
    "task_type": {
        "type": "string",
        "default": "training",
        "description": f"the type of the task: {', '.join(mapping.TASK_TYPES)}",
    },
    "offline": {
        "type": "boolean",
        "default": False,
        "description": "write an offline session into the run's folder; also with CLEARML_OFFLINE_MODE=1",
    },
}
_PLOT_LIMIT: Final = 4_000_000  # characters; the server refuses documents that are much larger


class ClearmlBackend(BatchHooks, BackendPlugin):
    """Delivers each run to a task of its own, and returns when the server or the file has the data."""

    _task: ServerTask | OfflineTask | None = None
    _server: Server | None = None
    _sent = 0

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="clearml",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Delivers runs to ClearML, or to its offline session",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "media", "exactly_once"},
            isolation="process",  # importing the client takes seconds, in which it holds the interpreter
            mapping=mapping.MAPPING,
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` for an unknown type of task."""
        self._config = {"task_type": "training", "offline": False, **dict(config)}
        if self._config["task_type"] not in mapping.TASK_TYPES:
            raise ValueError(
                f"plugins.clearml.task_type: expected one of {', '.join(mapping.TASK_TYPES)}, found"
                f" {self._config['task_type']!r}"
            )

    @hookimpl
    def start(self) -> None:
        """Find the server and log in; an offline session is opened with the first data."""
        self._run = self._task = self._server = None
        self._sent = 0
        if not self._is_offline():
            from tracelet_builtin_plugins.backends.clearml.server import Server

            self._server = Server()
            self._server._login()

    @hookimpl
    def stop(self) -> None:
        """Close the connections; every request has been answered already."""
        if self._server is not None:
            self._server.close()
        self._server = self._task = None

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the place, the task and the number of points sent."""
        if self._task is None:
            return {"offline": self._is_offline(), "points": self._sent}
        return {"place": self._task.place, "task": self._task.id, "points": self._sent}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Find or create the task, and mark it as running; on another host than rank zero's, it is that already."""
        task = self._open(run)
        if not getattr(run, "is_part", False):
            task.start()

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Store how the run ended."""
        if outcome != "running":  # that is: another process is still recording
            self._open(run).end(outcome)

    @hookimpl
    def report_summary(self, run: RunView) -> str | None:
        """Name the offline session."""
        if self._task is None or not self._is_offline():
            return None
        return f"clearml: offline session in {self._task.place}"

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Store points as scalars."""
        task = self._open(run)
        task.add_events(mapping.scalar_events(points, task.id, self._started_at()))
        self._sent += len(points)

    @hookimpl
    def log_params(self, params: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store parameters."""
        self._open(run).set_params([mapping.parameter(key, value) for key, value in params.items()])

    @hookimpl
    def set_tags(self, tags: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store tags; a new value replaces the earlier one of the same key."""
        task = self._open(run)
        keys, own = {mapping.tag_key(key) for key in tags}, mapping.run_tag(self._run_id())
        kept = [tag for tag in task.tags if tag == own or tag.partition("=")[0] not in keys]
        added = [mapping.tag_text(key, value) for key, value in tags.items()]
        task.set_tags(list(dict.fromkeys([*kept, *added])))

    @hookimpl
    def log_artifact(
        self, local_path: str, artifact_path: str | None = None, run: RunView | None = None
    ) -> None:
        """Store a file, or each file of a folder."""
        task = self._open(run)
        local = Path(local_path)
        top = f"{artifact_path}/{local.name}" if artifact_path else local.name
        files = {top: local}
        if local.is_dir():
            found = (Path(folder, name) for folder, _, names in os.walk(local) for name in names)
            files = {f"{top}/{file.relative_to(local).as_posix()}": file for file in found}
        for key, file in sorted(files.items()):
            uri = task.upload(file, mapping.far_path("tracelet", self._run_id(), "artifacts", key))
            task.add_artifacts([describe_artifact(key, file, uri)])

    @hookimpl
    def log_media(
        self,
        name: str,
        step: int | None,
        kind: str,
        path: str,
        metadata: Mapping[str, Any],
        run: RunView | None = None,
    ) -> None:
        """Store a table or a histogram as a plot, and anything else as a debug sample."""
        task = self._open(run)
        file = Path(path)
        when = metadata.get("timestamp") or file.stat().st_mtime
        iteration = mapping.iteration_of(step, when, self._started_at())
        plot = mapping.plot_of(kind, name, file.read_bytes()) if kind in ("table", "histogram") else None
        if plot is not None and len(plot) <= _PLOT_LIMIT:
            event = mapping.plot_event(name, iteration, mapping.milliseconds(when), task.id, plot)
        else:
            key = mapping.far_path("tracelet", self._run_id(), "media", kind, file.name)
            url = task.upload(file, key)
            event = mapping.media_event(
                name, iteration, mapping.milliseconds(when), task.id, key=key, url=url
            )
        task.add_events([event])

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any]) -> None:
        """Store a new name, note, group, kind of job, parent or project, and remove tags."""
        fields = {"name": "name", "notes": "comment"} | (
            {} if self._config.get("project") else {"project": "project"}
        )
        new = {
            field: (mapping.clean_text if key == "notes" else mapping.task_name)(str(changes[key]))
            for key, field in fields.items()
            if changes.get(key) is not None
        }
        if new:
            self._open(run).set_fields(new)
        facts = [
            mapping.parameter(key, changes[key], mapping.FACTS_SECTION)
            for key in mapping.FACTS
            if changes.get(key) is not None
        ]
        if facts:
            self._open(run).set_params(facts)
        if changes.get("parent"):
            self._open(run).set_parent(str(changes["parent"]))
        if changes.get("untag"):
            task, own = self._open(run), mapping.run_tag(self._run_id())
            keys = {mapping.tag_key(key) for key in changes["untag"]}
            task.set_tags([tag for tag in task.tags if tag == own or tag.partition("=")[0] not in keys])

    # -- the task ---------------------------------------------------------------------------------------

    def _open(self, run: RunView | None) -> ServerTask | OfflineTask:
        run = self._known_run(run)
        if self._task is None or self._run is None or self._run.id != run.id:
            self._task = self._make_task(run)
        self._run = run
        return self._task

    def _make_task(self, run: RunView) -> ServerTask | OfflineTask:
        project = self._config.get("project") or run.project
        if self._is_offline():
            from tracelet_builtin_plugins.backends.clearml.offline import OfflineTask

            return OfflineTask(run, project, self._config["task_type"])
        from tracelet_builtin_plugins.backends.clearml.server import Server, ServerTask

        self._server = self._server or Server()
        return ServerTask(self._server, run, project, self._config["task_type"])

    def _is_offline(self) -> bool:
        value = os.environ.get("CLEARML_OFFLINE_MODE", "").strip().lower()
        return bool(self._config.get("offline")) or value in ("1", "true", "yes", "on")

    def _started_at(self) -> float:
        return self._run.started_at if self._run is not None else 0.0

    def _run_id(self) -> str:
        return self._run.id if self._run is not None else ""


def describe_artifact(key: str, file: Path, uri: str) -> dict[str, Any]:
    """Return an artifact as ClearML lists it."""
    with open(file, "rb") as data:
        digest = hashlib.sha256()
        while chunk := data.read(1 << 20):
            digest.update(chunk)
    facts = file.stat()
    return {
        "key": mapping.clean_text(key),
        "type": "custom",
        "mode": "output",
        "uri": uri,
        "content_size": facts.st_size,
        "hash": digest.hexdigest(),
        "timestamp": int(facts.st_mtime),
        "type_data": {"content_type": mapping.content_type(file.name)},
    }
