"""otlp over HTTP, compared with OpenTelemetry's own exporter: the same data points in requests of the same size.

The receiver is a process that keeps what it gets, and counts it when asked.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_backends import Case
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

POINTS = 8192  # in a request
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
        exporter = OTLPMetricExporter(f"{url}/v1/metrics", compression=Compression.Gzip)

        def store(points: list[tuple[str, float, int, float]]) -> None:
            for start in range(0, len(points), POINTS):
                gauges: dict[str, list[NumberDataPoint]] = {}
                for name, value, step, when in points[start : start + POINTS]:
                    time = int(when * 1e9)
                    gauges.setdefault(name, []).append(NumberDataPoint({}, time, time, value))
                    gauges.setdefault(f"{name}.step", []).append(NumberDataPoint({}, time, time, float(step)))
                metrics = [Metric(name, None, None, Gauge(found)) for name, found in gauges.items()]
                scopes = [ScopeMetrics(InstrumentationScope("bench"), metrics, "")]
                data = MetricsData([ResourceMetrics(Resource.get_empty(), scopes, "")])
                assert exporter.export(data) is MetricExportResult.SUCCESS

        def count() -> int:
            with urllib.request.urlopen(f"{url}/count") as answer:
                return int(answer.read())

        yield Case("otlp", {"endpoint": url}, store, count)
    finally:
        process.kill()
        process.wait()
