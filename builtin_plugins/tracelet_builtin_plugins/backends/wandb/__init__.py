"""The backend ``wandb``: runs at Weights & Biases, online or in files that ``wandb sync`` uploads.

``docs/plugins/wandb.md`` describes how everything appears there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.wandb import mapping
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
    from tracelet_builtin_plugins.backends.wandb.external_run import ExternalRun

__all__ = ["WandbBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "project": {"type": "string", "description": "the project at W&B; the run's project by default"},
    "entity": {"type": "string", "description": "the team or user at W&B; the account's default otherwise"},
    "mode": {
        "type": "string",
        "default": "online",
        "description": "online, or offline: only files, for `wandb sync`",
    },
    "dir": {
        "type": "string",
        "description": "the folder in which wandb makes its own; the root of the project by default",
    },
    "group": {"type": "string", "description": "the group at W&B; the run's group by default"},
    "job_type": {"type": "string", "description": "the kind of job; the run's own by default"},
    "base_url": {"type": "string", "description": "the server; WANDB_BASE_URL, else W&B's own"},
    "api_key": {
        "type": "string",
        "secret": True,
        "description": "the key; WANDB_API_KEY or that of `wandb login` by default",
    },
}

MODES: Final = ("online", "offline")
_FINISHING: Final = 7.0  # seconds; `stop` may take 10


class WandbBackend(BatchHooks, BackendPlugin):
    """Delivers to Weights & Biases, one W&B run of the same id for each run."""

    #: Each call waits until wandb has written its file, so when much is pending, few calls are better.
    batching = Batching(0.0, 8192)

    _there: ExternalRun | None = None
    _outcome = ""
    _unfinished = False

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="wandb",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Delivers runs to Weights & Biases, online or offline",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "media", "exactly_once"},
            isolation="process",
            mapping=mapping.MAPPING,
        )

    @hookimpl
    def import_runs(self, source: str, follow: bool = False) -> Iterable[ImportedRun | None] | None:
        """Read the runs in wandb's folders on this machine; wandb is not needed."""
        from tracelet_builtin_plugins.backends.wandb.history import import_wandb_folders

        return import_wandb_folders(source, follow=follow)

    @staticmethod
    def takes_one_process() -> bool:
        """Say that rank zero alone delivers during a job: wandb sends a run from one process."""
        return True

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` for an unknown mode."""
        self._config = dict(config)
        mode = self._config.setdefault("mode", "online")
        if mode not in MODES:
            raise ValueError(f"plugins.wandb.mode: expected one of {', '.join(MODES)}, found {mode!r}")

    @hookimpl
    def start(self) -> None:
        """Import wandb, and forget the last run. It is opened with the first record, since that may take seconds."""
        from tracelet_builtin_plugins.backends.wandb.external_run import load_wandb

        load_wandb()
        self._run = self._there = None
        self._outcome, self._unfinished = "", False

    @hookimpl
    def stop(self) -> None:
        """Finish the run: wandb marks it as ended, and uploads what is left."""
        there, self._there = self._there, None
        if there is not None:
            self._unfinished = not there.finish(mapping.exit_code(self._outcome), _FINISHING)

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the run's page or folder, and the number of points that were sent."""
        status: dict[str, Any] = {"mode": self._config.get("mode", "online")}
        if self._there is not None:
            status |= {
                "run_id": self._there.id,
                "file": str(self._there.file.path),
                "url": self._there.url,
                "points": self._there.sent,
            }
        if self._unfinished:
            status["unfinished"] = "wandb was still uploading; `wandb sync` uploads what is left"
        return status

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Remember the run."""
        self._run, self._outcome = run, ""

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Remember how the run ended: records may still follow, so it is finished in ``stop``."""
        self._outcome = outcome

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Log points, one row for each record."""
        self._open(run).send_points(points)

    @hookimpl
    def log_params(
        self, params: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None
    ) -> None:
        """Store parameters in the configuration."""
        self._open(run).send_config({mapping.config_key(key): value for key, value in params.items()}, id)

    @hookimpl
    def set_tags(
        self, tags: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None
    ) -> None:
        """Store tags."""
        self._open(run).send_tags(tags, id)

    @hookimpl
    def log_artifact(
        self,
        local_path: str,
        artifact_path: str | None = None,
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Store a file or folder as an artifact."""
        from tracelet_builtin_plugins.backends.wandb.media import send_artifact

        there = self._open(run)
        if there.is_known(id):
            there.confirm([id] if id is not None else [])
        else:
            send_artifact(there, local_path, artifact_path, id)

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
        """Log a media file."""
        from tracelet_builtin_plugins.backends.wandb.media import send_media

        send_media(self._open(run), name, step, kind, path, metadata, id)

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any]) -> None:
        """Give the run another name or note, or remove tags. W&B keeps the group and project that it began with."""
        name, notes = changes.get("name"), changes.get("notes")
        self._open(run).change(
            name=mapping.text(name) if name else None,
            notes=mapping.text(notes) if notes is not None else None,
        )
        self._open(run).remove_tags(changes.get("untag") or ())

    def _open(self, run: RunView | None) -> ExternalRun:
        from tracelet_builtin_plugins.backends.wandb.external_run import ExternalRun

        run = self._known_run(run)
        if self._there is None or self._run is None or self._run.id != run.id:
            self._there = ExternalRun(self._config, run, project_folder(run.dir))
        self._run = run
        return self._there
