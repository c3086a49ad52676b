"""A store with sample runs, the application that shows it, and a real server for a program's view of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the page needs the extra 'ui'")

from starlette.testclient import TestClient
from tests.nasty_names import nasty_values
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.store import Store, open_store
from tracelet.ui import Access, create_app

LOCAL = "http://127.0.0.1"


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with sample runs; tests only read it."""
    folder = tmp_path_factory.mktemp("samples") / ".tracelet"
    folder.mkdir()
    program = Path(__file__).with_name("sample_runs.py")  # in a process of its own, whose output is recorded
    subprocess.run([sys.executable, program, folder], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two runs, whose params, tags and metrics have names that nobody should choose."""
    folder = tmp_path_factory.mktemp("nasty") / ".tracelet"
    for number in range(2):
        with tracelet.start_run(f"run-{number}", project="names", dir=folder, plugins=PLAIN) as run:
            run.log_params(nasty_values("params", number))
            run.set_tags(nasty_values("tags", number))
            run.log(nasty_values("metrics", number), step=1)
    return folder


@pytest.fixture(scope="session")
def store(samples: Path) -> Store:
    return open_store(samples)


@pytest.fixture(scope="session")
def client(store: Store) -> TestClient:
    """A client of the application, as a browser on this machine is one."""
    return TestClient(create_app(store), base_url=LOCAL)


@pytest.fixture
def make_client() -> Callable[..., TestClient]:
    def make(store: Store, *, base_url: str = LOCAL, **access: object) -> TestClient:
        return TestClient(create_app(store, Access(**access)), base_url=base_url, follow_redirects=False)  # type: ignore[arg-type]

    return make


class Server:
    """``tracelet ui`` as a process."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tracelet", "ui", str(folder), "--port", "0", "--no-open", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environ},
        )
        self.err: str | None = None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            self.process.kill()
            raise AssertionError(f"no address: {line!r} {self.process.communicate()[1]}")
        self.address = found[0].rstrip("/")

    def stop(self) -> int:
        if self.err is not None:
            return self.process.returncode
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.err = self.process.communicate(timeout=15)[1]
        finally:
            self.process.kill()
        return self.process.returncode


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(folder: Path, *options: str, **environ: str) -> Server:
        started.append(Server(folder, *options, **environ))
        return started[-1]

    yield start
    for server in started:
        server.stop()
