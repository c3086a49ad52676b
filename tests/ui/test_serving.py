"""``tracelet ui`` as a program, and what it streams while a run records."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.journal import Writer
from tracelet.run import Run

Serve = Callable[..., Any]


def fetch(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return json.load(answer)


def run_cli(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tracelet", "ui", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_command_serves_until_it_is_interrupted(samples: Path, serve: Serve) -> None:
    server = serve(samples)
    assert fetch(f"{server.address}/api/v1/runs")["total"] == 8
    assert server.stop() in (-signal.SIGINT, 128 + signal.SIGINT)
    assert "Traceback" not in server.err


def test_single_run_can_be_served(samples: Path, serve: Serve) -> None:
    folder = next((samples / "runs").iterdir())
    server = serve(folder)
    assert [run["id"] for run in fetch(f"{server.address}/api/v1/runs")["runs"]] == [folder.name]


def test_host_of_other_machines_without_a_token_is_refused(samples: Path) -> None:
    done = run_cli(str(samples), "--host", "0.0.0.0", "--no-open")
    assert done.returncode == 2
    assert "expected a token" in done.stderr
    assert "TRACELET_UI_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_token_of_the_environment_is_in_the_address(samples: Path, serve: Serve) -> None:
    server = serve(samples, TRACELET_UI_TOKEN="a b")
    assert server.address.endswith("?token=a%20b")
    base = server.address.partition("/?")[0]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        fetch(f"{base}/api/v1/runs")
    request = urllib.request.Request(f"{base}/api/v1/runs", headers={"authorization": "Bearer a b"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["total"] == 8


def test_port_that_is_taken_is_an_error_with_a_remedy(samples: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_cli(str(samples), "--port", str(port), "--no-open")
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    done = run_cli(str(tmp_path / "absent"), "--no-open")
    assert done.returncode != 0
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr


# --- live ------------------------------------------------------------------------------------------------


class Stream:
    """The events of ``/api/v1/live``, as a browser receives them."""

    def __init__(self, base: str, query: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=20)
        self.connection.request("GET", f"/api/v1/live?{query}")
        self.answer = self.connection.getresponse()
        assert self.answer.getheader("content-type", "").startswith("text/event-stream")

    def events(self) -> Iterator[tuple[str, Any]]:
        name = ""
        while line := self.answer.readline().decode():
            if line.startswith("event: "):
                name = line[7:].strip()
            elif line.startswith("data: "):
                yield name, json.loads(line[6:])

    def next(self, wanted: str) -> Any:
        return next(data for name, data in self.events() if name == wanted)


def watch(server: Any, run: Run, *names: str) -> Stream:
    query = "&".join(["run=" + run.id, *(f"name={quote(name, safe='')}" for name in names)])
    series = fetch(f"{server.address}/api/v1/series?{query}")["series"]
    cursors = {run.id: {one["name"]: one["cursor"] for one in series}}
    return Stream(server.address, "cursors=" + quote(json.dumps(cursors)))


def test_new_points_arrive_within_a_second_and_only_they(tmp_path: Path, serve: Serve) -> None:
    with tracelet.start_run("live", dir=tmp_path / "data", plugins=PLAIN) as run:
        for step in range(100):
            run.log({"a": step / 2, "b": float("nan")}, step=step)
        server = serve(tmp_path / "data")
        stream = watch(server, run, "a", "b")
        began = time.monotonic()
        run.log({"a": 7.5, "b": 1.0, "c": 3.0}, step=100)
        data = stream.next("points")
        took = time.monotonic() - began
        assert {one["name"]: (one["steps"], one["values"]) for one in data["series"]} == {
            "a": ([100], [7.5]),
            "b": ([100], [1.0]),
        }
        assert sum(data["series"][0]["cursor"].values()) == 101
        run.log({"a": float("inf")}, step=101)
        again = stream.next("points")["series"]
        assert [(one["name"], one["steps"], one["values"]) for one in again] == [("a", [101], ["Infinity"])]
        assert took < 5  # a second, on a machine that does nothing else


def test_end_of_a_run_is_an_event(tmp_path: Path, serve: Serve) -> None:
    run = tracelet.start_run("ending", dir=tmp_path / "data", plugins=PLAIN)
    run.log_metric("a", 1.0)
    server = serve(tmp_path / "data")
    stream = watch(server, run, "a")
    assert stream.next("run")["outcome"] == "running"
    run.finish()
    assert stream.next("run")["outcome"] == "finished"


def test_new_run_is_an_event_of_the_table(tmp_path: Path, serve: Serve) -> None:
    with tracelet.start_run("first", dir=tmp_path / "data", plugins=PLAIN):
        pass
    server = serve(tmp_path / "data")
    stream = Stream(server.address, "table=1")
    time.sleep(1)
    known = fetch(f"{server.address}/api/v1/runs")["version"]
    with tracelet.start_run("second", dir=tmp_path / "data", plugins=PLAIN):
        pass
    while stream.next("runs")["version"] == known:
        pass  # the index has looked at the first run again
    late = Stream(server.address, f"table=1&version={known}")  # as a page whose connection was lost
    assert late.next("runs")["version"] != known


def test_stream_does_not_keep_the_server_from_ending(samples: Path, serve: Serve) -> None:
    server = serve(samples)
    Stream(server.address, "table=1")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 10


def test_closed_tab_leaves_no_word_on_the_terminal(tmp_path: Path, serve: Serve) -> None:
    data = tmp_path / ".tracelet"
    writers = [
        Writer(data / "runs" / f"run-{number}", {"run": {"id": f"run-{number}", "name": "n", "project": "p"}})
        for number in range(30)
    ]
    for writer in writers:
        writer.row({"loss": 1.0}, 0)
    server = serve(data)
    url = urlsplit(server.address)
    cursors = {f"run-{number}": {"loss": {}} for number in range(30)}
    with socket.create_connection((url.hostname, url.port), timeout=20) as tab:
        request = (
            f"GET /api/v1/live?cursors={quote(json.dumps(cursors))} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n"
        )
        tab.sendall(request.encode())
        received = b""
        while b"event: points" not in received:
            received += tab.recv(65536)
        tab.shutdown(socket.SHUT_RDWR)
        for step in range(1, 5):
            for writer in writers:
                writer.row({"loss": 1.0}, step)
            time.sleep(0.2)
    for writer in writers:
        writer.close("finished")
    server.stop()
    assert server.err == ""
