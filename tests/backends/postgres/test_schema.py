"""The tables' versions: created once, brought up to date with their data, never touched by an older tracelet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tracelet.core.plugins import MetricData

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")

from tracelet_builtin_plugins.backends.postgres import schema

Sql = Callable[..., list[tuple[Any, ...]]]


def test_eight_ranks_that_start_at_once_create_the_tables_once(
    start: Callable[..., Any], postgres_dsn: str, sql: Sql
) -> None:
    errors = []

    def begin() -> None:
        try:
            start(postgres_dsn)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sql("SELECT version FROM tracelet.schema_version ORDER BY 1") == [
        (number,) for number in range(1, schema.LATEST + 1)
    ]


def test_a_later_version_of_the_tables_keeps_what_is_in_them(
    start: Callable[..., Any], view: Any, postgres_dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = MetricData("m", 0.5, timestamp=1e9, id=("w", 0, 0))
    start(postgres_dsn).log_metrics([point], run=view)
    latest = schema.LATEST + 1
    with monkeypatch.context() as patch:
        patch.setattr(
            schema, "MIGRATIONS", [*schema.MIGRATIONS, "ALTER TABLE {schema}.runs ADD COLUMN new int;"]
        )
        patch.setattr(schema, "LATEST", latest)
        start(postgres_dsn).log_metrics([point], run=view)
        assert sql("SELECT max(version) FROM tracelet.schema_version") == [(latest,)]
        assert sql("SELECT new FROM tracelet.runs") == [(None,)]
        assert sql("SELECT value FROM tracelet.metrics") == [(0.5,)]
    with pytest.raises(
        ValueError, match=f"have version {latest}, this tracelet knows versions up to {schema.LATEST}"
    ):
        start(postgres_dsn)


def test_a_migration_that_fails_changes_nothing(
    start: Callable[..., Any], postgres_dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "CREATE TABLE {schema}.half (n int); ALTER TABLE {schema}.nowhere ADD COLUMN new int;"
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, broken])
    monkeypatch.setattr(schema, "LATEST", schema.LATEST + 1)
    with pytest.raises(ConnectionError, match="nowhere"):
        start(postgres_dsn)
    assert sql("SELECT to_regclass('tracelet.half'), to_regclass('tracelet.runs')") == [(None, None)]
