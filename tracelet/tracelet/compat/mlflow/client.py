"""``MlflowClient``: the calls that name the run they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tracelet.compat.mlflow import experiments, fluent, handles, registry, searching
from tracelet.compat.mlflow.artifacts import copy_artifacts, list_run_artifacts
from tracelet.compat.mlflow.entities import Experiment, FileInfo, Metric, PagedList, Run, RunTag
from tracelet.compat.mlflow.handles import handle_of
from tracelet.compat.mlflow.recorded import OUTCOMES, record_of
from tracelet.compat.offered import not_offered

_CLOSEST: Final = {
    "search_traces": "search_runs",
    "rename_experiment": "tracelet edit",
    "delete_experiment": "tracelet delete",
    "create_registered_model": "mlflow.register_model, which records the name as a tag,",
    "transition_model_version_stage": "set_tag",
    "log_model": "mlflow.sklearn.log_model or that of another flavor",
}


class MlflowClient:
    """Records into runs by their id, and reads what is recorded. Its address makes no difference."""

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        if tracking_uri is not None:
            experiments.set_tracking_uri(tracking_uri)

    @property
    def tracking_uri(self) -> str:
        """The address."""
        return experiments.get_tracking_uri()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        offered = [each for each in dir(type(self)) if not each.startswith("_")]
        raise AttributeError(not_offered("mlflow.MlflowClient", name, offered, _CLOSEST))

    # -- experiments ------------------------------------------------------------------------------------

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> str:
        """Make an experiment known and return its id."""
        return experiments.create_experiment(name, artifact_location, tags)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment."""
        return experiments.get_experiment(experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment, or None."""
        return experiments.get_experiment_by_name(name)

    def search_experiments(
        self, view_type: int = 1, max_results: int | None = 1000, filter_string: str | None = None,
        order_by: list[str] | None = None, page_token: Any = None,
    ) -> PagedList:  # fmt: skip
        """Return the experiments."""
        return experiments.search_experiments(view_type, max_results, filter_string, order_by)

    # -- runs -------------------------------------------------------------------------------------------

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Start a run; it goes on until ``set_terminated`` or the end of the program."""
        handle = handles.start(run_name, experiment_id, None, tags=tags)
        return fluent.get_run(handle.run.id)

    def get_run(self, run_id: str) -> Run:
        """Return a run as it is recorded so far."""
        return fluent.get_run(run_id)

    def get_parent_run(self, run_id: str) -> Run | None:
        """Return the run that a nested run belongs to."""
        return fluent.get_parent_run(run_id)

    def search_runs(
        self,
        experiment_ids: Sequence[str] | str,
        filter_string: str = "",
        run_view_type: int = 1,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """Return the runs of experiments that fit a filter."""
        ids = [experiment_ids] if isinstance(experiment_ids, str) else list(experiment_ids)
        return searching.search(searching.projects(ids, None), filter_string, order_by, max_results)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run."""
        handle_of(run_id).run.finish(OUTCOMES.get((status or "FINISHED").upper(), "finished"))

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Rename a run, or end it with a status."""
        if name:
            handle_of(run_id).run.name = name
        if status and status != "RUNNING":
            self.set_terminated(run_id, status)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        fluent.delete_run(run_id)

    # -- recording --------------------------------------------------------------------------------------

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: Any,
        timestamp: int | None = None,
        step: int | None = None,
        **_: Any,
    ) -> None:
        """Record a point."""
        handle_of(run_id).log_metric(key, value, step, timestamp)

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Record a parameter."""
        handle_of(run_id).log_params({key: value})
        return value

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        """Record a tag."""
        handle_of(run_id).set_tags({key: value})

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        handle_of(run_id).delete_tag(key)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Any] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
    ) -> None:
        """Record many values at once."""
        handle = handle_of(run_id)
        for metric in metrics:
            handle.log_metric(metric.key, metric.value, metric.step, metric.timestamp)
        if params:
            handle.log_params({param.key: param.value for param in params})
        if tags:
            handle.set_tags({tag.key: tag.value for tag in tags})

    def log_artifact(self, run_id: str, local_path: Any, artifact_path: str | None = None) -> None:
        """Keep a file or folder."""
        handle_of(run_id).log_artifact(local_path, artifact_path)

    def log_artifacts(self, run_id: str, local_dir: Any, artifact_path: str | None = None) -> None:
        """Keep what is in a folder."""
        handle_of(run_id).log_artifacts(local_dir, artifact_path)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Keep a text as a file."""
        handle_of(run_id).log_text(text, artifact_file)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        """Keep a mapping as a file."""
        handle_of(run_id).log_dict(dictionary, artifact_file)

    def log_figure(
        self, run_id: str, figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Keep a figure as a file."""
        handle_of(run_id).log_figure(figure, artifact_file, save_kwargs)

    def log_image(
        self, run_id: str, image: Any, artifact_file: str | None = None, key: str | None = None,
        step: int | None = None, timestamp: int | None = None, synchronous: bool | None = None,
    ) -> None:  # fmt: skip
        """Keep a picture."""
        handle_of(run_id).log_image(image, artifact_file, key, step)

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:
        """Keep a table."""
        handle_of(run_id).log_table(data, artifact_file)

    # -- reading ----------------------------------------------------------------------------------------

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Return all points of a metric, in the order of recording; none for an unknown one."""
        record = record_of(run_id)
        if key not in record.metrics():
            return []
        series = record.metric(key)
        return [
            Metric(key, float(value), int(time * 1000), int(step))
            for value, time, step in zip(series.values, series.timestamps, series.iterations, strict=True)
        ]

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """Return the files and folders of a run."""
        return list_run_artifacts(record_of(run_id), path)

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        """Copy artifacts of a run and return their path."""
        return copy_artifacts(record_of(run_id), path, dst_path)

    def get_latest_versions(self, name: str, stages: list[str] | None = None) -> list[Any]:
        """Return the latest version of a registered model, in a list."""
        return [registry.latest_version(name)]

    def get_model_version(self, name: str, version: str) -> Any:
        """Return a version of a registered model."""
        return registry.version(name, str(version))
