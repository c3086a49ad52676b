"""The backend ``aim``: runs in a repository of Aim.

``docs/plugins/aim.md`` describes how everything appears there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.aim import mapping
from tracelet_builtin_plugins.batch_hooks import BatchHooks
from tracelet_builtin_plugins.locations import in_project
from tracelet_hookspecs import (
    BackendPlugin,
    ImportedRun,
    MetricData,
    PluginMetadata,
    PluginType,
    RunView,
    hookimpl,
)

if TYPE_CHECKING:
    from tracelet_builtin_plugins.backends.aim.repository import AimRun, Preparation

__all__ = ["AimBackend"]

_FACTS: Final = ("group", "parent", "job_type")  # of the run, which become attributes

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "repo": {
        "type": "string",
        "description": "the folder that contains .aim, relative to the project root, which is the default",
    },
    "experiment": {"type": "string", "description": "the experiment's name; the project by default"},
}


PATIENCE: Final = 20.0  # seconds to wait for the import and a new repository; a data hook may take 30
SHORT_PATIENCE: Final = 5.0  # the same in hooks that may take 10


class AimBackend(BatchHooks, BackendPlugin):
    """Writes each run to a repository of Aim, under a hash that is computed from the run's id."""

    _there: AimRun | None = None
    _preparation: Preparation | None = None
    _sent = 0
    _newest = 0.0

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="aim",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Writes runs to a repository of Aim",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "artifacts", "media", "exactly_once"},
            isolation="process",  # Aim starts threads, registers functions to call at exit, and imports slowly
            mapping=mapping.MAPPING,
        )

    @hookimpl
    def import_runs(self, source: str) -> Iterable[ImportedRun] | None:
        """Read the runs of a repository."""
        from tracelet_builtin_plugins.backends.aim.history import import_repository

        return import_repository(source)

    @staticmethod
    def takes_one_process() -> bool:
        """Say that rank zero alone delivers during a job: Aim locks a run for one process."""
        return True

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` for a remote repository."""
        self._config = dict(config)
        if "://" in (self._config.get("repo") or ""):
            raise ValueError(
                "plugins.aim.repo: expected a folder, found the address of a server; Aim sends to a server from a"
                " queue in memory, which would lose data at a kill"
            )

    @hookimpl
    def start(self) -> None:
        """Check that Aim is installed, and forget the last run."""
        from tracelet_builtin_plugins.backends.aim.repository import require_aim

        self._run = self._there = self._preparation = None
        self._sent, self._newest = 0, 0.0
        require_aim()

    @hookimpl
    def stop(self) -> None:
        """Close the run's databases."""
        there, self._there = self._there, None
        if there is not None:
            there.close()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the repository, the run's hash, and the number of points written."""
        if self._there is None:
            return {"repo": self._config.get("repo"), "points": self._sent}
        return {"repo": str(self._there.folder), "hash": self._there.hash, "points": self._sent}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Open the run, unless Aim needs longer: then the first data opens it."""
        self._run = run
        with suppress(TimeoutError):
            self._open(run, SHORT_PATIENCE)

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Store how the run ended, and the time of its last record."""
        if outcome != "running":  # that is: another process is still recording
            self._open(run, SHORT_PATIENCE).end(outcome, max(self._newest, run.started_at))

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Write points."""
        self._open(run).track(points)
        self._sent += len(points)
        self._newest = max([self._newest, *(point.timestamp or 0.0 for point in points)])

    @hookimpl
    def log_params(self, params: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store parameters."""
        self._open(run).set_params(params)

    @hookimpl
    def set_tags(self, tags: Mapping[str, Any], run: RunView | None = None) -> None:
        """Store tags."""
        self._open(run).set_tags(tags)

    @hookimpl
    def log_artifact(
        self, local_path: str, artifact_path: str | None = None, run: RunView | None = None
    ) -> None:
        """List a file, or each file of a folder, by reference."""
        there = self._open(run)
        local = Path(local_path).absolute()
        top = f"{artifact_path}/{local.name}" if artifact_path else local.name
        if not local.is_dir():
            there.add_artifact(top, local)
            return
        for folder, _, names in os.walk(local):
            for name in sorted(names):
                file = Path(folder, name)
                there.add_artifact(f"{top}/{file.relative_to(local).as_posix()}", file)

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
        """Write an image, a text, audio or a histogram; list anything else as an artifact."""
        from tracelet_builtin_plugins.backends.aim.media import object_of

        there = self._open(run)
        when = float(metadata.get("timestamp") or Path(path).stat().st_mtime)
        self._newest = max(self._newest, when)
        value = object_of(kind, path)
        if value is None:
            self.log_artifact(path, metadata.get("artifact_path"), run)
        else:
            there.track_object(value, name, step, when, mapping.media_context(kind))

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any]) -> None:
        """Store a new name, note, group, parent or project, and remove tags."""
        there = self._open(run)
        if changes.get("name"):
            there.set_name(str(changes["name"]))
        if changes.get("notes") is not None:
            there.set_notes(str(changes["notes"]))
        there.set_facts({key: changes[key] for key in _FACTS if changes.get(key) is not None})
        there.remove_tags(changes.get("untag") or ())
        if changes.get("project") and not self._config.get("experiment"):
            there.set_experiment(str(changes["project"]))

    # -- the run in Aim ---------------------------------------------------------------------------------

    def _open(self, run: RunView | None, within: float = PATIENCE) -> AimRun:
        run = self._known_run(run)
        if self._there is None or self._run is None or self._run.id != run.id:
            self.stop()
            self._there = self._open_there(run, within)
        self._run = run
        return self._there

    def _open_there(self, run: RunView, within: float) -> AimRun:
        from tracelet_builtin_plugins.backends.aim.repository import AimRun, Preparation

        folder = in_project(self._config.get("repo") or "", run.dir)
        if self._preparation is None or self._preparation.folder != folder:
            self._preparation = Preparation(folder)
        try:
            self._preparation.wait(within)
        except TimeoutError:
            raise
        except Exception:
            self._preparation = None  # try again with the next record
            raise
        return AimRun(folder, run, self._config.get("experiment") or run.project)
