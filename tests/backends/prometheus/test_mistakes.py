"""Mistakes in the configuration, and servers that answer with an error: one clear line each, without secrets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from backend_servers import free_port

from tracelet.core.plugins import MetricData
from tracelet.delivery.pipeline.failures import Fault, judge, retry_after

pytest.importorskip("cramjam", reason="needs cramjam: pip install 'tracelet[prometheus]'")

POINT = MetricData("m", 2.0, timestamp=1e9, id=("w", 1, 0))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "expected exactly one of remote_write_url, pushgateway_url and textfile, found none"),
        (
            {"textfile": "a.prom", "pushgateway_url": "http://x"},
            "expected exactly one of .*, found pushgateway_url and textfile",
        ),
        ({"textfile": "a.txt"}, r"textfile: expected a name that ends in \.prom"),
        ({"remote_write_url": "localhost:9090"}, "remote_write_url: expected a URL that begins with http"),
        ({"remote_write_url": "http://user:hidden@:99999/x"}, "remote_write_url: expected a URL"),
        ({"pushgateway_url": "ftp://x"}, "pushgateway_url: expected a URL"),
        ({"textfile": "a.prom", "labels": {"a-b": "x"}}, "labels: expected names of letters"),
        ({"textfile": "a.prom", "labels": {"__x": "x"}}, "labels: expected names of letters"),
        ({"textfile": "a.prom", "labels": {"run": "x"}}, "labels: 'run' is set by tracelet"),
        ({"textfile": "a.prom", "labels": {"x": ["y"]}}, r"labels\.x: expected a text, found list"),
    ],
)
def test_mistakes_in_the_configuration(
    start: Callable[..., Any], config: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as wrong:
        start(**config)
    assert "hidden" not in str(wrong.value)


def test_a_mistake_on_the_command_line_is_one_line(project: Any) -> None:
    project.write(
        "tracelet.toml", '[plugins.prometheus]\ntextfile = "x.prom"\npushgateway_url = "http://x"\n'
    )
    project.write(
        "train.py", "import tracelet\nwith tracelet.start_run('x') as run: run.log_metric('m', 1)\n"
    )
    done = project.tracelet("run", "train.py")
    assert "expected exactly one of" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.fixture
def answering() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the URL of a server, and the answer that it gives."""
    answer: dict[str, Any] = {"status": 200, "headers": {}, "body": b"", "seen": []}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer["seen"].append(dict(self.headers))
            self.send_response(answer["status"])
            for key, value in answer["headers"].items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(answer["body"])))
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", answer
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (401, Fault.CREDENTIALS),
        (403, Fault.CREDENTIALS),
        (404, Fault.PASSING),
        (429, Fault.PASSING),
        (500, Fault.PASSING),
        (503, Fault.PASSING),
        (400, Fault.REFUSED),
        (413, Fault.TOO_MUCH),
        (302, Fault.PASSING),
    ],
)
def test_what_a_status_means(
    start: Callable[..., Any], view: Any, answering: Any, status: int, fault: Fault
) -> None:
    address, answer = answering
    headers = (
        {"Retry-After": "7"} if status in (429, 503) else {"Location": "http://u:hidden@elsewhere/x?y=hidden"}
    )
    answer.update(status=status, headers=headers, body=b"because\nof that")
    plugin = start(
        remote_write_url=f"http://user:hidden@{address}/write?token=hidden", headers={"X-Token": "hidden"}
    )
    with pytest.raises(Exception, match=r"^http://127\.0\.0\.1:\d+/write: HTTP \d+") as failed:
        plugin.log_metrics([POINT], run=view)
    assert judge(failed.value) is fault
    assert retry_after(failed.value) == (7.0 if "Retry-After" in headers else None)
    assert "hidden" not in str(failed.value)
    assert "\n" not in str(failed.value)


def test_headers_credentials_and_the_protocol(start: Callable[..., Any], view: Any, answering: Any) -> None:
    address, answer = answering
    plugin = start(remote_write_url=f"http://us%40er:p%2Fw@{address}/write", headers={"X-Scope-OrgID": "me"})
    plugin.log_metrics([POINT], run=view)
    [seen] = answer["seen"]
    assert seen["X-Scope-OrgID"] == "me"
    assert seen["Authorization"] == "Basic dXNAZXI6cC93"
    assert seen["Content-Encoding"] == "snappy"
    assert seen["X-Prometheus-Remote-Write-Version"] == "0.1.0"


def test_too_old_samples_that_an_old_server_answers_with_500(
    start: Callable[..., Any], view: Any, answering: Any
) -> None:
    address, answer = answering
    answer.update(status=500, body=b"too old sample")
    plugin = start(remote_write_url=f"http://{address}/write")
    plugin.log_metrics([POINT], run=view)
    assert plugin.get_status()["left_out"] == {"too_old": 1}


def test_nobody_listens(start: Callable[..., Any], view: Any) -> None:
    plugin = start(remote_write_url=f"http://user:hidden@127.0.0.1:{free_port()}/write")
    with pytest.raises(ConnectionError, match="refused") as failed:
        plugin.log_metrics([POINT], run=view)
    assert "hidden" not in str(failed.value)
