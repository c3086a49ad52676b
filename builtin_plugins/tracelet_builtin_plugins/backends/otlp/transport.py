"""How requests travel: OTLP over HTTP, or over gRPC."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any, Final, Protocol

from tracelet_builtin_plugins.extras import import_extra
from tracelet_builtin_plugins.http_client import HttpClient, HttpStatusError, parse_url

__all__ = ["GrpcTransport", "HttpTransport", "NotSupportedError", "Transport"]

_OPTION: Final = "plugins.otlp.endpoint"
_SUFFIX: Final = "/v1/metrics"
_HEADERS: Final = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
_METHODS: Final = {
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
#: Statuses of gRPC for an outage, besides those that the host knows.
_PASSING: Final = ("CANCELLED", "ABORTED", "DATA_LOSS")


class NotSupportedError(Exception):
    """The receiver does not take this kind of data."""


class Transport(Protocol):
    """Sends a request for a signal ("metrics" or "logs"), and returns the answer."""

    url: str

    def export(self, signal: str, request: bytes) -> bytes:
        """Send it. Raises :class:`NotSupportedError`, or what the host takes for an outage or a refusal."""

    def close(self) -> None:
        """Release everything."""


class HttpTransport:
    """OTLP/HTTP with protobuf, compressed with gzip."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout: float) -> None:
        parse_url(_OPTION, endpoint)
        base = endpoint.rstrip("/").removesuffix(_SUFFIX)
        self._client = HttpClient(_OPTION, base, headers, timeout)
        self._path = self._client.path.rstrip("/")
        self.url = self._client.url

    def export(self, signal: str, request: bytes) -> bytes:
        """Send a request."""
        body = gzip.compress(request, 1, mtime=0)
        try:
            return self._client.request("POST", body, _HEADERS, f"{self._path}/v1/{signal}").body
        except HttpStatusError as error:
            if error.status_code in (404, 405, 501):
                raise NotSupportedError(
                    f"{error}; expected a receiver of OTLP at {self.url.rstrip('/')}/v1/{signal}"
                ) from error
            raise

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class GrpcStatusError(Exception):
    """A call failed. The host reads ``code`` and ``headers``."""

    def __init__(self, text: str, code: Any, wait: float | None) -> None:
        super().__init__(text)
        self.code = code
        self.headers = {} if wait is None else {"Retry-After": str(wait)}


class GrpcTransport:
    """OTLP/gRPC, compressed with gzip."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], timeout: float) -> None:
        self._grpc: Any = import_extra("grpc", plugin="otlp-grpc", distribution="grpcio", minimum="1.60")
        parts = parse_url(_OPTION, endpoint)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        target = f"{host}:{parts.port or 4317}"
        self.url = f"{parts.scheme}://{target}"
        self._timeout = timeout
        self._metadata = [(key.lower(), value) for key, value in headers.items()]
        if parts.scheme == "https":
            self._channel = self._grpc.secure_channel(target, self._grpc.ssl_channel_credentials())
        else:
            self._channel = self._grpc.insecure_channel(target)
        self._calls = {signal: self._channel.unary_unary(method) for signal, method in _METHODS.items()}

    def export(self, signal: str, request: bytes) -> bytes:
        """Send a request."""
        try:
            answer: bytes = self._calls[signal](
                request,
                timeout=self._timeout,
                metadata=self._metadata,
                compression=self._grpc.Compression.Gzip,
            )
        except self._grpc.RpcError as error:
            raise self._translate(error) from None
        return answer

    def _translate(self, error: Any) -> Exception:
        code = error.code()
        text = f"{self.url}: gRPC {code.name} {' '.join((error.details() or '').split())}".rstrip()
        if code.name == "UNIMPLEMENTED":
            return NotSupportedError(f"{text}; expected a receiver of OTLP")
        if code.name in _PASSING:
            return ConnectionError(text)
        return GrpcStatusError(text, code, retry_delay(error.trailing_metadata() or ()))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def retry_delay(metadata: Any) -> float | None:
    """Return the seconds that a receiver asks to wait: ``google.rpc.RetryInfo`` among a status' details.

    The messages are read by hand, since no package has them all: ``Status { repeated Any details = 3; }``,
    ``Any { string type_url = 1; bytes value = 2; }``, ``RetryInfo { Duration retry_delay = 1; }``,
    ``Duration { int64 seconds = 1; int32 nanos = 2; }``.
    """
    for key, value in metadata:
        if key != "grpc-status-details-bin":
            continue
        try:
            for detail in read_fields(value).get(3, []):
                fields = read_fields(detail)
                if fields[1][0].endswith(b"google.rpc.RetryInfo"):
                    duration = read_fields(read_fields(fields[2][0])[1][0])
                    return float(duration.get(1, [0])[0] + duration.get(2, [0])[0] / 1e9)
        except (LookupError, TypeError, AttributeError):
            continue
    return None


def read_fields(data: bytes) -> dict[int, list[Any]]:
    """Return the fields of a protobuf message: numbers and bytes. Raises ``IndexError`` if it is cut off."""
    fields: dict[int, list[Any]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            fields.setdefault(key >> 3, []).append(varint())
            continue
        size = varint() if kind == 2 else 8 if kind == 1 else 4
        fields.setdefault(key >> 3, []).append(data[at : at + size])
        at += size
    return fields


def default_endpoint(protocol: str) -> str:
    """Return where a collector on this machine listens."""
    return "http://127.0.0.1:4317" if protocol == "grpc" else "http://127.0.0.1:4318"
