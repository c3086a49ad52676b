"""A small HTTP client for backends: one connection that is kept, errors with a status, no credentials in messages."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["HttpClient", "HttpStatusError", "Response", "parse_url"]

_LONGEST_TEXT = 300  # characters of an answer that a message quotes


class Response(NamedTuple):
    """A server's answer."""

    status: int
    headers: Any  # has get(name)
    body: bytes


class HttpStatusError(Exception):
    """A server answered with a status other than 2xx. The host reads ``status_code`` and ``headers``."""

    def __init__(self, url: str, response: Response, hint: str = "") -> None:
        self.status_code = response.status
        self.headers = response.headers
        self.text = " ".join(response.body[:4096].decode("utf-8", "replace").split())
        super().__init__(f"{url}: HTTP {response.status} {self.text[:_LONGEST_TEXT]}".rstrip() + hint)


def parse_url(option: str, url: str) -> SplitResult:
    """Return the parts of an HTTP URL. Raises ``ValueError`` that names the option, without credentials in it."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, has_host = SplitResult("", "", "", "", ""), False
    if parts.scheme not in ("http", "https") or not has_host or any(ord(letter) <= 32 for letter in url):
        raise ValueError(
            f"{option}: expected a URL that begins with http:// or https://, found something else"
        )
    return parts


class HttpClient:
    """Sends requests to one server, over a connection that is opened when it is needed."""

    def __init__(self, option: str, url: str, headers: Mapping[str, str], timeout: float) -> None:
        """Prepare. ``option`` names the key of the configuration that has the URL, for errors."""
        parts = parse_url(option, url)
        self._host = parts.hostname or ""
        self._port, self._tls, self._timeout = parts.port, parts.scheme == "https", timeout
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        port = f":{parts.port}" if parts.port else ""
        self._origin = f"{parts.scheme}://{f'[{self._host}]' if ':' in self._host else self._host}{port}"
        self.headers = dict(headers)
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self.headers.setdefault("Authorization", "Basic " + base64.b64encode(pair).decode())
        self._connection: Any = None

    @property
    def url(self) -> str:
        """The URL without credentials and without a query, for people."""
        return self._origin + self.path.partition("?")[0]

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def send(self, method: str, body: bytes | None, headers: Mapping[str, str], path: str = "") -> Response:
        """Send a request, and return the answer, whatever its status.

        A connection that the server has closed in the meantime is opened again. Raises ``OSError``.
        """
        import http.client

        is_kept = self._connection is not None
        try:
            return self._exchange(method, body, headers, path or self.path)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if not (is_kept and isinstance(error, ConnectionError)):
                raise self._outage(error) from None
        try:
            return self._exchange(method, body, headers, path or self.path)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise self._outage(error) from None

    def _exchange(self, method: str, body: bytes | None, headers: Mapping[str, str], path: str) -> Response:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, path, body, {**self.headers, **headers})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.will_close:
            self.close()
        return Response(answer.status, answer.headers, text)

    def _connect(self) -> Any:
        import http.client

        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _outage(self, error: Exception) -> OSError:
        what = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, TimeoutError):
            return TimeoutError(f"{self.url}: no answer within {self._timeout:g} s")
        return ConnectionError(f"{self.url}: {what}")

    def request(
        self, method: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, path: str = ""
    ) -> Response:
        """Send a request, and return the answer. Raises :class:`HttpStatusError` unless its status is 2xx."""
        response = self.send(method, body, headers or {}, path)
        if 300 <= response.status < 400:
            target = response.headers.get("Location", "")
            with contextlib.suppress(ValueError):
                target = urlsplit(target)._replace(query="").geturl().rpartition("@")[2]
            raise ConnectionError(f"{self.url}: HTTP {response.status}, moved to {target!r}; set that URL")
        if not 200 <= response.status < 300:
            raise HttpStatusError(self.url, response)
        return response
