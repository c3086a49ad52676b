"""Real MLflow servers, and projects whose programs deliver to them."""

from __future__ import annotations

import http.server
import importlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from backend_servers import HOST, MlflowServer

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    # As in the plugin's own process.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
if importlib.util.find_spec("mlflow") is not None:
    os.environ.update(QUIET)


@pytest.fixture(scope="session")
def sqlite_mlflow() -> Iterator[MlflowServer]:
    """Return a server on SQLite."""
    server = MlflowServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres_mlflow(postgres_server: Any) -> Iterator[MlflowServer]:
    """Return a server on PostgreSQL."""
    pytest.importorskip("psycopg2", reason="MLflow needs psycopg2 for PostgreSQL")
    server = MlflowServer(postgres_server.dsn(postgres_server.create_database()))
    try:
        server.start()
        yield server
    finally:
        server.close()


class Project:
    """A folder with a program, whose runs go to MLflow."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri = folder, uri
        self.data = folder / ".tracelet"
        self.table: dict[str, Any] = {}
        self.name = folder.name
        (folder / "tracelet.toml").write_text(
            f'project = "{self.name}"\n[plugins.mlflow]\n' + (f'tracking_uri = "{uri}"\n' if uri else "")
        )
        self.env = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("MLFLOW_", "TRACELET_"))
            },
            "HOME": str(folder),
        }

    def run(self, program: str, *, status: int = 0, **env: str) -> str:
        """Run a program in a process of its own, and return what it prints."""
        (self.folder / "train.py").write_text(program)
        done = subprocess.run(
            [sys.executable, "train.py"],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=170,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    @contextmanager
    def record(self, name: str = "run", **options: Any) -> Iterator[Any]:
        """Record a run in this process, which has imported MLflow already, and deliver it on a thread."""
        import tracelet

        run = tracelet.start_run(
            name,
            dir=self.data,
            project=self.name,
            plugins=["mlflow"],
            config=self.config,
            strict=True,
            **options,
        )
        with run:
            yield run
            assert run.flush(timeout=60), run.status()

    @property
    def config(self) -> dict[str, Any]:
        table = {"tracking_uri": self.uri} if self.uri else {}
        quiet = {name: {"enabled": False} for name in ("system", "gpu", "environment")}
        return {"plugins": {"mlflow": {"isolation": "thread", **table, **self.table}, **quiet}}

    def sync(self) -> list[Any]:
        """Deliver what is pending, as ``tracelet sync`` does."""
        from tracelet.config import load_config
        from tracelet.core.plugins import PluginManager
        from tracelet.delivery import sync

        done = []
        for run in sorted(self.data.glob("runs/*")):
            config = load_config(root=self.folder, overrides=self.config)
            with PluginManager(config=config) as manager:
                manager.discover_plugins()
                done += sync(run, manager, ["mlflow"])
        return done

    def runs(self, client: Any) -> list[Any]:
        experiment = client.get_experiment_by_name(self.name)
        return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))

    def the_run(self, client: Any) -> Any:
        found = self.runs(client)
        assert len(found) == 1, found
        return client.get_run(found[0].info.run_id)

    def forget_deliveries(self) -> None:
        """Let the next ``tracelet sync`` deliver everything again."""
        for file in self.folder.glob(".tracelet/runs/*/delivery/mlflow.*"):
            file.unlink()


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Project]:
    """Return a function that makes the test's project, for a tracking URI."""
    importlib.import_module("mlflow")  # takes seconds, which a plugin's start should not have to wait for

    def make(uri: str) -> Project:
        folder = tmp_path / f"p{os.getpid()}{abs(hash(str(tmp_path))) % 10**8}"
        folder.mkdir()
        return Project(folder, uri)

    return make


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """Return a function that starts a server which gives every request the same status, and returns its URL."""
    servers = []

    def start(status: int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_PUT = do_PATCH = _answer

            def log_message(self, *args: Any) -> None: ...

        server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://{HOST}:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
