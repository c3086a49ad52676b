"""The objects that MLflow's reading calls return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """A point of a metric; ``timestamp`` in milliseconds."""

    key: str
    value: float
    timestamp: int
    step: int = 0


class Param(NamedTuple):
    """A parameter."""

    key: str
    value: str


class RunTag(NamedTuple):
    """A tag of a run."""

    key: str
    value: str


class ExperimentTag(NamedTuple):
    """A tag of an experiment."""

    key: str
    value: str


class FileInfo(NamedTuple):
    """A file or folder among the artifacts."""

    path: str
    is_dir: bool
    file_size: int | None


class RunStatus:
    """The states of a run."""

    RUNNING, SCHEDULED, FINISHED, FAILED, KILLED = 1, 2, 3, 4, 5
    _NAMES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}

    @staticmethod
    def to_string(status: int) -> str:
        """Return the name of a state."""
        return RunStatus._NAMES[status]

    @staticmethod
    def from_string(status_str: str) -> int:
        """Return the state of a name."""
        return {name: status for status, name in RunStatus._NAMES.items()}[status_str]

    @staticmethod
    def is_terminated(status: Any) -> bool:
        """Return whether a run has ended."""
        return status in (3, 4, 5, "FINISHED", "FAILED", "KILLED")


class ViewType:
    """Which runs are wanted."""

    ACTIVE_ONLY, DELETED_ONLY, ALL = 1, 2, 3


class LifecycleStage:
    """Whether a run is deleted."""

    ACTIVE, DELETED = "active", "deleted"


class _Plain:
    """An object with attributes that also reads as a mapping."""

    def to_dictionary(self) -> dict[str, Any]:
        """Return the attributes."""
        return dict(vars(self))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(vars(self).items())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {', '.join(f'{key}={value!r}' for key, value in vars(self).items())}>"
        )


class RunInfo(_Plain):
    """What is known of a run besides its data; times in milliseconds."""

    def __init__(
        self,
        run_id: str,
        experiment_id: str,
        status: str,
        start_time: int | None,
        end_time: int | None,
        artifact_uri: str,
        run_name: str,
        user_id: str = "",
        lifecycle_stage: str = "active",
    ) -> None:
        self.run_id = run_id
        self.run_uuid = run_id
        self.experiment_id = experiment_id
        self.status = status
        self.start_time = start_time
        self.end_time = end_time
        self.artifact_uri = artifact_uri
        self.run_name = run_name
        self.user_id = user_id
        self.lifecycle_stage = lifecycle_stage


class RunData(_Plain):
    """The last values of a run's metrics, its parameters as texts, and its tags."""

    def __init__(
        self, metrics: Mapping[str, float], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        self.metrics = dict(metrics)
        self.params = dict(params)
        self.tags = dict(tags)


class RunInputs(_Plain):
    """The data sets of a run."""

    def __init__(self, dataset_inputs: list[Any] | None = None) -> None:
        self.dataset_inputs = dataset_inputs or []


class Run:
    """A run."""

    def __init__(self, run_info: RunInfo, run_data: RunData, run_inputs: RunInputs | None = None) -> None:
        self._info = run_info
        self._data = run_data
        self._inputs = run_inputs or RunInputs()

    @property
    def info(self) -> RunInfo:
        """What is known of the run besides its data."""
        return self._info

    @property
    def data(self) -> RunData:
        """What it recorded."""
        return self._data

    @property
    def inputs(self) -> RunInputs:
        """Its data sets."""
        return self._inputs

    def to_dictionary(self) -> dict[str, Any]:
        """Return everything as a dict."""
        return {"info": self.info.to_dictionary(), "data": self.data.to_dictionary()}

    def __repr__(self) -> str:
        return f"<Run: data={self.data!r}, info={self.info!r}>"


class Experiment(_Plain):
    """An experiment: a project of tracelet."""

    def __init__(
        self,
        experiment_id: str,
        name: str,
        artifact_location: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.experiment_id = experiment_id
        self.name = name
        self.artifact_location = artifact_location
        self.lifecycle_stage = "active"
        self.tags = dict(tags or {})
        self.creation_time: int | None = None
        self.last_update_time: int | None = None


class PagedList(list[Any]):
    """A list that has no further page."""

    token = None
