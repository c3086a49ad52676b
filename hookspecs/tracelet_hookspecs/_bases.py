"""Base classes for plugins. Subclassing is optional: any object with hook implementations is a plugin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from tracelet_hookspecs._records import MetricData, MetricType, PluginMetadata

Config = Any  # a mapping, or an instance of the attrs class that config_schema names


class MetricSink(ABC):
    """Something that receives metrics."""

    @abstractmethod
    def receive_metric(self, metric: MetricData) -> None:
        """Receive one metric."""

    @abstractmethod
    def get_sink_id(self) -> str:
        """Return a unique name for this sink in the process."""

    @abstractmethod
    def can_handle_type(self, metric_type: MetricType) -> bool:
        """Return whether this sink accepts metrics of a type."""


class MetricSource(ABC):
    """Something that produces metrics."""

    @abstractmethod
    def get_source_id(self) -> str:
        """Return a unique name for this source in the process."""


class BackendInterface(ABC):
    """What a backend receives."""

    @abstractmethod
    def log_metric(self, name: str, value: Any, iteration: int | None) -> None:
        """Receive one value of one metric."""

    @abstractmethod
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Receive parameters of the run."""

    @abstractmethod
    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        """Receive a file or folder; ``artifact_path`` is its place among the run's artifacts."""


class CollectorInterface(ABC):
    """What a collector provides."""

    @abstractmethod
    def collect(self) -> dict[str, Any]:
        """Return measured values by name; nested mappings are flattened with ``/``."""


class PluginBase(ABC):
    """A plugin with the complete lifecycle.

    The host sets ``self.config`` before it calls ``initialize``, whether or not the subclass calls
    ``super()``, and keeps ``self._active`` in step with ``start`` and ``stop``. All methods of one
    plugin run on that plugin's own thread, one at a time.
    """

    _config: Config
    _active: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Set the state fields of every instance, even if a subclass never calls ``super().__init__``."""
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
        """Return the plugin's metadata. An instance method works as well."""

    @abstractmethod
    def initialize(self, config: Config) -> None:
        """Receive the validated configuration. Raise an exception to reject it."""
        self._config = config

    @abstractmethod
    def start(self) -> None:
        """Start working."""

    @abstractmethod
    def stop(self) -> None:
        """Stop working and release all resources."""

    @abstractmethod
    def get_status(self) -> dict[str, Any]:
        """Return the plugin's current status, for people."""


class BackendPlugin(PluginBase, BackendInterface, MetricSink):
    """A plugin that receives what a run records.

    Four methods are optional. ``log_metrics(points)``, a batch of :class:`MetricData` in order, replaces the calls
    of ``log_metric`` and is faster. ``log_columns(columns)``, the same batch as :class:`MetricColumns`, replaces both
    and is faster still. ``log_media(name, step, kind, path, metadata)`` replaces ``log_artifact`` for
    media. ``run_changed(run, changes)`` is called when the run is renamed. An attribute ``batching``, a
    :class:`Batching`, requests fewer and larger batches. A static method ``takes_one_process`` that returns true leaves
    a job on several hosts without a shared folder to rank zero. A method ``keep_alive(run)`` is called while there is
    nothing to deliver; it returns the seconds until the next call.
    """

    def get_sink_id(self) -> str:
        """Return ``"backend_"`` and the plugin's name."""
        return f"backend_{self.get_metadata().name}"

    def can_handle_type(self, metric_type: MetricType) -> bool:
        """Accept all types. Override to receive fewer."""
        return True

    def receive_metric(self, metric: MetricData) -> None:
        """Pass a metric to the method for its type."""
        if metric.type in (MetricType.PARAMETER, MetricType.HPARAMS):
            value = metric.value
            self.log_params(value if isinstance(value, Mapping) else {metric.name: value})
        elif metric.type is MetricType.ARTIFACT:
            self.log_artifact(str(metric.value), metric.name or None)
        else:
            self.log_metric(metric.name, metric.value, metric.iteration)

    def save_experiment(self, data: Any) -> None:
        """Receive a description of the whole experiment. Does nothing unless overridden."""


class CollectorPlugin(PluginBase, CollectorInterface):
    """A plugin that measures something every ``_collection_interval`` seconds."""

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
