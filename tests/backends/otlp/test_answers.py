"""What a receiver answers: partial success, a request to wait, refusals, outages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backend_servers import free_port, wait_until

import tracelet
from tracelet.core.plugins import MetricData
from tracelet.delivery.pipeline.failures import Fault, judge, retry_after

pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto: pip install 'tracelet[otlp]'")

OFF = ["no:system", "no:environment", "no:gpu"]


def retry_details(seconds: int, nanos: int) -> bytes:
    """Return google.rpc.Status with google.rpc.RetryInfo among its details."""

    def varint(number: int) -> bytes:
        out = b""
        while number > 127:
            out += bytes([number & 127 | 128])
            number >>= 7
        return out + bytes([number])

    def field(number: int, contents: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(contents)) + contents

    duration = b"\x08" + varint(seconds) + b"\x10" + varint(nanos)
    info = field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, duration))
    other = field(1, b"type.googleapis.com/google.rpc.DebugInfo") + field(2, b"")
    return b"\x08\x08" + field(2, b"busy") + field(3, other) + field(3, info)


def points(count: int) -> list[MetricData]:
    return [MetricData("m", float(at), timestamp=1e9 + at, id=("w", at, 0)) for at in range(count)]


def test_a_partial_success_is_counted_with_its_reason_and_not_sent_again(
    plugin: Any, view: Any, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script += [{"rejected": 3, "message": "too\nold"}, {"rejected": 2, "message": "too\nold"}, {}]
    with caplog.at_level(logging.WARNING, logger="tracelet.plugins.otlp"):
        for _ in range(3):
            plugin.log_metrics(points(10), run=view)
    status = plugin.get_status()
    assert (status["points"], status["rejected_points"], status["last_rejection"]) == (25, 5, "too old")
    assert [record.getMessage() for record in caplog.records] == [
        "plugin 'otlp': 3 of 10 points rejected: too old"
    ]
    assert len(receiver.requests) == 3


def test_a_warning_without_a_rejection_is_reported(
    plugin: Any, view: Any, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script += [{"rejected": 0, "message": "deprecated"}]
    plugin.log_metrics(points(10), run=view)
    assert plugin.get_status()["points"] == 10
    assert "0 of 10 points rejected: deprecated" in caplog.text


def test_a_point_that_is_rejected_alone_is_dropped_with_the_reason(tmp_path: Path, receiver: Any) -> None:
    take = receiver.take

    def refuse_bad(signal: str, data: bytes, headers: dict[str, str]) -> Any:
        if b"bad" in data and signal == "metrics":
            request_points = data.count(b"\x21")
            receiver.script.insert(0, {"rejected": 10_000 if request_points else 0, "message": "bad name"})
        return take(signal, data, headers)

    receiver.take = refuse_bad
    with tracelet.start_run(
        "refused", dir=tmp_path, plugins=OFF, config={"plugins": {"otlp": receiver.config}}
    ) as run:
        run.log_metric("good", 1.0)
        assert run.flush(timeout=20)
        run.log_metric("bad", 2.0)
        run.log_metric("good", 3.0)
        assert run.flush(timeout=20)
        assert run.status()["delivery"]["otlp"]["dropped"] == {"refused (ValueError)": 1}
    assert [point.value for point in receiver.points() if point.name == "good"][-1] == 3.0


@pytest.mark.parametrize(
    ("status", "headers", "fault"),
    [
        (429, {"Retry-After": "7.5"}, Fault.PASSING),
        (503, {"Retry-After": "7.5"}, Fault.PASSING),
        (502, {}, Fault.PASSING),
        (504, {}, Fault.PASSING),
        (400, {}, Fault.REFUSED),
        (401, {}, Fault.CREDENTIALS),
        (403, {}, Fault.CREDENTIALS),
        (404, {}, Fault.PASSING),
        (413, {}, Fault.TOO_MUCH),
    ],
)
@pytest.mark.parametrize("protocol", ["http/protobuf"], indirect=True)
def test_statuses_of_http(
    plugin: Any, view: Any, receiver: Any, status: int, headers: dict[str, str], fault: Fault
) -> None:
    receiver.script.append({"status": status, "headers": headers})
    with pytest.raises(Exception, match=rf"^http://127\.0\.0\.1:\d+/?: HTTP {status}") as failed:
        plugin.log_metrics(points(2), run=view)
    assert judge(failed.value) is fault
    assert retry_after(failed.value) == (7.5 if headers else None)
    plugin.log_metrics(points(2), run=view)
    assert len(receiver.points()) == 2


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("UNAVAILABLE", Fault.PASSING),
        ("RESOURCE_EXHAUSTED", Fault.PASSING),
        ("DEADLINE_EXCEEDED", Fault.PASSING),
        ("ABORTED", Fault.PASSING),
        ("CANCELLED", Fault.PASSING),
        ("DATA_LOSS", Fault.PASSING),
        ("INVALID_ARGUMENT", Fault.REFUSED),
        ("UNAUTHENTICATED", Fault.CREDENTIALS),
        ("PERMISSION_DENIED", Fault.CREDENTIALS),
        ("UNIMPLEMENTED", Fault.PASSING),
    ],
)
@pytest.mark.parametrize("protocol", ["grpc"], indirect=True)
def test_statuses_of_grpc(plugin: Any, view: Any, receiver: Any, status: str, fault: Fault) -> None:
    import grpc

    receiver.script.append({"status": grpc.StatusCode[status], "details": retry_details(7, 500_000_000)})
    with pytest.raises(Exception, match=rf"gRPC {status} because") as failed:
        plugin.log_metrics(points(2), run=view)
    assert judge(failed.value) is fault
    if status in ("UNAVAILABLE", "RESOURCE_EXHAUSTED"):
        assert retry_after(failed.value) == 7.5
    plugin.log_metrics(points(2), run=view)
    assert len(receiver.points()) == 2


def test_a_receiver_without_logs_gets_the_metrics(
    plugin: Any, view: Any, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.is_metrics_only = True
    for _ in range(2):
        plugin.log_params({"lr": 1}, run=view, id=("w", 1, 0))
        plugin.set_tags({"a": "b"}, run=view, id=("w", 2, 0))
        plugin.log_metrics(points(10), run=view)
    status = plugin.get_status()
    assert (status["points"], status["events_left_out"], status["takes_logs"]) == (20, 4, False)
    assert caplog.text.count("parameters, tags and other events are not sent") == 1


def test_an_outage_during_the_run(tmp_path: Path, receiver: Any) -> None:
    settings = {"plugins": {"otlp": receiver.config}}
    with tracelet.start_run("outage", dir=tmp_path, plugins=OFF, config=settings) as run:
        for step in range(100):
            run.log_metric("loss", step, step)
        assert run.flush(timeout=20)
        before = len(receiver.points())
        receiver.stop()
        for step in range(100, 200):
            run.log_metric("loss", step, step)
        wait_until(lambda: run.status()["delivery"]["otlp"]["retries"], what="a retry")
        receiver.restart()
        assert run.flush(timeout=60)
    assert before == 200
    assert [point.value for point in receiver.points() if point.name == "loss"] == list(range(200))


def test_headers_compression_and_paths(start: Callable[..., Any], view: Any, receiver: Any) -> None:
    config = {**receiver.config, "headers": {"X-Token": "value"}}
    if config["protocol"] == "http/protobuf":
        for suffix in ("", "/", "/otlp", "/otlp/v1/metrics"):
            start(**{**config, "endpoint": config["endpoint"] + suffix}).log_metrics(points(1), run=view)
        paths = [headers[":path"] for headers in receiver.headers]
        assert paths == ["/v1/metrics", "/v1/metrics", "/otlp/v1/metrics", "/otlp/v1/metrics"]
        assert receiver.headers[0]["X-Token"] == "value"
        assert receiver.headers[0]["Content-Encoding"] == "gzip"
        assert receiver.headers[0]["Content-Type"] == "application/x-protobuf"
    else:
        start(**config).log_metrics(points(1), run=view)
        assert receiver.headers[0]["x-token"] == "value"
    assert len(receiver.points()) == (4 if config["protocol"] == "http/protobuf" else 1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"protocol": "http/json"},
            r"plugins\.otlp\.protocol: expected 'http/protobuf' or 'grpc', found 'http/json'",
        ),
        ({"endpoint": "localhost:4318"}, r"plugins\.otlp\.endpoint: expected a URL that begins with http"),
        ({"timeout": 0}, r"plugins\.otlp\.timeout: expected more than 0"),
        ({"timeout": 60}, r"plugins\.otlp\.timeout: expected more than 0 and at most 25 seconds"),
    ],
)
def test_mistakes_in_the_configuration(
    start: Callable[..., Any], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        start(**config)


def test_nobody_listens(start: Callable[..., Any], view: Any, protocol: str) -> None:
    plugin = start(endpoint=f"http://user:hidden@127.0.0.1:{free_port()}", protocol=protocol, timeout=3)
    with pytest.raises(Exception, match=r"127\.0\.0\.1") as failed:
        plugin.log_metrics(points(1), run=view)
    assert judge(failed.value) is Fault.PASSING
    assert "hidden" not in str(failed.value)
