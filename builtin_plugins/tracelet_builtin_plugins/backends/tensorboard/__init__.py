"""The backend ``tensorboard``: event files that TensorBoard shows, written without any of its packages.

``docs/plugins/tensorboard.md`` describes what goes where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.tensorboard.mapping import MAPPING, readable, writer_name
from tracelet_builtin_plugins.backends.tensorboard.media import Medium, load_medium, text_medium
from tracelet_builtin_plugins.backends.tensorboard.run_folder import RunFolder
from tracelet_builtin_plugins.backends.tensorboard.series import WriterSeries
from tracelet_builtin_plugins.batch_hooks import BatchHooks
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

__all__ = ["TensorBoardBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "log_dir": {
        "type": "string",
        "default": "runs",
        "description": "the log directory; a relative path starts at the project's root",
    },
    "precision": {
        "type": "string",
        "default": "float32",
        "description": "float32, for every reader; or float64, for readers of tensors (not the default web server)",
    },
    "fsync": {
        "type": "boolean",
        "default": False,
        "description": "wait until each batch is on the disk",
    },
}


class TensorBoardBackend(BatchHooks, BackendPlugin):
    """Writes event files: a folder per run and writer, each record once."""

    def __init__(self) -> None:
        self._run: RunView | None = None
        self._folder: RunFolder | None = None
        self._outcome = ""
        self._writers: dict[str, WriterSeries] = {}
        self._counts = {"written": 0, "repeats_skipped": 0}

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="tensorboard",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Writes event files for TensorBoard, without TensorFlow or any other package",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags", "media", "exactly_once"},
            mapping=MAPPING,
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration. Raises ``ValueError`` for an empty directory or an unknown precision."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)
        if not self._config["log_dir"]:
            raise ValueError("plugins.tensorboard.log_dir: expected a directory, found an empty string")
        if self._config["precision"] not in ("float32", "float64"):
            raise ValueError(
                "plugins.tensorboard.precision: expected 'float32' or 'float64', found"
                f" {self._config['precision']!r}"
            )

    @hookimpl
    def start(self) -> None:
        """Forget the last run. Files are opened when there is something to write."""
        self._run = self._folder = None
        self._outcome = ""
        self._writers = {}
        self._counts = dict.fromkeys(self._counts, 0)

    @hookimpl
    def stop(self) -> None:
        """Show when the run ended: points may have arrived after ``run_ended``. There is nothing to release."""
        if self._folder and self._outcome:
            self._show_end(self._folder, self._outcome)

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the run's folder, and the numbers of records written and of repeats skipped."""
        repeats = sum(series.repeats for series in self._writers.values())
        return {
            "folder": str(self._folder.path) if self._folder else None,
            "written": self._counts["written"],
            "repeats_skipped": self._counts["repeats_skipped"] + repeats,
        }

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Remember the run. Its folder is named with the first data, as the run may be renamed before."""
        self._run = run

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Show how the run ended."""
        self._show_end(self._folder_of(run), outcome)
        self._outcome = outcome

    def _show_end(self, folder: RunFolder, outcome: str) -> None:
        latest = max((series.latest for series in self._writers.values()), default=0.0)

        def change(state: dict[str, Any]) -> None:
            state.update(outcome=outcome, ended_at=max(latest, state["ended_at"]))

        folder.update(change)

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Append a batch of points, without those that the files have already."""
        for writer, own in groupby(points, key=lambda point: point.id[0] if point.id else ""):
            try:
                self._counts["written"] += self._series(writer, run).append_points(list(own))
            except BaseException:
                self._forget(writer)
                raise

    @hookimpl
    def log_params(self, params: Mapping[str, Any], run: RunView | None = None) -> None:
        """Show parameters; a later value of a parameter replaces the earlier one."""
        self._folder_of(run).update(lambda state: state["params"].update(params))

    @hookimpl
    def set_tags(self, tags: Mapping[str, Any], run: RunView | None = None) -> None:
        """Show tags."""
        self._folder_of(run).update(lambda state: state["tags"].update(tags))

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any]) -> None:
        """Show a new name, note or group; the folder keeps its name."""
        self._folder_of(run).update(lambda state: state["run"].update(changes))

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
        """Append an image, histogram, table, text, figure or sound."""
        medium = load_medium(kind, Path(path), self._label(path, run))
        self._append(name, medium, step, metadata.get("timestamp"), run, id)

    @hookimpl
    def log_artifact(
        self,
        local_path: str,
        artifact_path: str | None = None,
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Append the path of an artifact as a text: event files have no place for its content."""
        where = f" in `{readable(artifact_path)}`" if artifact_path else ""
        medium = text_medium(f"`{readable(self._label(local_path, run))}`{where}")
        self._append("tracelet/artifacts", medium, None, None, run, id)

    @hookimpl
    def import_runs(self, source: str, follow: bool = False) -> Iterable[ImportedRun | None] | None:
        """Read the runs of a folder with event files, whoever has written them."""
        from tracelet_builtin_plugins.backends.tensorboard.history import import_event_files

        return import_event_files(source, follow=follow)

    def _append(
        self,
        name: str,
        medium: Medium,
        step: int | None,
        wall_time: float | None,
        run: RunView | None,
        id: RecordId | None,
    ) -> None:
        writer = id[0] if id else ""
        series = self._series(writer, run)
        try:
            self._counts["written"] += series.append_value(
                medium.kind,
                name,
                medium.content,
                step=step,
                wall_time=wall_time,
                plugin=medium.plugin,
                identity=id,
            )
        except BaseException:
            self._forget(writer)
            raise

    def _label(self, path: str, run: RunView | None) -> str:
        """Return the path of a file relative to the run's folder, if it is in there."""
        run, found = run or self._run, Path(path)
        if run and found.is_relative_to(run.dir):
            found = found.relative_to(run.dir)
        return found.as_posix()

    def _series(self, writer: str, run: RunView | None) -> WriterSeries:
        folder = self._folder_of(run)
        if writer not in self._writers:
            name = writer_name(writer)
            self._writers[writer] = WriterSeries(
                folder.of_writer(name),
                name,
                folder.started_at,
                double=self._config["precision"] == "float64",
                fsync=self._config["fsync"],
            )
        return self._writers[writer]

    def _forget(self, writer: str) -> None:
        """Read the files again before the next batch: after a failure nobody knows how much of it they have."""
        series = self._writers.pop(writer, None)
        self._counts["repeats_skipped"] += series.repeats if series else 0

    def _folder_of(self, run: RunView | None) -> RunFolder:
        run = self._known_run(run)
        if self._folder is None or self._folder.run_id != run.id:
            self._writers = {}
            log_dir = in_project(self._config["log_dir"], run.dir)
            if log_dir == run.dir.absolute().parent:  # a data folder of another name than .tracelet
                log_dir = log_dir.with_name("tensorboard")
            self._folder = RunFolder(log_dir, run, fsync=self._config["fsync"])
        return self._folder
