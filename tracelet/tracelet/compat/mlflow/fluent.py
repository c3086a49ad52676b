"""The functions that record into the active run, and start one if there is none."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from tracelet.compat.mlflow import handles
from tracelet.compat.mlflow.entities import Run, RunData, RunInfo, RunInputs
from tracelet.compat.mlflow.exceptions import MlflowException
from tracelet.compat.mlflow.experiments import current_project, experiment_id_of
from tracelet.compat.mlflow.handles import RunHandle, handle_of
from tracelet.compat.mlflow.recorded import OUTCOMES, artifact_uri, record_of, run_of, user
from tracelet.compat.mlflow.tables import load_table
from tracelet.compat.offered import note_once
from tracelet.run.run import outcome_of

__all__ = [
    "ActiveRun",
    "active_run",
    "delete_run",
    "delete_tag",
    "end_run",
    "get_artifact_uri",
    "get_parent_run",
    "get_run",
    "last_active_run",
    "load_table",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_stream",
    "log_table",
    "log_text",
    "search_runs",
    "set_tag",
    "set_tags",
    "start_run",
]

_END: Final = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed", "SCHEDULED": "finished"}


class ActiveRun(Run):
    """A run that ``start_run`` has started; as a context manager it ends itself."""

    def __init__(self, handle: RunHandle) -> None:
        self.handle = handle
        self.tracelet_run = handle.run

    @property
    def info(self) -> RunInfo:
        """What is known of the run besides its data."""
        run = self.handle.run
        ended = run.outcome is not None and run.dir.is_dir()
        return RunInfo(
            run_id=run.id,
            experiment_id=experiment_id_of(run.project),
            status=_status(run.outcome),
            start_time=int(run.started_at * 1000),
            end_time=run_of(record_of(run.id)).info.end_time if ended else None,
            artifact_uri=artifact_uri(run.dir),
            run_name=run.name,
            user_id=user(),
        )

    @property
    def data(self) -> RunData:
        """What it recorded so far; nothing in a disabled run."""
        if not self.handle.run.dir.is_dir():
            return RunData({}, {}, {})
        return run_of(record_of(self.handle.run.id)).data

    @property
    def inputs(self) -> Any:
        """Its data sets, which are recorded as tags."""
        return RunInputs()

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self, *outcome_of(error))


def _status(outcome: str | None) -> str:
    return (
        "RUNNING"
        if outcome is None
        else next((key for key, one in OUTCOMES.items() if one == outcome), "FINISHED")
    )


class _Threads(threading.local):
    """The runs that are active in each thread, innermost last."""

    def __init__(self) -> None:
        self.stack: list[ActiveRun] = []


_threads = _Threads()
_last: list[str] = []


def start_run(
    run_id: str | None = None,
    experiment_id: str | int | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """Start a run, or continue the one with ``run_id``, and make it the active one.

    Raises:
        Exception: a run is active, and ``nested`` is not given.
    """
    stack = _threads.stack
    if stack and not nested:
        raise Exception(
            f"Run with UUID {stack[-1].info.run_id} is already active. To start a new run, first end the "
            "current run with mlflow.end_run(). To start a nested run, call start_run with nested=True"
        )
    run_id = run_id or (None if stack else os.environ.pop("MLFLOW_RUN_ID", None))
    if run_id is not None:
        handle = handle_of(run_id)
        if tags:
            handle.set_tags(tags)
    else:
        parent = parent_run_id or (stack[-1].handle.run.id if stack else None)
        project = stack[-1].handle.run.project if stack and experiment_id is None else current_project()
        name = run_name or (os.environ.get("MLFLOW_RUN_NAME") if not stack else None)
        handle = handles.start(name, experiment_id, project, parent, tags, description)
    started = ActiveRun(handle)
    stack.append(started)
    return started


def end_run(status: str = "FINISHED") -> None:
    """End the active run, if there is one."""
    if _threads.stack:
        name = status if isinstance(status, str) else "FINISHED"
        _end(_threads.stack[-1], _END.get(name.upper(), "finished"), None)


def _end(active: ActiveRun, outcome: str, error: str | None) -> None:
    if active in _threads.stack:
        del _threads.stack[_threads.stack.index(active) :]
    _last[:] = [active.handle.run.id]
    active.handle.run.finish(outcome, error=error)


def active_run() -> ActiveRun | None:
    """Return the active run of this thread, or None."""
    stack = _threads.stack
    while stack and stack[-1].handle.run.outcome is not None:
        stack.pop()
    return stack[-1] if stack else None


def last_active_run() -> Run | None:
    """Return the active run, else the one that ended last, or None."""
    if (active := active_run()) is not None:
        return active
    return get_run(_last[0]) if _last else None


def _handle(run_id: str | None = None) -> RunHandle:
    """Return the run to record into: one by id, the active one, or a new one."""
    if run_id is not None:
        return handle_of(run_id)
    active = active_run()
    return (active if active is not None else start_run()).handle


def log_metric(
    key: str,
    value: Any,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Record a point of a metric, at step 0 if none is given."""
    _handle(run_id).log_metric(key, value, step, timestamp)


def log_metrics(
    metrics: Mapping[str, Any],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Record points of several metrics at one step."""
    _handle(run_id).log_metrics(metrics, step, timestamp)


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Record a parameter and return its value."""
    _handle().log_params({key: value})
    return value


def log_params(params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> None:
    """Record parameters."""
    _handle(run_id).log_params(params)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Record a tag."""
    _handle().set_tags({key: value})


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    """Record tags."""
    _handle().set_tags(tags)


def delete_tag(key: str) -> None:
    """Remove a tag.

    Raises:
        MlflowException: the run has no such tag.
    """
    _handle().delete_tag(key)


def log_artifact(local_path: Any, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Keep a file or folder."""
    _handle(run_id).log_artifact(local_path, artifact_path)


def log_artifacts(local_dir: Any, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Keep what is in a folder."""
    _handle(run_id).log_artifacts(local_dir, artifact_path)


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a text as a file."""
    _handle(run_id).log_text(text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a mapping as a file of JSON or YAML."""
    _handle(run_id).log_dict(dictionary, artifact_file)


def log_stream(stream: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keep what a binary stream holds as a file."""
    _handle(run_id).log_file(artifact_file, lambda path: _write_stream(path, stream))


def _write_stream(path: Any, stream: Any) -> None:
    import shutil

    with path.open("wb") as file:
        shutil.copyfileobj(stream, file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None) -> None:
    """Keep a figure as a file."""
    _handle().log_figure(figure, artifact_file, save_kwargs)


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = False,
) -> None:
    """Keep a picture as a file, or as the value of ``key`` at a step."""
    _handle().log_image(image, artifact_file, key, step)


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a table; rows logged later to the same file are added."""
    _handle(run_id).log_table(data, artifact_file)


def log_input(
    dataset: Any = None, context: str | None = None, tags: Mapping[str, str] | None = None, model: Any = None
) -> None:
    """Record which data set the run uses, as a tag."""
    if dataset is not None:
        described = {"digest": getattr(dataset, "digest", ""), "context": context or "", **(tags or {})}
        text = ", ".join(f"{key} {value}" for key, value in described.items() if value)
        _handle().set_tags({f"dataset/{getattr(dataset, 'name', 'dataset')}": text})


def log_inputs(
    datasets: Sequence[Any] | None = None,
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Any] | None = None,
    models: Any = None,
) -> None:
    """Record which data sets the run uses."""
    several = list(datasets or ())
    for dataset, context in zip(several, contexts or [None] * len(several), strict=True):
        log_input(dataset, context)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Return where the artifacts of the active run are."""
    uri = artifact_uri(_handle().run.dir)
    return uri if artifact_path is None else f"{uri}/{artifact_path}"


def get_run(run_id: str) -> Run:
    """Return a run as it is recorded so far.

    Raises:
        MlflowException: there is none.
    """
    handle = handles.open_handle(run_id)
    if handle is not None and not handle.run.dir.is_dir():  # a disabled run
        return ActiveRun(handle)
    return run_of(record_of(run_id))


def get_parent_run(run_id: str) -> Run | None:
    """Return the run that a nested run belongs to, or None."""
    parent = record_of(run_id).parent
    return get_run(parent) if parent else None


def delete_run(run_id: str) -> None:
    """Mark a run as deleted, with a tag: ``tracelet delete`` removes it."""
    record_of(run_id)
    handle_of(run_id).set_tags({"deleted": "true"})
    note_once("mlflow.delete_run: the run is kept and gets the tag 'deleted'; tracelet delete RUN removes it")


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int = 1,
    max_results: int = 100000,
    order_by: Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> Any:
    """Return the runs of experiments that fit a filter, as a DataFrame of pandas or a list."""
    from tracelet.compat.mlflow import searching

    projects = searching.projects(experiment_ids, experiment_names, everything=search_all_experiments)
    runs = searching.search(projects, filter_string, order_by, max_results)
    if output_format == "list":
        return runs
    if output_format != "pandas":
        raise MlflowException.invalid_parameter_value(
            f"Unsupported output format: {output_format}. Supported string values are 'pandas' or 'list'"
        )
    return searching.frame(runs)
