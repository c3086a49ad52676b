"""The run in MLflow: found again or created, and what has to be known of it to write to it."""

from __future__ import annotations

import getpass
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.request import pathname2url

from tracelet_builtin_plugins.backends.mlflow import mapping
from tracelet_builtin_plugins.backends.mlflow.client import (
    PATIENCE,
    DeletedError,
    OutageError,
    RefusedError,
    Server,
)
from tracelet_hookspecs import MetricData, RunView

__all__ = ["RUN_ID_TAG", "ExternalRun", "find_known_run", "find_run", "map_tags", "open_run"]

RUN_ID_TAG: Final = "tracelet.run_id"
_PAGE: Final = 1000  # experiments in one search
_SAME_START: Final = 2.0  # seconds

metric_key: Final = lru_cache(maxsize=100_000)(mapping.metric_key)  # names are repeated often


def open_run(
    server: Server, run: RunView, experiment: str, tags: Mapping[str, str], name: str, artifacts: Path | None
) -> ExternalRun:
    """Return tracelet's run in MLflow. It is created if it is not there yet.

    ``artifacts`` is the folder for artifacts of a new experiment, for a database that has no server.

    Raises:
        DeletedError: the run, or the experiment, was deleted.
    """
    client = server.connect()
    with server.errors():
        experiment_id = _experiment(client, experiment, artifacts)
        found = _find(client, run, experiment_id)
        if found is None:
            all_tags = {
                RUN_ID_TAG: run.id,
                "tracelet.project": mapping.fit_text(run.project, mapping.TAG_LIMIT),
            }
            found = client.create_run(
                experiment_id,
                start_time=mapping.milliseconds(run.started_at),
                tags={"mlflow.user": _user(), "mlflow.source.type": "LOCAL", **all_tags, **tags},
                run_name=mapping.run_name(name) or None,
            )
    return _check_run(server, found)


def find_known_run(server: Server, run: RunView, experiment: str) -> ExternalRun | None:
    """Return tracelet's run in MLflow; ``None`` if it is not there yet. Nothing is created.

    Raises:
        DeletedError: the run, or the experiment, was deleted.
    """
    client = server.connect()
    with server.errors():
        known = client.get_experiment_by_name(mapping.experiment_name(experiment))
        experiment_id = None if known is None else _check_experiment(known)
        found = _find(client, run, experiment_id)
    return None if found is None else _check_run(server, found)


def _find(client: Any, run: RunView, experiment_id: str | None) -> Any:
    here = None if experiment_id is None else find_run(client, run.id, [experiment_id])
    return here or _find_elsewhere(client, run, experiment_id)


def _check_run(server: Server, found: Any) -> ExternalRun:
    if found.info.lifecycle_stage != "active":
        raise deleted(found.info.run_id)
    return ExternalRun(server, found)


def find_run(client: Any, run_id: str, experiments: Sequence[str]) -> Any:
    """Return the MLflow run of a tracelet run, a deleted one included; ``None`` if there is none."""
    found = client.search_runs(
        list(experiments),
        filter_string=f"tags.`{RUN_ID_TAG}` = '{run_id}'",
        run_view_type=3,  # ViewType.ALL: deleted runs too
        max_results=10,
        order_by=["attributes.start_time ASC"],
    )
    active = [one for one in found if one.info.lifecycle_stage == "active"]
    return next(iter([*active, *found]), None)


def _find_elsewhere(client: Any, run: RunView, experiment_id: str | None) -> Any:
    """Return the run from another experiment, if its project was renamed.

    Two projects may have runs of the same id; those did not start at the same time.
    """
    token = None
    while True:
        page = client.search_experiments(max_results=_PAGE, page_token=token)
        others = [one.experiment_id for one in page if one.experiment_id != experiment_id]
        found = find_run(client, run.id, others) if others else None
        if found is not None and abs(found.info.start_time / 1000 - run.started_at) < _SAME_START:
            return found
        token = page.token
        if not token:
            return None


def _experiment(client: Any, name: str, artifacts: Path | None) -> str:
    """Return the id of an experiment, which is created if it is not there yet."""
    name = mapping.experiment_name(name)
    found = client.get_experiment_by_name(name)
    if found is None:
        where = (
            None
            if artifacts is None
            else f"file://{pathname2url(str(artifacts / mapping.artifact_name(name)))}"
        )
        try:
            return str(client.create_experiment(name, artifact_location=where))
        except Exception:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise  # otherwise another process was quicker
    return _check_experiment(found)


def _check_experiment(found: Any) -> str:
    if found.lifecycle_stage != "active":
        raise DeletedError(
            f"experiment {found.name!r} was deleted in MLflow; restore it with"
            f" `mlflow experiments restore --experiment-id {found.experiment_id}`, or set another"
            " plugins.mlflow.experiment"
        )
    return str(found.experiment_id)


def deleted(run_id: str) -> DeletedError:
    """Return the error for a deleted run."""
    return DeletedError(
        f"run {run_id} was deleted in MLflow; restore it with `mlflow runs restore --run-id {run_id}`, or remove it for"
        f" good with `mlflow gc --run-ids {run_id}`; then `tracelet sync` continues"
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


class ExternalRun:
    """Writes to one run. It remembers the parameters and its own tags, since parameters never change in MLflow."""

    def __init__(self, server: Server, found: Any) -> None:
        self.id: str = found.info.run_id
        self.experiment_id: str = found.info.experiment_id
        self.status: str = found.info.status
        self.params: dict[str, str] = dict(found.data.params)
        self.tags: dict[str, str] = dict(found.data.tags)
        self.sent = 0  # points
        self._batch: Any = None  # what identifies a batch of points that was sent in part
        self._done = 0  # requests of it that have succeeded
        self._server = server

    # -- what hooks send --------------------------------------------------------------------------------

    def send_points(self, points: Sequence[MetricData]) -> None:
        """Store points; return when MLflow has them all."""
        from mlflow.entities import Metric

        metrics, tags = [], {}
        for point in points:
            key, value, step = metric_key(point.name), float(point.value), mapping.step_of(point.iteration)
            if key != point.name:
                tags.update(_original(key, point.name))
            if math.isinf(value):
                tag = mapping.own_tag("inf", key)
                tags[tag] = mapping.note_infinity(tags.get(tag) or self.tags.get(tag, ""), value, step)
            metrics.append(Metric(key, mapping.number(value), mapping.milliseconds(point.timestamp), step))
        self._send_metrics((points[0].id, points[-1].id, len(points)) if points else None, metrics)
        self.send_tags(tags)
        self.sent += len(metrics)

    def _send_metrics(self, batch: Any, metrics: Sequence[Any]) -> None:
        """Send metrics; a batch that is repeated continues after the requests that have succeeded."""
        if batch is None or batch != self._batch:
            self._batch, self._done = batch, 0
        chunks = list(mapping.chunks(metrics, _cost_of_metric, mapping.METRICS_PER_REQUEST))
        for chunk in in_time(chunks[self._done :]):
            self._log_batch(metrics=chunk)
            self._done += 1
        self._batch = None

    def send_params(self, params: Mapping[str, Any]) -> None:
        """Store parameters: the first value of each as a parameter, later ones as a tag."""
        fresh: dict[str, str] = {}
        tags: dict[str, str] = {}
        for name, value in params.items():
            key, whole = metric_key(name), mapping.text(value)
            short = mapping.fit_text(whole, mapping.PARAM_LIMIT)
            if key != name:
                tags.update(_original(key, name))
            known = self.params.get(key)
            if known is None:
                fresh[key] = short
            latest = mapping.own_tag("param", key)
            if short != whole or known not in (None, short) or latest in self.tags:
                tags.update(mapping.parts_of("param", key, whole))
        self._send_fresh_params(fresh, tags)
        self.send_tags(tags)

    def _send_fresh_params(self, fresh: dict[str, str], tags: dict[str, str]) -> None:
        from mlflow.entities import Param

        entries = [Param(key, value) for key, value in fresh.items()]
        for chunk in in_time(mapping.chunks(entries, _cost_of_entry, mapping.OTHERS_PER_REQUEST)):
            try:
                self._log_batch(params=chunk)
            except RefusedError:
                if not self._learn_params():
                    raise
                # Another program has written some of them in the meantime: its values came first.
                left = [entry for entry in chunk if entry.key not in self.params]
                self._log_batch(params=left)
                for entry in chunk:
                    if self.params.get(entry.key, entry.value) != entry.value:
                        tags.update(mapping.parts_of("param", entry.key, entry.value))
            self.params.update({entry.key: entry.value for entry in chunk if entry.key not in self.params})

    def _learn_params(self) -> bool:
        """Read the parameters again; say whether there are new ones."""
        before = set(self.params)
        with self._server.errors():
            self.params = dict(self._server.connect().get_run(self.id).data.params)
        return bool(self.params.keys() - before)

    def send_user_tags(self, tags: Mapping[str, Any]) -> None:
        """Store the user's tags."""
        self.send_tags(map_tags(tags))

    def send_tags(self, tags: Mapping[str, str]) -> None:
        """Store tags whose keys and values fit, those that MLflow has already excepted."""
        from mlflow.entities import RunTag

        entries = [RunTag(key, value) for key, value in tags.items() if self.tags.get(key) != value]
        for chunk in in_time(mapping.chunks(entries, _cost_of_entry, mapping.OTHERS_PER_REQUEST)):
            self._log_batch(tags=chunk)
            self.tags.update({entry.key: entry.value for entry in chunk})

    def remove_tags(self, names: Iterable[str]) -> None:
        """Remove tags of the user's that MLflow has."""
        client = self._server.connect()
        for key in map(mapping.tag_key, names):
            if key in self.tags:
                with self._server.errors():
                    client.delete_tag(self.id, key)
                del self.tags[key]

    def send_file(self, path: str, folder: str | None) -> None:
        """Store a file, or all files of a folder, below a folder of the run's artifacts."""
        client = self._server.connect()
        with self._server.errors():
            if Path(path).is_dir():
                client.log_artifacts(self.id, path, folder)
            else:
                client.log_artifact(self.id, path, folder)

    def rename(self, name: str) -> None:
        """Give the run another name."""
        client = self._server.connect()
        with self._server.errors():
            client.update_run(self.id, name=mapping.run_name(name))

    def set_status(self, status: str, end_time: float | None = None) -> None:
        """Say that the run goes on, or has ended."""
        client = self._server.connect()
        with self._server.errors():
            if end_time is None:
                client.update_run(self.id, status=status)
            else:
                _terminate(client, self.id, status, mapping.milliseconds(end_time))
        self.status = status

    def _log_batch(self, **entries: Iterable[Any]) -> None:
        client = self._server.connect()
        try:
            with self._server.errors():
                client.log_batch(self.id, **entries)
        except (RefusedError, OSError) as error:
            self._require_active(error)
            raise

    def _require_active(self, error: Exception) -> None:
        """Raise :class:`DeletedError` if that is why a request failed."""
        said = str(error)
        if self.id not in said or not any(word in said for word in ("active", "not found", "deleted")):
            return
        if "not found" in said:
            raise DeletedError(
                f"run {self.id} is no longer in MLflow, with what was delivered to it; to deliver everything"
                " again, remove delivery/mlflow.* in the run's folder and call `tracelet sync`"
            ) from error
        raise deleted(self.id) from error


def _terminate(client: Any, run_id: str, status: str, end_time: int) -> None:
    """End a run, without what ``set_terminated`` does besides: it prints, and stops asynchronous logging for all."""
    from mlflow.entities import RunStatus

    service = getattr(client, "_tracking_client", None)
    if service is None:
        client.set_terminated(run_id, status, end_time)
    else:
        service.store.update_run_info(run_id, RunStatus.from_string(status), end_time, None)


def in_time(chunks: Iterable[Any]) -> Iterator[Any]:
    """Yield what to send while there is time; then raise :class:`OutageError`, so that the next call continues.

    A slow server cannot store thousands of parameters within the deadline of one call.
    """
    end = time.monotonic() + PATIENCE
    for number, chunk in enumerate(chunks):
        if number and time.monotonic() > end:
            raise OutageError(
                f"MLflow needs more than {PATIENCE:.0f} s for one batch; the next attempt continues"
            )
        yield chunk


def map_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Return the user's tags as MLflow accepts them, with those that keep what had to change."""
    mapped: dict[str, str] = {}
    for name, value in tags.items():
        key, whole = mapping.tag_key(name), mapping.text(value)
        mapped[key] = mapping.fit_text(whole, mapping.TAG_LIMIT)
        if key != name:
            mapped.update(_original(key, name))
        if mapped[key] != whole:
            mapped.update(mapping.parts_of("tag", key, whole))
    return mapped


def _original(key: str, name: str) -> dict[str, str]:
    """Return the tag that keeps the original of a key that had to change."""
    return {mapping.own_tag("name", key): mapping.fit_text(name, mapping.TAG_LIMIT)}


def _cost_of_metric(metric: Any) -> int:
    return mapping.cost(metric.key)


def _cost_of_entry(entry: Any) -> int:
    return mapping.cost(entry.key, entry.value)
