"""The promises of a backend, read back from a receiver built on opentelemetry-proto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tracelet.testing import BackendConformance, FarSide
from tracelet_builtin_plugins.backends.otlp.mapping import plain_value

pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto: pip install 'tracelet[otlp]'")


@pytest.fixture
def http_receiver(module: Any) -> Iterator[Any]:
    made = module.Receiver()
    server = module.serve_http(made)
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


class TestOtlp(BackendConformance):
    plugin = "otlp"
    endpoint = "endpoint"
    limits = {
        "artifacts": "only the path is sent",
        "artifacts_empty": "only the path is sent",
        "artifacts_names": "only the path is sent",
        "artifacts_version": "only the path is sent",
    }

    def config(self, http_receiver: Any) -> dict[str, Any]:
        return {"endpoint": http_receiver.url, "headers": {"X-Token": "not-to-be-shown-2"}}

    def read_back(self, run: Any, http_receiver: Any) -> FarSide:
        points = [point for point in http_receiver.points() if point.resource["tracelet.run.id"] == run.id]
        steps, metrics = {}, {}
        for point in filter(is_step, points):
            name = point.attributes.get("tracelet.step_of", point.name.removesuffix(".step"))
            steps[name, point.resource["tracelet.writer"], point.time] = point.value
        rows: dict[str, dict[tuple[str, int, float], None]] = {}
        for point in points:
            if not is_step(point):
                name = point.attributes.get("tracelet.name", point.name)
                key = (point.resource["tracelet.writer"], point.time, repr(point.value))
                rows.setdefault(name, {})[key] = None  # as a database does: one value per series and time
        for name, known in rows.items():
            metrics[name] = [
                (int(steps[name, writer, when]), float(value), when / 1e9) for writer, when, value in known
            ]
        params: dict[str, Any] = {}
        tags: dict[str, Any] = {}
        media = []
        # As a store does that removes repeats: OpenTelemetry says that these have the same uid.
        records = {
            record.attributes.get("log.record.uid", at): record
            for at, record in enumerate(http_receiver.records())
        }
        for record in records.values():
            if record.resource["tracelet.run.id"] != run.id:
                continue
            event = record.attributes["event.name"]
            if event == "tracelet.params":
                params.update(record.body)
            elif event == "tracelet.tags":
                tags.update(record.body)
            elif event == "tracelet.media":
                media.append((record.body["name"], record.body["step"], record.body["kind"]))
        return FarSide(metrics=metrics, params=params, tags=tags, media=media)

    def far_param(self, key: str, value: Any) -> tuple[str, Any]:
        return key, plain_value(value)


def is_step(point: Any) -> bool:
    return point.name.endswith(".step") and "tracelet.name" not in point.attributes
