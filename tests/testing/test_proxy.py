"""The faulty proxy, between a real client and a real server."""

from __future__ import annotations

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tracelet.testing import FaultyProxy


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments): ...


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.bodies = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(server):
    with FaultyProxy(f"http://127.0.0.1:{server.server_port}/api") as proxy:
        yield proxy


def post(proxy, timeout=5.0):
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=timeout)
    try:
        connection.request("POST", "/", b"data")
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.headers)
    finally:
        connection.close()


def test_it_forwards(proxy, server):
    assert post(proxy)[:2] == (200, b"ok")
    assert server.bodies == [b"data"]
    assert proxy.url == f"http://127.0.0.1:{proxy.port}/api"
    assert (proxy.connections, proxy.faults) == (1, 0)


@pytest.mark.parametrize("mode", ["refuse", "reset"])
def test_it_ends_connections_before_the_server_has_anything(proxy, server, mode):
    getattr(proxy, mode)()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        post(proxy)
    assert server.bodies == []
    proxy.forward()
    assert post(proxy)[0] == 200
    assert proxy.faults >= 1


def test_it_stalls_until_it_forwards_again(proxy, server):
    proxy.stall()
    with pytest.raises(TimeoutError):
        post(proxy, timeout=0.2)
    assert server.bodies == []
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(post(proxy)))
    waiting.start()
    time.sleep(0.05)
    proxy.forward()
    waiting.join(5)
    assert answers[0][0] == 200


def test_it_drops_the_answer_after_the_server_has_done_its_work(proxy, server):
    proxy.drop_answer()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        post(proxy)
    assert server.bodies == [b"data"]


def test_it_answers_a_status_itself(proxy, server):
    proxy.answer(429, "slow down", Retry_After="1")
    status, body, headers = post(proxy)
    assert (status, body, headers["Retry-After"]) == (429, b"slow down", "1")
    assert server.bodies == []


def test_a_command_affects_an_open_connection(proxy, server):
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=5)
    connection.request("POST", "/", b"first")
    assert connection.getresponse().read() == b"ok"
    proxy.answer(503)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        connection.request("POST", "/", b"second")
        connection.getresponse()
    connection.close()
    assert server.bodies == [b"first"]


@pytest.mark.parametrize("target", ["127.0.0.1", "http://127.0.0.1/", "nonsense"])
def test_a_target_without_a_port(target):
    with pytest.raises(Exception, match="expected a host and a port, or a URL with both"):
        FaultyProxy(target)
