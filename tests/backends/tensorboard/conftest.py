"""A recorded run, TensorBoard's own reader of event files, and its web server with and without the data server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("tensorboard", reason="needs TensorBoard: pip install tensorboard tbparse")
import backend_servers as servers

PROGRAM = """
    import math, os, sys
    import tracelet

    launch = int(sys.argv[1])
    with tracelet.start_run("digits", run_id="r1", resume=bool(launch), params={"lr": 0.1, "opt": "adam"},
                            tags={"team": "vision"}, strict="all") as run:
        for step in range(launch * 50, launch * 50 + 100):  # the second launch repeats 50 steps
            run.log({"train/loss": 1 / (step + 1), "train/acc": step / 256}, step=step)
        if not launch:
            for step, value in enumerate([math.nan, math.inf, -math.inf, -0.0, 123456789.1]):
                run.log_metric("special", value, step)
            for step in [-3, -1, 5, 3, 3, 4, 2]:
                run.log_metric("order", step, step)
            run.log_metric("no step", 1)
            run.log_metric("no step", 2)
            run.log_metric("größe/\U0001f600 100%", 0.5, 1)
            run.log_image("picture", [[[255, 0, 0], [0, 255, 0]]], step=1)
            run.log_histogram("weights", [0, 1, 1, 2, 2, 2, 3], step=2)
            run.log_text("note", "# Title", step=3)
            run.log_table("table", [{"a": 1, "b": "x|y"}], step=4)
            run.log_artifact(__file__)
    heavy = {"google", "tensorboard", "tensorflow", "torch"} & set(sys.modules)
    assert not heavy, heavy
"""

CONFIG = """
    [plugins.tensorboard]
    [plugins.system]
    enabled = false
    [plugins.environment]
    enabled = false
    [plugins.gpu]
    enabled = false
"""


class Point(NamedTuple):
    """A point as a reader returns it."""

    tag: str
    step: int
    value: float
    time: float


class Recorded:
    """A project whose program has recorded a run into the log directory ``runs``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_dir = path / "runs"
        (path / "train.py").write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
        (path / "tracelet.toml").write_text(textwrap.dedent(CONFIG), encoding="utf-8")
        foreign = ("TRACELET_", "PYTEST_", "SLURM_", "OMPI_", "XDG_")
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        self.environ |= {"HOME": str(path), "PYTHONDONTWRITEBYTECODE": "1"}

    def configure(self, line: str) -> None:
        """Add a line to the backend's table."""
        file = self.path / "tracelet.toml"
        file.write_text(file.read_text().replace("[plugins.tensorboard]", f"[plugins.tensorboard]\n{line}"))

    def run(self, *words: str, status: int = 0) -> str:
        """Run a program of this Python here."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.path,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def journal(self) -> list[Point]:
        """Return what the store has: every point with its value and time."""
        import tracelet

        record = tracelet.open_store(self.path / ".tracelet").run("r1")
        return [
            Point(name, step, value, when)
            for name in record.metrics()
            for series in [record.metric(name)]
            for step, value, when in zip(series.iterations, series.values, series.timestamps, strict=True)
        ]

    def folders(self) -> list[Path]:
        """Return each folder with event files: a run for TensorBoard."""
        return sorted({path.parent for path in self.log_dir.rglob("events.out.tfevents.*")})


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Return a run of two launches; the second one repeats steps."""
    project = Recorded(tmp_path_factory.mktemp("tensorboard"))
    project.run("train.py", "0")
    project.run("train.py", "1")
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Recorded:
    """Return a project of the test's own, without a run."""
    return Recorded(tmp_path)


def accumulate(folder: Path) -> Any:
    """Return TensorBoard's own reader of a folder, with everything in it."""
    from tensorboard.backend.event_processing.event_accumulator import (
        STORE_EVERYTHING_SIZE_GUIDANCE,
        EventAccumulator,
    )

    accumulator = EventAccumulator(str(folder), size_guidance=STORE_EVERYTHING_SIZE_GUIDANCE)
    accumulator.Reload()
    return accumulator


@pytest.fixture(scope="session")
def read() -> Callable[[Path], Any]:
    """Return TensorBoard's own reader of event files."""
    return accumulate


class WebServer(servers.Server):
    """TensorBoard's web server on a log directory."""

    def __init__(self, folder: Path, log_dir: Path, *, fast: bool) -> None:
        super().__init__(folder)
        self._log_dir = log_dir
        self._fast = fast

    def command(self) -> list[str]:
        """Return the server's command: it keeps all points and looks for new ones every second."""
        return [
            *(sys.executable, "-m", "tensorboard.main", f"--logdir={self._log_dir}", f"--port={self.port}"),
            *(f"--host={servers.HOST}", f"--load_fast={str(self._fast).lower()}", "--reload_interval=1"),
            "--samples_per_plugin=scalars=100000,images=100,text=100,histograms=100",
        ]

    def is_ready(self) -> bool:
        """Say whether it has read the log directory."""
        return super().is_ready() and len(self.get("runs")) >= 3

    def get(self, path: str, body: Any = None, **query: str) -> Any:
        """Ask its HTTP API, which the pages use themselves."""
        url = f"http://{servers.HOST}:{self.port}/data/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers.get_content_type() == "application/json" else content


@contextmanager
def serving(folder: Path, log_dir: Path, *, fast: bool) -> Iterator[WebServer]:
    """Run a web server."""
    server = WebServer(folder, log_dir, fast=fast)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], AbstractContextManager[WebServer]]:
    """Return a function that runs a web server on a log directory."""
    return lambda log_dir: serving(tmp_path_factory.mktemp("server"), log_dir, fast=True)


@pytest.fixture(scope="session", params=["data server", "python"])
def web(
    request: pytest.FixtureRequest, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    """Return a web server on the recorded run: with the data server in Rust, which is the default, and without."""
    fast = request.param == "data server"
    if fast:
        pytest.importorskip("tensorboard_data_server")
    with serving(tmp_path_factory.mktemp("server"), recorded.log_dir, fast=fast) as server:
        yield server
