"""The private server itself: the other tests rely on it."""

from __future__ import annotations

from typing import Any


def test_a_killed_server_starts_again_with_its_data(own_postgres: Any) -> None:
    name = own_postgres.create_database()
    own_postgres.sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2)", name)
    port = own_postgres.port
    own_postgres.kill()
    assert not own_postgres.is_ready()
    own_postgres.start()
    assert own_postgres.port == port
    assert own_postgres.sql("SELECT n FROM kept ORDER BY n", name) == [["1"], ["2"]]


def test_each_database_is_empty(postgres_server: Any, postgres_dsn: str) -> None:
    name = postgres_dsn.rpartition("/")[2]
    assert postgres_server.sql(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace", name
    ) == [["0"]]
