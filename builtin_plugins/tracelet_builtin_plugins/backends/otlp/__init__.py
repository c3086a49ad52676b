"""The backend ``otlp``: metrics and events to any receiver of the OpenTelemetry protocol.

``docs/plugins/otlp.md`` describes what arrives there.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.backends.otlp.mapping import MAPPING, resource_attributes
from tracelet_builtin_plugins.backends.otlp.messages import Messages
from tracelet_builtin_plugins.backends.otlp.transport import (
    GrpcTransport,
    HttpTransport,
    NotSupportedError,
    Transport,
    default_endpoint,
)
from tracelet_builtin_plugins.batch_hooks import BatchHooks
from tracelet_hookspecs import (
    BackendPlugin,
    MetricData,
    PluginMetadata,
    PluginType,
    RecordId,
    RunView,
    hookimpl,
)

__all__ = ["OtlpBackend"]

log = logging.getLogger("tracelet.plugins.otlp")

HTTP: Final = "http/protobuf"
SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "endpoint": {
        "type": "string",
        "description": "the receiver's URL; else http://127.0.0.1:4318, or port 4317 with grpc",
    },
    "protocol": {"type": "string", "default": HTTP, "description": f"{HTTP} or grpc"},
    "headers": {
        "type": "object",
        "default": {},
        "secret": True,
        "description": "further headers of every request",
    },
    "resource": {"type": "object", "default": {}, "description": "further attributes of the resource"},
    "timeout": {"type": "number", "default": 10, "description": "seconds to wait for an answer"},
}
TRANSPORTS: Final[dict[str, Any]] = {HTTP: HttpTransport, "grpc": GrpcTransport}
LARGEST: Final = 2_000_000  # bytes of a request; receivers of gRPC take 4 MiB unless told otherwise
LONGEST: Final = 25.0  # seconds, less than the host's limit for a call


class OtlpBackend(BatchHooks, BackendPlugin):
    """Sends points as gauges with their own times, and everything else as log records."""

    _transport: Transport | None = None
    _messages: Messages

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="otlp",
            version=VERSION,
            type=PluginType.BACKEND,
            description="Sends what a run records to a receiver of the OpenTelemetry protocol",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"metrics", "params", "tags"},
            mapping=MAPPING,
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {key: entry.get("default") for key, entry in SCHEMA.items()} | dict(config)

    @hookimpl
    def start(self) -> None:
        """Check the configuration. The receiver is contacted with the first record."""
        protocol, timeout = self._config["protocol"], self._config["timeout"]
        if protocol not in TRANSPORTS:
            raise ValueError(f"plugins.otlp.protocol: expected {HTTP!r} or 'grpc', found {protocol!r}")
        if not 0 < timeout <= LONGEST:
            raise ValueError(
                f"plugins.otlp.timeout: expected more than 0 and at most {LONGEST:g} seconds, found {timeout!r}"
            )
        self._messages = Messages(VERSION)
        headers = {str(key): str(value) for key, value in self._config["headers"].items()}
        endpoint = self._config["endpoint"] or default_endpoint(protocol)
        self._transport = TRANSPORTS[protocol](endpoint, headers, timeout)
        self._run = None
        self._counts: Counter[str] = Counter()
        self._takes_logs = True
        self._latest = 0.0  # the time of the last point: events have none of their own
        self._last_rejection = ""

    @hookimpl
    def stop(self) -> None:
        """Close the connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return the receiver, and what it accepted and rejected."""
        if self._transport is None:
            return {"points": 0}
        return {
            "endpoint": self._transport.url,
            "points": self._counts["points"],
            "events": self._counts["events"],
            "rejected_points": self._counts["rejected_points"],
            "events_left_out": self._counts["events_left_out"],
            "last_rejection": self._last_rejection,
            "takes_logs": self._takes_logs,
        }

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Keep the run."""
        self._run = run

    @hookimpl
    def run_ended(self, run: RunView, outcome: str) -> None:
        """Send how the run ended."""
        self._send_event("tracelet.run.ended", {"outcome": outcome}, run, None)

    @hookimpl
    def run_changed(self, run: RunView, changes: Mapping[str, Any], id: RecordId | None = None) -> None:
        """Send a change of the run."""
        self._send_event("tracelet.run.changed", changes, run, id)

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Send a batch of points."""
        run = self._known(run)
        for writer, group in groupby(points, key=lambda point: point.id[0] if point.id else ""):
            self._send_points(list(group), self._resource(run, writer))
        if points:
            self._latest = points[-1].timestamp or self._latest

    @hookimpl
    def log_params(
        self, params: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None
    ) -> None:
        """Send parameters as a log record."""
        self._send_event("tracelet.params", params, run, id)

    @hookimpl
    def set_tags(
        self, tags: Mapping[str, Any], run: RunView | None = None, id: RecordId | None = None
    ) -> None:
        """Send tags as a log record."""
        self._send_event("tracelet.tags", tags, run, id)

    @hookimpl
    def log_artifact(
        self,
        local_path: str,
        artifact_path: str | None = None,
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Send where an artifact is, as a log record."""
        body = {"path": self._relative(local_path, run), "artifact_path": artifact_path}
        self._send_event("tracelet.artifact", body, run, id)

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
        """Send where a media file is, as a log record."""
        about = {key: metadata[key] for key in ("size", "sha256") if key in metadata}
        body = {"name": name, "step": step, "kind": kind, "path": self._relative(path, run), **about}
        self._send_event("tracelet.media", body, run, id, metadata.get("timestamp"))

    def _send_points(self, points: list[MetricData], resource: Mapping[str, Any]) -> None:
        """Send points of one writer, in as many requests as their size takes."""
        request = self._messages.metrics(points, resource)
        if len(points) > 1 and request.ByteSize() > LARGEST:
            middle = len(points) // 2
            self._send_points(points[:middle], resource)
            self._send_points(points[middle:], resource)
            return
        assert self._transport is not None
        try:
            answer = self._transport.export("metrics", request.SerializeToString())
        except NotSupportedError as error:
            raise ConnectionError(str(error)) from error
        sent = len(points) + sum(point.iteration is not None for point in points)
        self._account("points", len(points), sent, answer)

    def _send_event(
        self,
        event: str,
        body: Mapping[str, Any],
        run: RunView | None,
        id: RecordId | None,
        when: float | None = None,
    ) -> None:
        run, id = self._known(run), id or ("", 0, 0)
        if self._takes_logs:
            time = when or self._latest or run.started_at
            request = self._messages.log(event, body, time, id, self._resource(run, id[0]))
            assert self._transport is not None
            try:
                self._account("events", 1, 1, self._transport.export("logs", request.SerializeToString()))
            except NotSupportedError as error:
                self._takes_logs = False
                log.warning("plugin 'otlp': parameters, tags and other events are not sent: %s", error)
        if not self._takes_logs:
            self._counts["events_left_out"] += 1

    def _account(self, what: str, records: int, sent: int, answer: bytes) -> None:
        """Read what a receiver rejected of a request that it answered with success.

        Raises ``ValueError`` if that is everything. If it is a part, the protocol forbids sending the request again:
        the number is counted, and the reason is logged once.
        """
        rejected, reason = self._messages.rejected("metrics" if what == "points" else "logs", answer)
        assert self._transport is not None
        if rejected >= sent:
            raise ValueError(
                f"{self._transport.url}: all of {sent} {what} rejected: {reason or 'no reason given'}"
            )
        if (rejected or reason) and reason != self._last_rejection:
            log.warning("plugin 'otlp': %d of %d %s rejected: %s", rejected, sent, what, reason)
            self._last_rejection = reason
        self._counts[f"rejected_{what}"] += min(records, rejected)
        self._counts[what] += records - min(records, rejected)

    def _resource(self, run: RunView, writer: str) -> dict[str, Any]:
        return resource_attributes(run.id, run.name, run.project, writer, self._config["resource"])

    def _relative(self, path: str, run: RunView | None) -> str:
        """Return a path as it stays valid when the run's folder is moved."""
        folder = self._known(run).dir
        return Path(path).relative_to(folder).as_posix() if Path(path).is_relative_to(folder) else path

    def _known(self, run: RunView | None) -> RunView:
        run = run or self._run
        if run is None or self._transport is None:
            raise RuntimeError("plugin 'otlp': expected start and run_started before any record")
        return run
