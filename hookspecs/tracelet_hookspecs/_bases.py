"""Base classes for plugins. Subclassing is a convenience: any object with hook implementations will do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from tracelet_hookspecs._records import MetricData, MetricType, PluginMetadata

Config = Any  # a mapping, or an instance of the attrs class that config_schema names


class MetricSink(ABC):
    """Something that takes metrics."""

    @abstractmethod
    def receive_metric(self, metric: MetricData) -> None:
        """Take one metric."""

    @abstractmethod
    def get_sink_id(self) -> str:
        """Return a name for this sink that is unique in the process."""

    @abstractmethod
    def can_handle_type(self, metric_type: MetricType) -> bool:
        """Say whether metrics of this type are wanted."""


class MetricSource(ABC):
    """Something that gives metrics."""

    @abstractmethod
    def get_source_id(self) -> str:
        """Return a name for this source that is unique in the process."""


class BackendInterface(ABC):
    """What a backend can be given."""

    @abstractmethod
    def log_metric(self, name: str, value: Any, iteration: int | None) -> None:
        """Take one value of one metric."""

    @abstractmethod
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Take parameters of the run."""

    @abstractmethod
    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        """Take a file or folder; ``artifact_path`` is where it belongs among the run's artifacts."""


class CollectorInterface(ABC):
    """What a collector is asked."""

    @abstractmethod
    def collect(self) -> dict[str, Any]:
        """Measure, and return names with their values; nested ones are flattened with ``/``."""


class PluginBase(ABC):
    """A plugin with the whole lifecycle.

    The host sets ``self.config`` before it calls ``initialize``, whether or not the subclass calls
    ``super()``, and keeps ``self._active`` in step with ``start`` and ``stop``. All methods of one
    plugin run on that plugin's own thread, one at a time.
    """

    _config: Config
    _active: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Give every instance the state fields, also where a subclass never calls ``super().__init__``."""
        plugin = super().__new__(cls)
        plugin._config = {}
        plugin._active = False
        return plugin

    @property
    def config(self) -> Config:
        """The configuration that the plugin was initialized with."""
        return self._config

    @config.setter
    def config(self, value: Config) -> None:
        self._config = value

    @classmethod
    @abstractmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return what the plugin says of itself. An instance method is accepted too."""

    @abstractmethod
    def initialize(self, config: Config) -> None:
        """Take the validated configuration. Raise to refuse."""
        self._config = config

    @abstractmethod
    def start(self) -> None:
        """Begin work."""

    @abstractmethod
    def stop(self) -> None:
        """End work and let go of every resource."""

    @abstractmethod
    def get_status(self) -> dict[str, Any]:
        """Return what a person would want to know of the plugin now."""


class BackendPlugin(PluginBase, BackendInterface, MetricSink):
    """A plugin that receives what a run records.

    Implementing ``log_metrics(points)``, a batch of :class:`MetricData` in order, replaces the calls of
    ``log_metric`` and is quicker.
    """

    def get_sink_id(self) -> str:
        """Return ``"backend_"`` and the plugin's name."""
        return f"backend_{self.get_metadata().name}"

    def can_handle_type(self, metric_type: MetricType) -> bool:
        """Want everything; override to be given less."""
        return True

    def receive_metric(self, metric: MetricData) -> None:
        """Send a metric on to the method for its type."""
        if metric.type in (MetricType.PARAMETER, MetricType.HPARAMS):
            value = metric.value
            self.log_params(value if isinstance(value, Mapping) else {metric.name: value})
        elif metric.type is MetricType.ARTIFACT:
            self.log_artifact(str(metric.value), metric.name or None)
        else:
            self.log_metric(metric.name, metric.value, metric.iteration)

    def save_experiment(self, data: Any) -> None:
        """Take a description of the whole experiment. Does nothing unless overridden."""


class CollectorPlugin(PluginBase, CollectorInterface):
    """A plugin that is asked for measurements every ``_collection_interval`` seconds."""

    _collection_interval: float = 60


class FrameworkPlugin(PluginBase):
    """A plugin that captures what an ML framework already logs.

    Its hooks are ``run_started(run)`` and ``run_ended(run, outcome)``: between them it records into
    ``run`` what the framework reports.
    """


class ProcessorPlugin(PluginBase):
    """A plugin that changes, drops or derives metrics on their way to the backends.

    Its hook is ``process_metric(metric)``.
    """
