"""otlp over HTTP, compared with a plain loop that builds and sends the same messages in requests of the same size.

The receiver is a process that keeps what it gets, and counts it when asked.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_backends import Case
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tracelet_builtin_plugins.http_client import HttpClient

POINTS = 8192  # in a request
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
RECEIVER = """
import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

kept = []
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        kept.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.reply(b"")
    def do_GET(self):
        bodies = [gzip.decompress(body) for path, body in kept if "metrics" in path]
        requests = [ExportMetricsServiceRequest.FromString(body) for body in bodies]
        self.reply(str(sum(
            len(metric.gauge.data_points) for request in requests for resource in request.resource_metrics
            if resource.resource.attributes for scope in resource.scope_metrics for metric in scope.metrics
            if not metric.name.endswith(".step")
        )).encode())
    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): ...

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Start a receiver."""
    process = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        client = HttpClient("bench", f"{url}/v1/metrics", {}, 30)

        def store(points: list[tuple[str, float, int, float]]) -> None:
            for start in range(0, len(points), POINTS):
                request = ExportMetricsServiceRequest()
                scope = request.resource_metrics.add().scope_metrics.add()
                gauges = {}
                for name, value, step, when in points[start : start + POINTS]:
                    if name not in gauges:
                        both = scope.metrics.add(name=name), scope.metrics.add(name=f"{name}.step")
                        gauges[name] = [metric.gauge.data_points for metric in both]
                    time = int(when * 1e9)
                    gauges[name][0].add(time_unix_nano=time, as_double=value)
                    gauges[name][1].add(time_unix_nano=time, as_double=step)
                client.request("POST", gzip.compress(request.SerializeToString(), 1), HEADERS)

        def count() -> int:
            with urllib.request.urlopen(f"{url}/count") as answer:
                return int(answer.read())

        yield Case("otlp", {"endpoint": url}, store, count)
    finally:
        process.kill()
        process.wait()
