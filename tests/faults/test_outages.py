"""Real networks that fail: an HTTP service, and before it a TCP proxy that stalls, resets, and drops answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tracelet.core.plugins import PluginState


class Service:
    """Takes batches of points by POST, and can tell repeats apart by their ids."""

    def __init__(self) -> None:
        self.points: dict[tuple, float] = {}
        self.received = 0
        self.status = 200
        self.headers: dict[str, str] = {}
        self.posts = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.posts += 1
                if service.status == 200:
                    service.received += len(body)
                    service.points.update((tuple(identity), value) for identity, value in body)
                self.send_response(service.status)
                for key, value in service.headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args): ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = self._server.server_address
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Proxy:
    """Passes connections on. ``mode``: pass, refuse, reset (at the first bytes), stall, or drop the answer."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.mode = "pass"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.mode == "refuse":
                reset(client)
            else:
                with socket.create_connection(self._target) as server:
                    self._pump(client, server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        chosen = selectors.DefaultSelector()
        chosen.register(client, selectors.EVENT_READ, server)
        chosen.register(server, selectors.EVENT_READ, client)
        while not self._closed:
            for key, _ in chosen.select(0.05):
                data = key.fileobj.recv(65536)
                if not data:
                    return
                if self.mode == "stall":
                    while self.mode == "stall" and not self._closed:
                        time.sleep(0.01)
                if self.mode == "reset" or (self.mode == "drop" and key.fileobj is server):
                    reset(client)
                    return
                key.data.sendall(data)

    def close(self) -> None:
        self._closed = True
        self._listener.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class HttpStatusError(Exception):
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response
        self.status_code = response.status
        super().__init__(f"HTTP {response.status}")


@pytest.fixture
def service():
    service = Service()
    yield service
    service.close()


@pytest.fixture
def proxy(service):
    proxy = Proxy(service.address)
    yield proxy
    proxy.close()


@pytest.fixture
def client(backend, proxy):
    """Return a backend that posts what it gets, with a timeout of its own."""

    class Client(backend):
        def log_metrics(self, points, run):
            connection = http.client.HTTPConnection(*proxy.address, timeout=0.3)
            try:
                connection.request("POST", "/", json.dumps([(point.id, point.value) for point in points]))
                response = connection.getresponse()
                response.read()
            finally:
                connection.close()
            if response.status != 200:
                raise HttpStatusError(response)

    return Client()


def trouble_for(stage, seconds: float) -> list[float]:
    """Record through a time of trouble."""
    values, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        values += stage.log(20, start=len(values))
        time.sleep(0.005)
    return values


@pytest.mark.parametrize("mode", ["refuse", "reset", "stall", "drop"])
def test_a_network_outage_loses_nothing(stage, service, proxy, client, mode):
    stage.add(client)
    before = stage.log(100)
    stage.flush()
    proxy.mode = mode
    values = trouble_for(stage, 0.6)
    stage.wait_for(lambda: stage.status()["error"])
    status = stage.status()
    assert status["pending"] > 0
    assert status["retries"] > 0
    assert status["lag_s"] > 0
    proxy.mode = "pass"
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    assert len(service.points) == len(before) + len(values)
    assert list(service.points.values()) == before + values
    if mode == "drop":
        assert service.received > len(service.points), "the answers were lost, so batches came again"
    stage.delivery.finish(1)
    (row,) = stage.verified().backends
    assert row.delivered == len(before) + len(values)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_service_that_is_ill_is_waited_for(stage, service, client, status):
    service.status = status
    stage.add(client)
    values = stage.log(100)
    stage.wait_for(lambda: stage.status()["breaker"] in ("open", "half-open"))
    assert stage.manager.plugins["backend"].state is PluginState.ACTIVE
    service.status = 200
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    assert list(service.points.values()) == values
    assert stage.status()["breaker"] == "closed"


def test_a_service_may_say_how_long_to_wait(stage, service, client):
    service.status, service.headers = 429, {"Retry-After": "1"}
    stage.add(client)
    stage.log(10)
    stage.wait_for(lambda: service.posts)
    time.sleep(0.5)
    assert service.posts == 1
    service.status = 200
    stage.wait_for(lambda: stage.status()["pending"] == 0)


def test_rejected_credentials_are_not_tried_again(stage, service, client):
    service.status = 401
    stage.add(client)
    stage.log(10)
    stage.wait_for(lambda: stage.status()["breaker"] == "permanent")
    posts = service.posts
    time.sleep(0.2)
    assert service.posts == posts == 1
    assert stage.delivery.finish(5) == {"backend": "10 records"}


def test_an_hour_of_outage_in_scaled_time(stage, service, proxy, client):
    """Sixty "minutes" of 20 ms each with a dead service: all of it comes, in order, and the memory stays flat."""
    stage.add(client)
    proxy.mode = "refuse"
    values = []
    for _ in range(60):
        values += stage.log(100, start=len(values))
        time.sleep(0.02)
    plan = stage.delivery._workers["backend"].pipeline.plan
    assert sum(len(step.points) for step in plan.steps) <= stage.settings.batch_first
    proxy.mode = "pass"
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    assert list(service.points.values()) == values
