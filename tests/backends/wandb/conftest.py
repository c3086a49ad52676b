"""Projects whose runs go to wandb: offline, or online to a stand-in for W&B's server on this machine.

The stand-in answers what wandb's own process asks for a run: three GraphQL operations, the stream of rows, and uploads
of small files. It knows nothing of artifacts; those are tested offline.
"""

from __future__ import annotations

import gzip
import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from backend_servers import HOST

KEY = "0123456789abcdef" * 2 + "01234567"  # as long as a real one


_spec = importlib.util.spec_from_file_location("wandb_run_files", Path(__file__).with_name("run_files.py"))
assert _spec is not None
assert _spec.loader is not None
run_files: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run_files)
WandbRun = run_files.WandbRun


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """wandb's process resets connections when it ends."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class StandIn:
    """A stand-in for W&B's server. ``status`` is its answer to everything while it is not 200."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.runs: dict[str, dict[str, Any]] = {}
        self.server = QuietServer((HOST, port), self._handler())
        self.url = f"http://{HOST}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        return [json.loads(line) for _, line in sorted(self.runs[run_id]["lines"].items())]

    def _handler(stand_in: Any) -> Any:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _read(self) -> bytes:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

            def _answer(self, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(stand_in.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self._answer({})

            def do_PUT(self) -> None:
                self._read()
                self._answer({})

            def do_POST(self) -> None:
                if not self.path.endswith(("/graphql", "/file_stream")):  # usage statistics
                    self._read()
                    self._answer({})
                    return
                body = json.loads(self._read() or b"{}")
                if stand_in.status != 200:
                    self._answer({"errors": [{"message": "not now"}]})
                elif self.path == "/graphql":
                    self._answer({"data": stand_in.query(body.get("operationName") or "", body)})
                else:
                    stand_in.stream(self.path.split("/")[-2], body)
                    self._answer({})

            def log_message(self, *args: Any) -> None: ...

        return Handler

    def query(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        given = body.get("variables") or {}
        project = {"id": "UHJv", "name": given.get("project"), "entity": {"id": "RW50", "name": "me"}}
        if name == "RunResumeStatus":
            run = self.runs.get(given["name"])
            return {"model": {**project, "bucket": None if run is None else self._bucket(given["name"])}}
        if name == "UpsertBucket":
            run = self.runs.setdefault(given["name"], {"lines": {}, "config": "{}", "complete": None})
            run |= {key: given[key] for key in ("config", "tags", "displayName") if given.get(key)}
            bucket = {
                **self._bucket(given["name"]),
                "description": None,
                "sweepName": None,
                "project": project,
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateRunFiles":
            files = [{"name": file, "uploadUrl": f"{self.url}/up/{file}"} for file in given["files"]]
            return {"createRunFiles": {"runID": "UnVu", "uploadHeaders": [], "files": files}}
        return {}

    def _bucket(self, run_id: str) -> dict[str, Any]:
        run = self.runs[run_id]
        lines = [line for _, line in sorted(run["lines"].items())]
        return {
            "id": "UnVu",
            "name": run_id,
            "displayName": run.get("displayName") or run_id,
            "summaryMetrics": "{}",
            "logLineCount": 0,
            "historyLineCount": len(lines),
            "eventsLineCount": 0,
            "historyTail": json.dumps(lines[-1:]),
            "eventsTail": "[]",
            "config": run["config"],
            "tags": run.get("tags") or [],
            "notes": "",
            "wandbConfig": '{"t": 1}',  # it was really begun
        }

    def stream(self, run_id: str, body: dict[str, Any]) -> None:
        run = self.runs[run_id]
        part = (body.get("files") or {}).get("wandb-history.jsonl")
        if part:
            run["lines"] |= {part["offset"] + at: line for at, line in enumerate(part["content"])}
        if body.get("complete"):
            run["complete"] = body.get("exitcode", body.get("exit_code"))


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


@pytest.fixture
def make_stand_in() -> Iterator[Callable[[int], StandIn]]:
    """Start a server at a port."""
    servers: list[StandIn] = []

    def make(port: int) -> StandIn:
        servers.append(StandIn(port))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def wandb_run() -> Any:
    """Return the class that reads the files of a run."""
    return WandbRun


class Project:
    """A folder, whose runs go to wandb."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".tracelet"
        self.table: dict[str, Any] = {"mode": "offline"}
        self.env = {
            **{
                key: value for key, value in os.environ.items() if not key.startswith(("WANDB_", "TRACELET_"))
            },
            "HOME": str(folder),
        }

    @property
    def config(self) -> dict[str, Any]:
        quiet = {name: {"enabled": False} for name in ("system", "gpu", "environment")}
        return {"plugins": {"wandb": {"isolation": "thread", **self.table}, **quiet}}

    @contextmanager
    def record(self, name: str = "run", *, flushed: bool = True, **options: Any) -> Iterator[Any]:
        """Record a run in this process, which has imported wandb already, and deliver it on a thread."""
        import tracelet

        options = {"dir": self.data, "project": "digits", "plugins": ["wandb"], **options}
        with tracelet.start_run(name, config=self.config, strict=True, **options) as run:
            yield run
            assert not flushed or run.flush(timeout=60), run.status()

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
                done += sync(run, manager, ["wandb"])
        return done

    def forget_deliveries(self) -> None:
        for file in self.data.glob("runs/*/delivery/wandb.*"):
            file.unlink()

    def read(self, run_id: str) -> Any:
        return WandbRun(self.folder, run_id)

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


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project. wandb keeps its caches and settings in it, too."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-own"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return Project(folder)


@pytest.fixture
def online(project: Project, stand_in: StandIn) -> Callable[[], Project]:
    project.table = {"base_url": stand_in.url, "api_key": KEY}
    return lambda: project
