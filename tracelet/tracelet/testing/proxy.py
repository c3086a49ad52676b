"""A TCP proxy with the faults of a network, on command."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from http import HTTPStatus
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from tracelet.errors import UsageError

#: What the proxy does with connections.
FORWARD, REFUSE, RESET, STALL, DROP_ANSWER, STATUS = (
    "forward",
    "refuse",
    "reset",
    "stall",
    "drop answer",
    "status",
)
_CHUNK: Final = 65536
_TICK: Final = 0.02  # seconds between two looks at the mode


class FaultyProxy:
    """Stands between a client and a server, and forwards, refuses, resets, stalls, drops answers, or answers itself.

    ``target`` is a host and a port, or a URL. ``host``, ``port`` and ``url`` are where clients connect to. A change
    affects open connections as well. As a context manager, it closes itself.
    """

    def __init__(self, target: str | tuple[str, int]) -> None:
        self._scheme, self._userinfo, self._path = "", "", ""
        if isinstance(target, str):
            parts = urlsplit(target if "://" in target else f"tcp://{target}")
            if parts.hostname is None or parts.port is None:
                raise UsageError(
                    f"FaultyProxy: expected a host and a port, or a URL with both, found {target!r}"
                )
            self._scheme, self._path = parts.scheme, parts.path + (f"?{parts.query}" if parts.query else "")
            self._userinfo = "".join(parts.netloc.rpartition("@")[:2])
            target = (parts.hostname, parts.port)
        self.target = target
        self.mode = FORWARD
        #: How many connections were made, and how many of them met a fault.
        self.connections = self.faults = 0
        self._status = (503, "", {})  # type: tuple[int, str, dict[str, str]]
        self._closed = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        threading.Thread(target=self._accept, name="FaultyProxy", daemon=True).start()

    @property
    def url(self) -> str:
        """The proxy's address as a URL with the scheme, credentials and path of the target's."""
        return f"{self._scheme or 'http'}://{self._userinfo}{self.host}:{self.port}{self._path}"

    @property
    def address(self) -> str:
        """The proxy's address as ``host:port``."""
        return f"{self.host}:{self.port}"

    # -- commands --------------------------------------------------------------------------------------

    def forward(self) -> None:
        """Forward everything, as at the beginning."""
        self.mode = FORWARD

    def refuse(self) -> None:
        """Close new connections at once, and reset open ones."""
        self.mode = REFUSE
        self._reset_all()

    def reset(self) -> None:
        """Reset connections as soon as the client has sent something."""
        self.mode = RESET

    def stall(self) -> None:
        """Take what the client sends, and forward nothing until the mode changes."""
        self.mode = STALL

    def drop_answer(self) -> None:
        """Forward what the client sends, and reset the connection when the server answers."""
        self.mode = DROP_ANSWER

    def answer(self, status: int, body: str = "", **headers: str) -> None:
        """Answer every HTTP request with a status, without asking the server."""
        self._status = (status, body, {key.replace("_", "-"): value for key, value in headers.items()})
        self.mode = STATUS
        self._reset_all()

    def close(self) -> None:
        """End the proxy and its connections."""
        self._closed = True
        self._listener.close()
        self._reset_all()

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- connections -----------------------------------------------------------------------------------

    def _reset_all(self) -> None:
        for connection in list(self._open):
            _reset(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), name="FaultyProxy", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            self._open.add(client)
            try:
                self._serve_open(client)
            finally:
                self._open.discard(client)

    def _serve_open(self, client: socket.socket) -> None:
        if self.mode == REFUSE:
            self._fail(client)
        elif self.mode == STATUS:
            self._answer(client)
        else:
            with socket.create_connection(self.target, timeout=10) as server:
                server.settimeout(None)
                self._open.add(server)
                try:
                    self._pump(client, server)
                finally:
                    self._open.discard(server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        selector = selectors.DefaultSelector()
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while not self._closed:
            for key, _ in selector.select(_TICK):
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                data = source.recv(_CHUNK)
                if not data:
                    return
                self._wait_while_stalled()
                if self.mode == STATUS and source is client:
                    self.faults += 1
                    client.sendall(self._response())
                    return
                if self.mode == RESET or (self.mode == DROP_ANSWER and source is server):
                    self._fail(client)
                    return
                key.data.sendall(data)

    def _wait_while_stalled(self) -> None:
        if self.mode == STALL:
            self.faults += 1
        while self.mode == STALL and not self._closed:
            time.sleep(_TICK)

    def _fail(self, client: socket.socket) -> None:
        self.faults += 1
        _reset(client)

    def _answer(self, client: socket.socket) -> None:
        """Read one HTTP request, whole, and answer it."""
        client.settimeout(5)
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(_CHUNK)
            if not more:
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        left = _content_length(head) - len(body)
        while left > 0 and (more := client.recv(_CHUNK)):
            left -= len(more)
        self.faults += 1
        client.sendall(self._response())

    def _response(self) -> bytes:
        status, body, headers = self._status
        data = body.encode()
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Status"
        lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(data)}", "Connection: close"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + data


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-length":
            return int(value)
    return 0


def _reset(connection: socket.socket) -> None:
    """Have a connection end with RST rather than FIN when it is closed."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
