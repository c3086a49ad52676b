"""Lakes in a bucket of a real S3 server and in a folder, and readers that know pyarrow only."""

from __future__ import annotations

import http.server
import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# The tests are no package, so that a helper module has to be given a name.
_spec = importlib.util.spec_from_file_location("lake_reading", Path(__file__).with_name("reading.py"))
reading: Any = sys.modules.setdefault("lake_reading", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(reading)


@pytest.fixture(autouse=True)
def _needs_pyarrow() -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'tracelet[lake]'")


@pytest.fixture
def bucket(s3_server: Any) -> SimpleNamespace:
    """Return a lake in an empty bucket: ``table`` configures the plugin, ``read`` has its files."""
    url = f"s3://{s3_server.create_bucket()}/team"
    table = {"url": url, "storage_options": s3_server.options}
    return SimpleNamespace(url=url, table=table, read=reading.Lake(url, s3_server.options))


@pytest.fixture
def folder(tmp_path: Path) -> SimpleNamespace:
    """Return a lake in a folder."""
    url = str(tmp_path / "lake")
    return SimpleNamespace(url=url, table={"url": url}, read=reading.Lake(url, {}))


@pytest.fixture(params=["bucket", "folder"])
def lake(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Return each kind of lake in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """Return a function that writes a configuration with a lake into a folder and returns the folder."""

    def make(table: dict[str, Any], **more: Any) -> Path:
        lines = ["[plugins.lake]"]
        for key, value in {**table, **more}.items():
            lines.append(f"{key} = {toml(value)}")
        (tmp_path / "tracelet.toml").write_text('project = "digits"\n' + "\n".join(lines) + "\n")
        return tmp_path

    return make


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


class _Refusing(http.server.BaseHTTPRequestHandler):
    """Answers every request as S3 answers an unknown key."""

    def do_PUT(self) -> None:
        code = self.server.code  # type: ignore[attr-defined]
        body = f"<Error><Code>{code}</Code><Message>as the test wants</Message></Error>".encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def answer() -> Iterator[Callable[[int, str], str]]:
    """Return a function that starts a server that answers everything with an S3 error, and returns its URL."""
    servers = []

    def start(status: int, code: str) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
        server.status, server.code = status, code  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def refusing_s3(answer: Callable[[int, str], str]) -> str:
    """Return the URL of an S3 server that knows nobody."""
    return answer(403, "InvalidAccessKeyId")
