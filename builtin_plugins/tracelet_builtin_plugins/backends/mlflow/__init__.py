"""The backend ``mlflow``: runs in an MLflow tracking server or database.

``docs/plugins/mlflow.md`` describes how everything appears there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.mlflow import mapping
from tracelet_builtin_plugins.backends.mlflow.client import (
    DEFAULT_URI,
    PATIENCE,
    SHORT_PATIENCE,
    OutageError,
    Server,
    configure_own_process,
)
from tracelet_builtin_plugins.batch_hooks import BatchHooks
from tracelet_builtin_plugins.locations import project_folder
from tracelet_hookspecs import (
    BackendPlugin,
    Batching,
    ImportedRun,
    MetricData,
    PluginMetadata,
    PluginType,
    RecordId,
    RunView,
    hookimpl,
)

if TYPE_CHECKING:
    from tracelet_builtin_plugins.backends.mlflow.external_run import ExternalRun

__all__ = ["MlflowBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "tracking_uri": {
        "type": "string",
        "description": "the server or database; MLFLOW_TRACKING_URI, else sqlite:///mlflow.db at the project root",
    },
    "experiment": {"type": "string", "description": "the experiment's name; the project by default"},
    "run_name": {"type": "string", "description": "the run's name in MLflow; the run's own name by default"},
    "tags": {"type": "object", "default": {}, "description": "tags that each run gets in MLflow"},
}

_RELATIVE: Final = "sqlite:///"
_FOR_RANK_ZERO: Final = 20.0  # seconds that the other hosts of a job wait for it to create the run
_TAGS_OF_RUN: Final = {
    "notes": "mlflow.note.content",
    "group": "tracelet.group",
    "parent": "tracelet.parent",
    "job_type": "tracelet.job_type",
    "project": "tracelet.project",
}


class MlflowBackend(BatchHooks, BackendPlugin):
    """Delivers to MLflow through ``MlflowClient``, one MLflow run for each run."""

    #: When much is pending, calls that fill nearly all of their requests.
    batching = Batching(0.0, 8000)

    _server: Server | None = None
    _there: ExternalRun | None = None
    _newest = 0.0
    _ending: tuple[str, float] | None = None  # the outcome and the time of the end, until MLflow has them

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="mlflow",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Delivers runs to an MLflow tracking server or database",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "media", "exactly_once"},
            isolation="process",
            mapping=mapping.MAPPING,
        )

    @hookimpl
    def import_runs(self, source: str) -> Iterable[ImportedRun] | None:
        """Read the runs of a folder store, a SQLite file or a server; MLflow is not needed."""
        from tracelet_builtin_plugins.backends.mlflow.history import import_mlflow

        return import_mlflow(source)

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {"tags": {}, **dict(config)}

    @hookimpl
    def start(self) -> None:
        """Import MLflow, and forget the last run. Connects unless the place depends on the run."""
        self._run = self._there = self._server = self._ending = None
        self._newest = 0.0
        self._began = time.monotonic()
        configure_own_process()
        from tracelet_builtin_plugins.backends.mlflow.client import MINIMUM
        from tracelet_builtin_plugins.extras import import_extra

        import_extra("mlflow", plugin="mlflow", distribution="mlflow", minimum=MINIMUM)
        uri = self._uri()
        if not uri.startswith(_RELATIVE) or uri.startswith(_RELATIVE + "/"):
            self._server = Server(uri)
            self._server.connect()

    @hookimpl
    def stop(self) -> None:
        """Forget the client; each request has been answered already."""
        if self._ending is not None:
            with suppress(OSError):  # reported by other hooks already; `tracelet sync` makes up for it
                self._open(self._run, SHORT_PATIENCE)
                self._store_ending()
        self._server = self._there = None

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the place, the run there, and the number of points that it has received."""
        status: dict[str, Any] = {"tracking_uri": str(self._server or Server(self._uri()))}
        if self._there is not None:
            status |= {
                "run_id": self._there.id,
                "experiment_id": self._there.experiment_id,
                "points": self._there.sent,
            }
        return status

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Connect, and find the run if it is there. A resumed one is running again.

        A new one is created with the first record: until then, a program may give it the name and the project of its
        own, and MLflow never moves a run to another experiment.
        """
        from tracelet_builtin_plugins.backends.mlflow.external_run import find_known_run

        self._run, self._ending = run, None
        with suppress(OutageError):  # each data hook tries again, and reports it
            self._there = find_known_run(self._reach(run, SHORT_PATIENCE), run, self._experiment_of(run))
            if self._there is not None:
                self._resume(self._there, run)

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Store the status and the time of the end."""
        if outcome != "running":  # that is: another process is still recording
            self._ending = outcome, self._end_of(run)
            with suppress(OutageError):  # repeated with the next record, and when the plugin stops
                self._open(run, SHORT_PATIENCE)
                self._store_ending()

    def _store_ending(self) -> None:
        """Store how the run ended, unless that is done."""
        if self._ending is not None and self._there is not None:
            outcome, end = self._ending
            self._there.send_tags({"tracelet.outcome": mapping.fit_text(outcome, mapping.TAG_LIMIT)})
            self._there.set_status(mapping.status_of(outcome), end)
            self._ending = None

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Store points."""
        self._open(run).send_points(points)
        self._newest = max([self._newest, *(point.timestamp or 0.0 for point in points)])
        self._store_ending()

    @hookimpl
    def log_params(self, params: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store parameters."""
        self._open(run).send_params(params)

    @hookimpl
    def set_tags(self, tags: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store tags."""
        self._open(run).send_user_tags(tags)

    @hookimpl
    def log_artifact(
        self, local_path: str, artifact_path: str | None = None, run: RunView | None = None
    ) -> None:
        """Store a file or folder."""
        from tracelet_builtin_plugins.backends.mlflow.media import send_artifact

        send_artifact(self._open(run), local_path, artifact_path)

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
        """Store an image, a table or another media file."""
        from tracelet_builtin_plugins.backends.mlflow.media import send_media

        send_media(self._open(run), name, step, kind, path, metadata, id)

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any]) -> None:
        """Store a new name, note, group, kind of job or parent, and remove tags."""
        there = self._open(run)
        if changes.get("name") and not self._config.get("run_name"):
            there.rename(str(changes["name"]))
        there.send_tags(self._tags_of(changes))
        there.remove_tags(changes.get("untag") or ())
        if changes.get("parent"):
            self._send_parent(there, str(changes["parent"]))

    # -- where to ---------------------------------------------------------------------------------------

    def _open(self, run: RunView | None, within: float = PATIENCE) -> ExternalRun:
        run = self._known_run(run)
        if self._there is None or self._run is None or self._run.id != run.id:
            self._there = self._open_there(run, within)
        self._run = run
        return self._there

    def _open_there(self, run: RunView, within: float) -> ExternalRun:
        from tracelet_builtin_plugins.backends.mlflow.external_run import map_tags, open_run

        root, server = project_folder(run.dir), self._reach(run, within)
        own = {
            key: value
            for key in ("notes", "group", "parent", "job_type")
            if (value := getattr(run, key, None))
        }
        tags = {**map_tags(self._config["tags"]), **self._tags_of(own)}  # for a new run
        name = self._config.get("run_name") or run.name
        artifacts = root / "mlruns" if server.is_local else None
        self._leave_to_rank_zero(server, run)
        there = open_run(server, run, self._experiment_of(run), tags, name, artifacts)
        if own.get("parent"):
            self._send_parent(there, str(own["parent"]))
        self._resume(there, run)
        return there

    def _leave_to_rank_zero(self, server: Server, run: RunView) -> None:
        """Have the job's rank zero create the run: two hosts that do so at the same time would create two.

        Raises:
            OutageError: it has not done so yet, and there is still time.
        """
        from tracelet_builtin_plugins.backends.mlflow.external_run import find_known_run

        is_live_part = getattr(run, "is_part", False) and getattr(run, "ended_at", None) is None
        if (
            is_live_part
            and time.monotonic() - self._began < _FOR_RANK_ZERO
            and find_known_run(server, run, self._experiment_of(run)) is None
        ):
            raise OutageError(f"MLflow at {server}: rank 0 of the job has not created run {run.id} yet")

    def _resume(self, there: ExternalRun, run: RunView) -> None:
        if self._ending is None and there.status != "RUNNING" and not getattr(run, "is_part", False):
            there.set_status("RUNNING")

    def _experiment_of(self, run: RunView) -> str:
        return str(self._config.get("experiment") or run.project)

    def _reach(self, run: RunView, within: float) -> Server:
        if self._server is None:
            self._server = Server(below(project_folder(run.dir), self._uri()))
        self._server.connect(within)
        return self._server

    def _uri(self) -> str:
        return str(self._config.get("tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)

    def _tags_of(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Return the tags for facts of the run itself."""
        return {
            tag: mapping.fit_text(mapping.text(facts[key]), mapping.TAG_LIMIT)
            for key, tag in _TAGS_OF_RUN.items()
            if facts.get(key) is not None
        }

    def _send_parent(self, there: ExternalRun, parent: str) -> None:
        """Have MLflow show the run below its parent, if that is in the same experiment."""
        from tracelet_builtin_plugins.backends.mlflow.external_run import find_run

        if self._server is None or "'" in parent:
            return
        client = self._server.connect()
        with self._server.errors():
            found = find_run(client, parent, [there.experiment_id])
        if found is not None:
            there.send_tags({"mlflow.parentRunId": found.info.run_id})

    def _end_of(self, run: RunView) -> float:
        """Return when the run ended: now if its own process delivers, else as the journal says."""
        ended = getattr(run, "ended_at", None)
        return time.time() if ended is None else max(ended, self._newest)


def below(root: Path, uri: str) -> str:
    """Return the URI of a database with an absolute path."""
    if uri.startswith(_RELATIVE) and not uri.startswith(_RELATIVE + "/"):
        return f"{_RELATIVE}{root / uri.removeprefix(_RELATIVE)}"
    return uri
