"""Receivers of OTLP over HTTP and gRPC, built on opentelemetry-proto, that answer as they are told."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics

REQUESTS = {"metrics": metrics.ExportMetricsServiceRequest, "logs": logs.ExportLogsServiceRequest}
RESPONSES = {"metrics": metrics.ExportMetricsServiceResponse, "logs": logs.ExportLogsServiceResponse}


class Point(NamedTuple):
    """A received point."""

    resource: dict[str, Any]
    scope: str
    name: str
    attributes: dict[str, Any]
    time: int
    value: float


class Record(NamedTuple):
    """A received log record."""

    resource: dict[str, Any]
    attributes: dict[str, Any]
    time: int
    body: Any


class Receiver:
    """Keeps what it has accepted. ``script`` has the next answers: a partial success, or a status and headers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.script: list[dict[str, Any]] = []
        self.is_metrics_only = False
        self.connections: list[socket.socket] = []
        self.lock = threading.Lock()

    def take(self, signal: str, data: bytes, headers: dict[str, str]) -> tuple[dict[str, Any], bytes]:
        """Return how to answer, and the body of the answer."""
        with self.lock:
            self.headers.append(headers)
            answer = self.script.pop(0) if self.script else {}
            response = RESPONSES[signal]()
            if "status" in answer:
                return answer, b""
            if "rejected" in answer:
                field = "rejected_data_points" if signal == "metrics" else "rejected_log_records"
                setattr(response.partial_success, field, answer["rejected"])
                response.partial_success.error_message = answer.get("message", "")
            self.requests.append((signal, REQUESTS[signal].FromString(data)))
            return answer, response.SerializeToString()

    def points(self) -> list[Point]:
        """Return all points that were accepted."""
        return [
            Point(
                about, scope.scope.name, metric.name, plain(one.attributes), one.time_unix_nano, one.as_double
            )
            for signal, request in self.requests
            if signal == "metrics"
            for resource in request.resource_metrics
            for about in [plain(resource.resource.attributes)]
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for one in metric.gauge.data_points
        ]

    def records(self) -> list[Record]:
        """Return all log records that were accepted."""
        return [
            Record(about, plain(record.attributes), record.time_unix_nano, value_of(record.body))
            for signal, request in self.requests
            if signal == "logs"
            for resource in request.resource_logs
            for about in [plain(resource.resource.attributes)]
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def hang_up(self) -> None:
        """Close the connections that HTTP clients have kept."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes as a dict."""
    return {pair.key: value_of(pair.value) for pair in attributes}


def value_of(value: Any) -> Any:
    """Return an AnyValue as a plain one."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [value_of(item) for item in found.values]
    return plain(found.values) if kind == "kvlist_value" else found


def serve_http(receiver: Receiver, port: int = 0) -> ThreadingHTTPServer:
    """Start an HTTP receiver."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver.connections.append(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signal = self.path.rpartition("/v1/")[2]
            if signal not in REQUESTS or (receiver.is_metrics_only and signal != "metrics"):
                return self.reply(404, {}, b"no such page")
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            answer, text = receiver.take(signal, body, {**self.headers, ":path": self.path})
            return self.reply(answer.get("status", 200), answer.get("headers", {}), text)

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for key, value in {"Content-Type": "application/x-protobuf", **headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def serve_grpc(receiver: Receiver, port: int = 0) -> tuple[Any, int]:
    """Start a gRPC receiver."""
    import grpc

    def export(signal: str) -> Any:
        def handle(data: bytes, context: Any) -> bytes:
            if receiver.is_metrics_only and signal != "metrics":
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "no logs here")
            answer, text = receiver.take(signal, data, dict(context.invocation_metadata()))
            if "status" in answer:
                if "details" in answer:
                    context.set_trailing_metadata([("grpc-status-details-bin", answer["details"])])
                context.abort(answer["status"], answer.get("message", "because"))
            return text

        return grpc.method_handlers_generic_handler(
            f"opentelemetry.proto.collector.{signal}.v1.{signal.capitalize()}Service",
            {"Export": grpc.unary_unary_rpc_method_handler(handle)},
        )

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([export("metrics"), export("logs")])
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound
