"""The backend ``prometheus``: metrics by remote write, to a Pushgateway, or as a file for node_exporter.

``docs/plugins/prometheus.md`` describes the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.prometheus.column_write import ColumnWrite
from tracelet_builtin_plugins.backends.prometheus.latest import Latest, Pushgateway, Textfile
from tracelet_builtin_plugins.backends.prometheus.mapping import (
    INFO,
    MAPPING,
    Labels,
    SeriesKey,
    check_labels,
    label_text,
    series_labels,
)
from tracelet_builtin_plugins.backends.prometheus.sent_times import SentTimes
from tracelet_builtin_plugins.backends.prometheus.wire import encode_labels
from tracelet_builtin_plugins.batch_hooks import BatchHooks
from tracelet_builtin_plugins.extras import import_extra
from tracelet_builtin_plugins.http_client import HttpClient, parse_url
from tracelet_hookspecs import (
    MetricColumns,
    MetricData,
    PluginBase,
    PluginMetadata,
    PluginType,
    RunView,
    hookimpl,
)

__all__ = ["PrometheusBackend"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "remote_write_url": {
        "type": "string",
        "description": "where to send every point: a remote-write receiver",
    },
    "pushgateway_url": {"type": "string", "description": "where to push the latest values: a Pushgateway"},
    "textfile": {
        "type": "string",
        "description": "the file for the latest values, *.prom; {run} and {project} are filled in",
    },
    "labels": {"type": "object", "default": {}, "description": "further labels of every series"},
    "headers": {
        "type": "object",
        "default": {},
        "secret": True,
        "description": "further headers of every request",
    },
}
WAYS: Final = ("remote_write_url", "pushgateway_url", "textfile")
TIMEOUT: Final = 10.0  # seconds for an answer

_MOST_KNOWN: Final = 100_000


class PrometheusBackend(BatchHooks, PluginBase):
    """Sends points to Prometheus. What is no number (parameters, tags, artifacts) has no place there."""

    _sink: ColumnWrite | Latest | None = None
    _sink_run: str | None = None
    _is_over = False

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="prometheus",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Sends metrics to Prometheus: remote write, Pushgateway or a textfile",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics"},
            mapping=MAPPING,
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {"labels": {}, "headers": {}} | dict(config)

    @hookimpl
    def start(self) -> None:
        """Check the configuration. Raises ``ValueError``. The server is contacted with the first points."""
        given = [way for way in WAYS if self._config.get(way)]
        if len(given) != 1:
            raise ValueError(
                "plugins.prometheus: expected exactly one of remote_write_url, pushgateway_url and textfile, found"
                f" {' and '.join(given) or 'none'}"
            )
        [self._way] = given
        self._labels = {"job": "tracelet", **check_labels(self._config["labels"])}
        if self._way == "textfile":
            if not self._config["textfile"].endswith(".prom"):
                raise ValueError(
                    "plugins.prometheus.textfile: expected a name that ends in .prom, since node_exporter reads no"
                    f" other, found {self._config['textfile']!r}"
                )
        else:
            parse_url(f"plugins.prometheus.{self._way}", self._config[self._way])
        if self._way == "remote_write_url":
            self._snappy = import_extra(
                "cramjam", plugin="prometheus", distribution="cramjam", minimum="2.8"
            ).snappy
        self._run = self._sink = self._sink_run = None
        self._is_over = False

    @hookimpl
    def stop(self) -> None:
        """Close the connection. At the end of the run, delete its group from the Pushgateway."""
        sink, self._sink, self._sink_run = self._sink, None, None
        if isinstance(sink, Pushgateway):
            sink.is_over = self._is_over
        if sink is not None:
            sink.end()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return how many points were sent, and how many were left out for which reason."""
        if self._sink is None:
            return {"sent": 0, "left_out": {}}
        return {"sent": self._sink.sent, "left_out": dict(self._sink.left_out)}

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Keep the run."""
        self._run, self._is_over = run, False

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Note that the run is over; the last points follow."""
        self._is_over = outcome != "running"

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Send a batch of points."""
        self._sink_of(run).store(points)

    @hookimpl
    def log_columns(self, columns: MetricColumns, run: RunView | None = None) -> None:
        """Send a batch of points, without an object for each."""
        sink = self._sink_of(run)
        if isinstance(sink, ColumnWrite):
            sink.store_columns(columns)
        else:
            sink.store(columns.points())

    def _sink_of(self, run: RunView | None) -> ColumnWrite | Latest:
        run = self._known_run(run)
        if self._sink is None or self._sink_run != run.id:
            self._sink, self._sink_run = self._make_sink(run), run.id
        return self._sink

    def _make_sink(self, run: RunView) -> ColumnWrite | Latest:
        names = LabelNames(run, self._labels)
        if self._way == "textfile":
            text = self._config["textfile"].replace("{run}", run.id).replace("{project}", run.project)
            path = Path(text).expanduser()
            return Textfile(path if path.is_absolute() else run.dir / path, names.labels_of)
        option = f"plugins.prometheus.{self._way}"
        client = HttpClient(option, self._config[self._way], self._config["headers"], TIMEOUT)
        if self._way == "pushgateway_url":
            grouping = {"job": self._labels["job"], "run": label_text(run.id)}
            return Pushgateway(client, grouping, names.without(grouping))
        return ColumnWrite(client, self._snappy.compress_raw, names.encoded, SentTimes(run.dir))


class LabelNames:
    """The labels of a run's series, computed once for each."""

    def __init__(self, run: RunView, labels: dict[str, str]) -> None:
        self._run = run
        self._labels = {**labels, "run": label_text(run.id), "project": label_text(run.project)}
        self._known: dict[Any, Labels] = {}
        self._encoded: dict[Any, bytes] = {}

    def labels_of(self, key: SeriesKey) -> Labels:
        """Return the labels of a series. The run's own has its current name."""
        if key.kind == INFO:
            return series_labels(key, {**self._labels, "name": label_text(self._run.name)})
        if (found := self._known.get(key)) is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = series_labels(key, self._labels)
        return found

    def encoded(self, key: SeriesKey) -> bytes:
        """Return the labels of a series as remote write wants them."""
        if key.kind == INFO:
            return encode_labels(self.labels_of(key))
        if (found := self._encoded.get(key)) is None:
            if len(self._encoded) > _MOST_KNOWN:
                self._encoded.clear()
            found = self._encoded[key] = encode_labels(self.labels_of(key))
        return found

    def without(self, grouping: dict[str, str]) -> Any:
        """Return a function like :meth:`labels_of` that leaves out the labels of the group."""
        return lambda key: tuple(pair for pair in self.labels_of(key) if pair[0] not in grouping)
