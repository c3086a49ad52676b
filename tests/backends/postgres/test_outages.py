"""A server that is down, killed, read-only, frozen or replaced: nothing is lost, nothing is stored twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backend_servers import Postgres, free_port, wait_until

import tracelet
from tracelet.core.plugins import MetricData

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")

OFF = ["no:system", "no:environment", "no:gpu"]


def point(at: int) -> MetricData:
    return MetricData("m", float(at), iteration=at, timestamp=1e9 + at, id=("w", at, 0))


def delivery(run: Any) -> dict[str, Any]:
    return run.status()["delivery"]["postgres"]


@pytest.fixture
def second_postgres() -> Iterator[Any]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_server_killed_and_started_again_during_the_run(tmp_path: Path, own_postgres: Any) -> None:
    dsn = own_postgres.dsn(own_postgres.create_database())
    settings = {"plugins": {"postgres": {"dsn": dsn}}}
    with tracelet.start_run("outage", dir=tmp_path, plugins=OFF, config=settings) as run:
        for step in range(5000):
            run.log_metric("loss", step, step)
        own_postgres.kill()
        for step in range(5000, 10_000):
            run.log_metric("loss", step, step)
        wait_until(lambda: delivery(run)["retries"], what="a retry")
        own_postgres.start()
        for step in range(10_000, 15_000):
            run.log_metric("loss", step, step)
        assert run.flush(timeout=60)
    status = delivery(run)
    assert not status["dropped"]
    assert own_postgres.sql(
        "SELECT count(*), count(DISTINCT step), sum(value) FROM tracelet.metrics", "test1"
    ) == [["15000", "15000", str(sum(range(15000)))]]
    assert own_postgres.sql("SELECT outcome FROM tracelet.runs", "test1") == [["finished"]]


def test_a_server_that_starts_after_the_run(tmp_path: Path, own_postgres: Any) -> None:
    name = own_postgres.create_database()
    own_postgres.stop()
    settings = {"plugins": {"postgres": {"dsn": own_postgres.dsn(name)}}, "finish_timeout": 20}
    with tracelet.start_run("late", dir=tmp_path, plugins=OFF, config=settings) as run:
        run.log_params({"lr": 1})
        for step in range(100):
            run.log_metric("loss", step, step)
        assert "refused" in str(run.status())
        own_postgres.start()
        assert run.flush(timeout=60)
    assert own_postgres.sql("SELECT count(*) FROM tracelet.metrics", name) == [["100"]]
    assert own_postgres.sql("SELECT outcome, name FROM tracelet.runs", name) == [["finished", "late"]]


def test_a_connection_that_is_ended(
    plugin: Any, view: Any, postgres_server: Any, sql: Callable[..., Any]
) -> None:
    plugin.log_metrics([point(0)], run=view)
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(ConnectionError):
        plugin.log_metrics([point(1)], run=view)
    plugin.log_metrics([point(1)], run=view)
    assert sql("SELECT count(*) FROM tracelet.metrics") == [(2,)]
    assert plugin.get_status()["connections_opened"] == 2


def test_after_a_failover_the_new_primary_is_used(
    start: Callable[..., Any], view: Any, own_postgres: Any, second_postgres: Any
) -> None:
    for server in (own_postgres, second_postgres):
        server.create_database()
    dsn = own_postgres.dsn("test1").replace(
        f":{own_postgres.port}/", f":{own_postgres.port},127.0.0.1:{second_postgres.port}/"
    )
    plugin = start(dsn)
    plugin.log_metrics([point(0)], run=view)
    # The first server becomes what a demoted primary is: alive, and read-only.
    own_postgres.sql("ALTER SYSTEM SET default_transaction_read_only = on", "postgres")
    own_postgres.sql("SELECT pg_reload_conf()")
    wait_until(lambda: _is_read_only(own_postgres), what="read-only")
    with pytest.raises(ConnectionError):
        plugin.log_metrics([point(1)], run=view)
    plugin.log_metrics([point(1)], run=view)
    assert own_postgres.sql("SELECT count(*) FROM tracelet.metrics", "test1") == [["1"]]
    assert second_postgres.sql("SELECT run_id, step FROM tracelet.metrics", "test1") == [["run-1", "1"]]
    second_postgres.kill()
    with pytest.raises(ConnectionError):
        plugin.log_metrics([point(2)], run=view)
    with pytest.raises(ConnectionError, match="read-only"):
        plugin.log_metrics([point(2)], run=view)


def _is_read_only(server: Any) -> bool:
    return server.sql("SHOW default_transaction_read_only") == [["on"]]


def test_a_frozen_server_is_an_outage(
    start: Callable[..., Any], view: Any, own_postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracelet_builtin_plugins.backends.postgres import connection

    plugin = start(own_postgres.dsn(own_postgres.create_database()))
    plugin.log_metrics([point(0)], run=view)
    monkeypatch.setattr(connection, "CALL_TIMEOUT", 1.0)
    pid = int(own_postgres.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'tracelet' AND datname = 'test1'"
    )[0][0])  # fmt: skip
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            plugin.log_metrics([point(1)], run=view)
        assert 0.9 < time.monotonic() - began < 15
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: _stored(plugin, view, 1), what="the next attempt")
    assert own_postgres.sql("SELECT step FROM tracelet.metrics ORDER BY step", "test1") == [["0"], ["1"]]


def _stored(plugin: Any, view: Any, at: int) -> bool:
    try:
        plugin.log_metrics([point(at)], run=view)
    except ConnectionError:
        return False
    return True


def test_a_locked_table_is_an_outage(
    plugin: Any, view: Any, sql: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracelet_builtin_plugins.backends.postgres import connection

    plugin.log_metrics([point(0)], run=view)
    monkeypatch.setattr(connection, "CALL_TIMEOUT", 1.0)
    sql("BEGIN")
    sql("LOCK TABLE tracelet.points IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(ConnectionError, match="timeout"):
        plugin.log_metrics([point(1)], run=view)
    sql("COMMIT")
    plugin.log_metrics([point(1)], run=view)
    assert sql("SELECT count(*) FROM tracelet.metrics") == [(2,)]


def test_tables_dropped_during_the_run_are_created_again(
    plugin: Any, view: Any, sql: Callable[..., Any]
) -> None:
    plugin.log_metrics([point(0)], run=view)
    sql("DROP SCHEMA tracelet CASCADE")
    with pytest.raises(ConnectionError, match="does not exist"):
        plugin.log_metrics([point(1)], run=view)
    plugin.log_metrics([point(1)], run=view)
    assert sql("SELECT run_id, step FROM tracelet.metrics") == [("run-1", 1)]


def test_a_run_deleted_while_it_goes_on_is_created_again(
    plugin: Any, view: Any, sql: Callable[..., Any]
) -> None:
    plugin.log_metrics([point(0)], run=view)
    sql("DELETE FROM tracelet.runs")
    with pytest.raises(ConnectionError):
        plugin.log_params({"lr": 1}, run=view, id=("w", 1, 0))
    plugin.log_params({"lr": 1}, run=view, id=("w", 1, 0))
    plugin.log_metrics([point(2)], run=view)
    assert sql("SELECT id FROM tracelet.runs") == [("run-1",)]
    assert sql("SELECT step FROM tracelet.metrics") == [(2,)]


def test_nobody_listens_and_an_unknown_database_are_outages(
    start: Callable[..., Any], postgres_server: Any
) -> None:
    with pytest.raises(ConnectionError, match="refused") as refused:
        start(f"postgresql://u:secretword@127.0.0.1:{free_port()}/x")
    assert "secretword" not in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(ConnectionError, match='database "nowhere" does not exist'):
        start(postgres_server.dsn("nowhere"))
