"""What a backend should have received of a run: the journal after processors and routes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tracelet.delivery.pipeline.event_calls import UndeliverableError, arguments_for, hook_for
from tracelet.delivery.pipeline.plan import Plan, Step, columns_of, id_of_event
from tracelet.delivery.pipeline.planner import Planner
from tracelet.delivery.pipeline.processors import BackendProcessors, ProcessorObjects, names_of_processors
from tracelet.delivery.pipeline.reader import Batch
from tracelet.delivery.pipeline.routes import Routes
from tracelet.journal import Chunk, Cursor, EventRecord, Follower, Record, group_points, writers
from tracelet_hookspecs import BACKEND_HOOKS, MetricData

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

_ALL = 1 << 20  # records of one read


@attrs.define
class Artifact:
    """One artifact: the files in it by their paths among the run's artifacts."""

    path: str
    files: dict[str, Path]


@attrs.define
class Media:
    """One media file."""

    name: str
    step: int | None
    kind: str
    path: Path
    metadata: dict[str, Any]


@attrs.define
class Received:
    """What a backend is given of a run, in order."""

    points: list[MetricData] = attrs.field(factory=list)
    param_events: list[dict[str, Any]] = attrs.field(factory=list)
    tag_events: list[dict[str, Any]] = attrs.field(factory=list)
    changes: list[dict[str, Any]] = attrs.field(factory=list)
    artifacts: list[Artifact] = attrs.field(factory=list)
    media: list[Media] = attrs.field(factory=list)
    ids: list[Any] = attrs.field(factory=list)

    @property
    def params(self) -> dict[str, Any]:
        """All parameters; a later value replaces an earlier one."""
        return _merged(self.param_events)

    @property
    def tags(self) -> dict[str, Any]:
        """All tags; a later value replaces an earlier one."""
        return _merged(self.tag_events)

    def add(self, hook: str, given: dict[str, Any]) -> None:
        """Add what one call of a hook is given."""
        if hook == "log_columns":
            given = {"points": given["columns"].points()}
        if "points" in given:
            self.points += given["points"]
        elif hook == "log_metric":
            self.points.append(_point_of(given))
        elif hook == "log_params":
            self.param_events.append(dict(given["params"]))
        elif hook == "set_tags":
            self.tag_events.append(dict(given["tags"]))
        elif hook == "run_changed":
            self.changes.append(dict(given["changes"]))
        elif hook == "log_artifact":
            self.artifacts.append(artifact_of(given["local_path"], given.get("artifact_path")))
        elif hook == "log_media":
            self.media.append(
                Media(given["name"], given.get("step"), given["kind"], Path(given["path"]), given["metadata"])
            )
        self.ids += [point.id for point in given["points"]] if "points" in given else [given.get("id")]


def _merged(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for event in events for key, value in event.items()}


def _point_of(given: dict[str, Any]) -> MetricData:
    return MetricData(
        given["name"],
        given["value"],
        iteration=given.get("iteration"),
        timestamp=given.get("timestamp") or float("nan"),
        id=given.get("id"),
    )


def artifact_of(local_path: str, artifact_path: str | None) -> Artifact:
    """Return the files of an artifact by the paths that they have among the run's artifacts."""
    local = Path(local_path)
    top = f"{artifact_path}/{local.name}" if artifact_path else local.name
    if not local.is_dir():
        return Artifact(top, {top: local})
    files = {}
    for folder, _, names in os.walk(local):
        for name in names:
            file = Path(folder, name)
            files[f"{top}/{file.relative_to(local).as_posix()}"] = file
    return Artifact(top, files)


def expected(
    run: Any, backend: str, manager: PluginManager | None = None, *, records: Iterable[Record] | None = None
) -> Received:
    """Return what a backend should have received of a run, computed from the journal after processors and routes.

    Args:
        run: the run, or its folder.
        backend: the plugin's name.
        manager: has the backend, the processors and their configuration; by default the run's own.
        records: limits it to these records of the run's only writer.
    """
    run_dir = Path(run) if isinstance(run, (str, os.PathLike)) else Path(run.dir)
    manager = manager if manager is not None else run.manager
    planner = _planner(manager, backend)
    received = Received()
    for writer in writers(run_dir):
        plan = Plan()
        found = group_points(records) if records is not None else _read(run_dir, writer)
        planner.extend(plan, Batch(writer, None, found, Cursor(), Cursor()))
        for step in plan.steps:
            _add(received, step, run_dir)
    return received


def _planner(manager: PluginManager, backend: str) -> Planner:
    handle = manager.handle(backend)
    objects = ProcessorObjects(manager)
    for name in names_of_processors(manager):  # the first user gets the host's own object, with its state
        processor = manager.handle(name)
        processor.submit(partial(objects.function, processor, ""), step="process_metric", calls=0)
    processors = BackendProcessors(objects, backend)

    def handles(kind: Any) -> bool:
        return handle.plugin is None or bool(handle.ask("can_handle_type", kind, convert=bool, default=True))

    return Planner(Routes(manager.options(backend)), processors, implements_of(manager, backend), handles)


def implements_of(manager: PluginManager, backend: str) -> Any:
    """Return a function that says whether a backend has a hook, wherever it runs."""
    from tracelet.host.discovery import implementations

    info = manager.plugins[backend]
    hooks = {one.hook for one in implementations(info.instance) if not one.wraps}
    return lambda hook: hook in hooks and hook in BACKEND_HOOKS


def read_points(run_dir: Path) -> list[MetricData]:
    """Return all points of a run as they were recorded."""
    return [point for writer in writers(run_dir) for point in points_of(writer, _read(run_dir, writer))]


def points_of(writer: str, chunks: Iterable[Chunk]) -> list[MetricData]:
    """Return the points among what was read of a writer."""
    columns = [columns_of(writer, chunk) for chunk in chunks if not isinstance(chunk, EventRecord)]
    return [point for each in columns for point in each.points()]


def _read(run_dir: Path, writer: str) -> list[Chunk]:
    follower = Follower(run_dir, writer)
    found: list[Chunk] = []
    while chunks := follower.read_columns(_ALL):
        found += chunks
    return found


def _add(received: Received, step: Step, run_dir: Path) -> None:
    if step.event is None:
        received.points += step.points.points()
        received.ids += step.points.ids()
        return
    hook = step.hook if step.hook != "log_event" else hook_for(step.event, _has_all_but_log_event)
    if not hook:
        return
    try:
        given = arguments_for(hook, step.event, run_dir)
    except UndeliverableError:
        return
    received.add(hook, {**given, "id": id_of_event(step.writer, step.event)})


def _has_all_but_log_event(hook: str) -> bool:
    """Say what each other hook would have been given in place of ``log_event``."""
    return hook != "log_event"
