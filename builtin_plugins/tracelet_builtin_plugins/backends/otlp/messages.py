"""OTLP's messages, made with the package opentelemetry-proto."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins.backends.otlp.mapping import (
    clean_text,
    double,
    is_like_step,
    nanoseconds,
    plain_value,
    step_name,
    valid_name,
)
from tracelet_builtin_plugins.extras import import_extra
from tracelet_hookspecs import MetricData

__all__ = ["Messages"]

_PACKAGE: Final = "opentelemetry.proto"


class Messages:
    """Makes requests, and reads answers."""

    def __init__(self, version: str) -> None:
        """Import the messages. ``version`` is tracelet's. Raises ``ImportError`` if the extra is missing."""

        def load(name: str) -> Any:
            return import_extra(
                f"{_PACKAGE}.{name}", plugin="otlp", distribution="opentelemetry-proto", minimum="1.25"
            )

        self._metrics, self._logs = load("metrics.v1.metrics_pb2"), load("logs.v1.logs_pb2")
        self._common = load("common.v1.common_pb2")
        self._resource = load("resource.v1.resource_pb2")
        self._services = {
            "metrics": load("collector.metrics.v1.metrics_service_pb2"),
            "logs": load("collector.logs.v1.logs_service_pb2"),
        }
        self._version = version

    def metrics(self, points: Sequence[MetricData], resource: Mapping[str, Any]) -> Any:
        """Return a request with points of one writer: a gauge for each metric, and one for its steps."""
        request = self._services["metrics"].ExportMetricsServiceRequest()
        resource_metrics = request.resource_metrics.add()
        resource_metrics.resource.CopyFrom(self._resource.Resource(attributes=self._attributes(resource)))
        scopes: dict[str | None, Any] = {}
        gauges: dict[tuple[Any, ...], tuple[Any, Any, dict[str, Any], dict[str, Any]]] = {}
        for point in points:  # this runs for each point, so it has to be quick
            key = (point.name, point.type._value_, point.source)
            found = gauges.get(key)
            if found is None:
                if (scope := scopes.get(point.source)) is None:
                    scope = scopes[point.source] = self._scope(resource_metrics, point.source)
                found = gauges[key] = self._gauges(scope, point)
            add_value, add_step, about_value, about_step = found
            when, value, step = nanoseconds(point.timestamp), point.value, point.iteration
            value = value if type(value) is float else double(value)
            add_value(time_unix_nano=when, as_double=value, **about_value)
            if step is not None:
                add_step(time_unix_nano=when, as_double=double(step), **about_step)
        for scope in scopes.values():
            for at in range(len(scope.metrics) - 1, -1, -1):
                if not scope.metrics[at].gauge.data_points:  # of steps, where there are none
                    del scope.metrics[at]
        return request

    def _scope(self, resource_metrics: Any, source: str | None) -> Any:
        scope = resource_metrics.scope_metrics.add()
        name = f"tracelet.{clean_text(source)}" if source else "tracelet"
        scope.scope.CopyFrom(self._common.InstrumentationScope(name=name, version=self._version))
        return scope

    def _gauges(self, scope: Any, point: MetricData) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
        """Add the gauges of a metric. Returns what adds a point to them, and the attributes of each point, if any.

        A metric that somebody calls NAME.step has its name as an attribute, so that it is not taken for the steps of
        NAME.
        """
        fitted, name = valid_name(point.name), clean_text(point.name)
        kind = {} if point.type.value == "scalar" else {"tracelet.kind": point.type.value}
        is_changed = fitted != point.name
        of_value = {**kind, **({"tracelet.name": name} if is_changed or is_like_step(fitted) else {})}
        of_step = {**kind, **({"tracelet.step_of": name} if is_changed else {})}
        values, steps = scope.metrics.add(name=fitted), scope.metrics.add(name=step_name(point.name))
        return (
            values.gauge.data_points.add,
            steps.gauge.data_points.add,
            {"attributes": self._attributes(of_value)} if of_value else {},
            {"attributes": self._attributes(of_step)} if of_step else {},
        )

    def log(
        self,
        event: str,
        body: Mapping[str, Any],
        when: float,
        id: tuple[Any, ...],
        resource: Mapping[str, Any],
    ) -> Any:
        """Return a request with one log record: an event of the run.

        ``log.record.uid`` is OpenTelemetry's name for what is the same in a record that is sent again.
        """
        uid = {"log.record.uid": ":".join(clean_text(str(part)) for part in id)} if id[0] else {}
        record = self._logs.LogRecord(
            time_unix_nano=nanoseconds(when),
            observed_time_unix_nano=nanoseconds(when),
            severity_number=self._logs.SEVERITY_NUMBER_INFO,
            body=self._value(plain_value(body)),
            attributes=self._attributes(
                {
                    "event.name": event,
                    "tracelet.record.sequence": id[1],
                    "tracelet.record.writer": clean_text(id[0]),
                    **uid,
                }
            ),
        )
        request = self._services["logs"].ExportLogsServiceRequest()
        resource_logs = request.resource_logs.add()
        resource_logs.resource.CopyFrom(self._resource.Resource(attributes=self._attributes(resource)))
        scope = resource_logs.scope_logs.add()
        scope.scope.CopyFrom(self._common.InstrumentationScope(name="tracelet", version=self._version))
        scope.log_records.append(record)
        return request

    def rejected(self, signal: str, answer: bytes) -> tuple[int, str]:
        """Return how many points or records a receiver has rejected, and what it says."""
        service = self._services[signal]
        kind = (
            service.ExportMetricsServiceResponse if signal == "metrics" else service.ExportLogsServiceResponse
        )
        message = kind()
        try:
            message.ParseFromString(answer)
        except Exception:  # DecodeError of protobuf: an answer of something that is no receiver
            return 0, ""
        partial = message.partial_success
        count = partial.rejected_data_points if signal == "metrics" else partial.rejected_log_records
        return int(count), " ".join(str(partial.error_message).split())

    def _attributes(self, values: Mapping[str, Any]) -> list[Any]:
        return [
            self._common.KeyValue(key=key, value=self._value(plain_value(value)))
            for key, value in values.items()
        ]

    def _value(self, value: Any) -> Any:
        any_value = self._common.AnyValue
        if value is None:
            return any_value()
        if isinstance(value, bool):
            return any_value(bool_value=value)
        if isinstance(value, int):
            return any_value(int_value=value)
        if isinstance(value, float):
            return any_value(double_value=value)
        if isinstance(value, str):
            return any_value(string_value=value)
        if isinstance(value, list):
            return any_value(
                array_value=self._common.ArrayValue(values=[self._value(item) for item in value])
            )
        pairs = [self._common.KeyValue(key=key, value=self._value(item)) for key, item in value.items()]
        return any_value(kvlist_value=self._common.KeyValueList(values=pairs))
