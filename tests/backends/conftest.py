"""What the tests of several backends share: real servers."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The tests are no package, so that a helper module has to be given a name.
_spec = importlib.util.spec_from_file_location("backend_servers", Path(__file__).with_name("servers.py"))
assert _spec is not None
assert _spec.loader is not None
servers: Any = sys.modules.setdefault("backend_servers", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(servers)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """Return a private PostgreSQL server, a ``backend_servers.Postgres``. Tests share it, so do not stop it."""
    server = servers.Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_dsn(postgres_server: Any) -> str:
    """Return the URL of an empty database."""
    return postgres_server.dsn(postgres_server.create_database())


@pytest.fixture
def own_postgres() -> Iterator[Any]:
    """Return a PostgreSQL server of the test's own, to stop, kill and start again."""
    server = servers.Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """Return an S3 server, a ``backend_servers.S3``. Tests share it, so do not stop it."""
    server = servers.S3()
    try:
        server.start()
        yield server
    finally:
        server.close()
