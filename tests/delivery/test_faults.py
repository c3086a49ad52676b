"""What a failure means."""

from __future__ import annotations

import enum
import json
import socket
import urllib.error
from email.message import Message

import pytest

from tracelet.delivery.pipeline.failures import Fault, judge, retry_after
from tracelet.errors import PluginError


class Response:
    def __init__(self, status_code: int, headers: dict[str, str] | None = None) -> None:
        self.status_code = status_code
        self.headers = headers or {}


class HttpError(Exception):
    def __init__(self, status: int, **headers: str) -> None:
        self.response = Response(status, {key.replace("_", "-"): value for key, value in headers.items()})


class GrpcStatus(enum.Enum):
    UNAVAILABLE = (14, "unavailable")
    UNAUTHENTICATED = (16, "unauthenticated")
    INVALID_ARGUMENT = (3, "invalid argument")


class GrpcError(Exception):
    def __init__(self, status: GrpcStatus) -> None:
        self._status = status

    def code(self) -> GrpcStatus:
        return self._status


class ClientError(Exception):
    def __init__(self, status: int) -> None:
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def url_error(status: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("http://example.invalid", status, "text", Message(), None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), Fault.PASSING),
        (TimeoutError(), Fault.PASSING),
        (socket.gaierror(), Fault.PASSING),
        (OSError(28, "No space left on device"), Fault.PASSING),
        (PermissionError(), Fault.CREDENTIALS),
        (HttpError(401), Fault.CREDENTIALS),
        (HttpError(403), Fault.CREDENTIALS),
        (url_error(401), Fault.CREDENTIALS),
        (ClientError(403), Fault.CREDENTIALS),
        (GrpcError(GrpcStatus.UNAUTHENTICATED), Fault.CREDENTIALS),
        (HttpError(500), Fault.PASSING),
        (HttpError(429), Fault.PASSING),
        (HttpError(404), Fault.PASSING),
        (GrpcError(GrpcStatus.UNAVAILABLE), Fault.PASSING),
        (HttpError(400), Fault.REFUSED),
        (HttpError(422), Fault.REFUSED),
        (GrpcError(GrpcStatus.INVALID_ARGUMENT), Fault.REFUSED),
        (HttpError(413), Fault.TOO_MUCH),
        (ValueError("NaN is no number"), Fault.REFUSED),
        (TypeError(), Fault.REFUSED),
        (KeyError("x"), Fault.REFUSED),
        (json.JSONDecodeError("bad", "", 0), Fault.REFUSED),
        (RuntimeError("who knows"), Fault.UNKNOWN),
        (SystemExit(1), Fault.UNKNOWN),
        (caused(RuntimeError("upload failed"), HttpError(403)), Fault.CREDENTIALS),
        (caused(RuntimeError("upload failed"), ConnectionResetError()), Fault.PASSING),
        (caused(ValueError("unreadable answer"), HttpError(502)), Fault.PASSING),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_a_failure_means(error, expected):
    assert judge(error) is expected
    assert judge(PluginError("plugin 'x': failed", cause=error)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HttpError(429, Retry_After="7"), 7.0),
        (PluginError("x", cause=HttpError(503, Retry_After="0.5")), 0.5),
        (HttpError(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), None),
        (HttpError(429), None),
        (ValueError(), None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_a_server_asks_for(error, expected):
    assert retry_after(error) == expected
