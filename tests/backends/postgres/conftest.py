"""Plugins and runs that write to a real PostgreSQL server, and a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def sql(postgres_dsn: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Return a function that runs a statement in the test's database and returns the rows."""
    psycopg = pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        yield (
            lambda text, *values: (
                cursor.fetchall() if (cursor := connection.execute(text, values or None)).description else []
            )
        )


@pytest.fixture
def view(tmp_path: Path) -> SimpleNamespace:
    """Return a run as hooks see it."""
    return SimpleNamespace(
        id="run-1", name="first", project="tests", dir=tmp_path, started_at=1_750_000_000.0
    )


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """Return a function that starts the plugin with a configuration; it is stopped at the end."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")
    from tracelet_builtin_plugins.backends.postgres import PostgresBackend

    started = []

    def start(dsn: str, **config: Any) -> Any:
        plugin = PostgresBackend()
        plugin.initialize({"dsn": dsn, **config})
        plugin.start()
        started.append(plugin)
        return plugin

    yield start
    for plugin in started:
        plugin.stop()


@pytest.fixture
def plugin(start: Callable[..., Any], postgres_dsn: str) -> Any:
    """Return a started plugin."""
    return start(postgres_dsn)
