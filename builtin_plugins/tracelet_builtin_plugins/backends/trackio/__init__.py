"""The backend ``trackio``: Trackio's local store, or a server or Space of it.

``docs/plugins/trackio.md`` describes what goes where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.trackio import mapping, media
from tracelet_builtin_plugins.backends.trackio.store import MINIMUM, Config, LocalStore, RunKey
from tracelet_builtin_plugins.batch_hooks import BatchHooks
from tracelet_builtin_plugins.extras import import_extra
from tracelet_builtin_plugins.locations import in_project
from tracelet_hookspecs import (
    BackendPlugin,
    ImportedRun,
    MetricData,
    PluginMetadata,
    PluginType,
    RecordId,
    RunView,
    hookimpl,
)

__all__ = ["TrackioBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "project": {
        "type": "string",
        "description": "the project at Trackio; the run's project if left out",
    },
    "dir": {
        "type": "string",
        "description": "Trackio's folder, TRACKIO_DIR if left out; a relative path starts at the project's root",
    },
    "space_id": {
        "type": "string",
        "description": "a Hugging Face Space (user/space) or the URL of a Trackio server, in place of a folder",
    },
}


class TrackioBackend(BatchHooks, BackendPlugin):
    """Stores runs at Trackio: rows whole, steps in any order, each record once."""

    def __init__(self) -> None:
        self._run: RunView | None = None
        self._store: Any = None
        self._key: RunKey | None = None
        self._written = 0

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata. Trackio imports much, so it has a process of its own by default."""
        return PluginMetadata(
            name="trackio",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Stores runs at Trackio: in its local folder, in a Space, or on a server",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "media", "exactly_once"},
            isolation="process",
            mapping=mapping.MAPPING,
        )

    @hookimpl
    def import_runs(self, source: str) -> Iterable[ImportedRun] | None:
        """Read the runs in Trackio's databases; Trackio is not needed."""
        from tracelet_builtin_plugins.backends.trackio.history import import_trackio

        return import_trackio(source)

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` if it names both a folder and a server."""
        self._config = dict(config)
        if self._config.get("dir") and self._config.get("space_id"):
            raise ValueError(
                "plugins.trackio: expected dir or space_id, found both; a Space keeps its own data"
            )

    @hookimpl
    def start(self) -> None:
        """Forget the last run, and import what Trackio needs. Raises an error if it is not installed or too old.

        Trackio itself is imported with the first data: it chooses its folder while it is imported.
        """
        self._run = self._store = self._key = None
        self._written = 0
        import_extra("gradio_client", plugin="trackio", distribution="trackio", minimum=MINIMUM)

    @hookimpl
    def stop(self) -> None:
        """Close the database. Every call has committed what it stored."""
        if self._store is not None:
            self._store.close()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return where the data is, the project, and the number of values stored."""
        where = self._store.where() if self._store else None
        return {"where": where, "project": self._key.project if self._key else None, "written": self._written}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Remember the run. It is stored with the first data, as it may be renamed before."""
        self._run = run

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Store how the run ended."""
        self._note(run, lambda own: own.update(outcome=outcome))

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Store a batch of points, without those that are stored already."""
        key = self._key_of(run)
        rows = mapping.rows_of(points)
        for is_system in (False, True):
            self._written += self._store.add_rows(key, [row for row in rows if row.is_system is is_system])

    @hookimpl
    def log_params(self, params: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store parameters in the run's config; a later value replaces the earlier one."""
        given = {mapping.param_key(name): mapping.config_value(value) for name, value in params.items()}
        self._change(run, lambda config: config.update(given))

    @hookimpl
    def set_tags(self, tags: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store tags in the run's config."""
        given = mapping.config_value(dict(tags))
        self._note(run, lambda own: own.setdefault("tags", {}).update(given))

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any]) -> None:
        """Rename the run, and store other changes in its config. The project stays."""
        key = self._key_of(run)
        name = changes.get("name")
        if isinstance(name, str) and name.strip() and name != key.name:
            self._store.update_config(key, self._begin)
            self._store.rename(key, name)
            key.name = name
        more = {str(each): mapping.config_value(changes[each]) for each in changes if each != "name"}
        if more:
            self._note(run, lambda own: own.update(more))

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
        """Store an image, histogram, table, text, sound, video or mesh; anything else as an artifact."""
        key, file = self._key_of(run), Path(path)
        value = media.inline_value(kind, file)
        if value is None and (shown := media.file_type(kind, file)):
            place = f"{step or 0}/{mapping.artifact_name(_file_name(file, id))}"
            value = {"_type": shown, "file_path": self._store.add_file(key, file, place), "caption": None}
        if value is None:
            self._store.add_artifact(key, file, f"media/{mapping.artifact_name(name)}{file.suffix}", "media")
            return
        when = metadata.get("timestamp") or key.started_at
        log_id = f"{id[0]}:{id[1]:016d}:{id[2]}-{id[2]}" if id else None
        self._store.add_value(key, mapping.metric_key(name), value, step or 0, when, log_id)

    @hookimpl
    def log_artifact(
        self,
        local_path: str,
        artifact_path: str | None = None,
        run: RunView | None = None,
    ) -> None:
        """Store a file or folder as an artifact."""
        path = Path(local_path)
        target = f"{artifact_path.strip('/')}/{path.name}" if artifact_path else path.name
        self._store_of(run).add_artifact(self._key_of(run), path, target, "artifact")

    def _note(self, run: RunView | None, change: Callable[[Config], Any]) -> None:
        """Change what the config has under the key of tracelet."""

        def change_own(config: Config) -> None:
            change(config[mapping.OWN_KEY])

        self._change(run, change_own)

    def _change(self, run: RunView | None, change: Callable[[Config], Any]) -> None:
        def change_all(config: Config) -> None:
            self._begin(config)
            change(config)

        key = self._key_of(run)
        self._store.update_config(key, change_all)

    def _begin(self, config: Config) -> None:
        """Write into a new config what identifies the run."""
        key, run = self._key, self._run
        if key is not None:
            config.setdefault("_Created", mapping.iso_time(key.started_at))
            if not isinstance(config.get(mapping.OWN_KEY), dict):
                config[mapping.OWN_KEY] = {}
            own = config[mapping.OWN_KEY]
            own.setdefault("id", key.run_id)
            own.setdefault("project", run.project if run else "")

    def _store_of(self, run: RunView | None) -> Any:
        self._key_of(run)
        return self._store

    def _key_of(self, run: RunView | None) -> RunKey:
        run = self._known_run(run)
        if self._store is None:
            self._store = self._open(run)
        if self._key is None or self._key.run_id != run.id:
            project = mapping.project_name(self._config.get("project") or run.project)
            self._run, self._key = run, RunKey(project, run.id, run.name, run.started_at)
            self._key.name = self._store.find_name(self._key) or self._key.name
        return self._key

    def _open(self, run: RunView) -> Any:
        if self._config.get("space_id"):
            from tracelet_builtin_plugins.backends.trackio.space import SpaceStore

            return SpaceStore(self._config["space_id"])
        folder = self._config.get("dir")
        return LocalStore(in_project(folder, run.dir) if folder else None)


def _file_name(file: Path, id: RecordId | None) -> str:
    """Return a name that is the same each time that a record is delivered."""
    return f"{id[0]}-{id[1]}-{id[2]}{file.suffix}" if id else file.name
