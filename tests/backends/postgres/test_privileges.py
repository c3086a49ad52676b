"""Roles that may do little, wrong credentials, and databases that do not fit: one clear line each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tracelet.core.plugins import MetricData

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")


@pytest.fixture
def writer(postgres_server: Any, postgres_dsn: str) -> Iterator[tuple[str, str]]:
    """Return a role without any privileges, and the URL that logs in with it."""
    database = postgres_dsn.rpartition("/")[2]
    role = f"writer_{database}"
    postgres_server.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'writing'")
    yield role, postgres_server.dsn(database, user=role, password="writing")
    postgres_server.sql(f"DROP OWNED BY {role}", database)
    postgres_server.sql(f"DROP ROLE {role}")


def use_everything(plugin: Any, view: Any) -> None:
    plugin.run_started(run=view)
    points = [MetricData("m", float(at), iteration=at, timestamp=1e9, id=("w", at, 0)) for at in range(100)]
    for _ in range(2):
        plugin.log_metrics(points, run=view)
    plugin.log_params({"lr": 1}, run=view, id=("w", 200, 0))
    plugin.set_tags({"a": "b"}, run=view, id=("w", 201, 0))
    plugin.log_media("m", 1, "text", "/x", {"size": 1, "sha256": "0"}, run=view, id=("w", 202, 0))
    plugin.run_changed(view, {"name": "renamed"}, id=("w", 203, 0))
    plugin.run_ended(run=view, outcome="finished")


def test_the_message_for_a_role_that_may_create_nothing_leads_to_one_that_may_write(
    start: Callable[..., Any], view: Any, writer: tuple[str, str], postgres_server: Any
) -> None:
    role, dsn = writer
    with pytest.raises(PermissionError) as refused:
        start(dsn)
    message = str(refused.value)
    assert "writing" not in message
    command, database, grants = re.search(
        r"run: python (-m \S+) \| psql (\S+) and then, in psql: (.*)", message
    ).groups()
    made = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=True)
    postgres_server.sql(made.stdout, database)
    with pytest.raises(PermissionError):
        start(dsn)  # not granted yet
    postgres_server.sql(grants, database)
    use_everything(start(dsn), view)
    query = "SELECT r.name, outcome, count(*) FROM tracelet.runs r JOIN tracelet.metrics ON run_id = id GROUP BY 1, 2"
    assert postgres_server.sql(query, database) == [["renamed", "finished", "100"]]
    may = [
        postgres_server.sql(
            f"SELECT has_table_privilege('{role}', 'tracelet.{table}', '{privilege}')", database
        )
        for table in ("runs", "points", "params")
        for privilege in ("UPDATE", "DELETE", "TRUNCATE")
    ]
    assert may == [[["f"]]] * 9


def test_a_role_that_may_create_a_schema_needs_no_preparation(
    start: Callable[..., Any], view: Any, writer: tuple[str, str], postgres_server: Any
) -> None:
    role, dsn = writer
    database = dsn.rpartition("/")[2]
    postgres_server.sql(f"GRANT CREATE ON DATABASE {database} TO {role}")
    use_everything(start(dsn, schema='odd "name" é'), view)
    assert postgres_server.sql('SELECT count(*) FROM "odd ""name"" é".metrics', database) == [["100"]]


def test_a_role_that_owns_an_empty_schema_creates_the_tables_in_it(
    start: Callable[..., Any], view: Any, writer: tuple[str, str], postgres_server: Any
) -> None:
    role, dsn = writer
    postgres_server.sql(f"CREATE SCHEMA tracelet AUTHORIZATION {role}", dsn.rpartition("/")[2])
    use_everything(start(dsn), view)


def test_a_privilege_taken_away_during_the_run(
    start: Callable[..., Any], view: Any, writer: tuple[str, str], postgres_server: Any
) -> None:
    role, dsn = writer
    database = dsn.rpartition("/")[2]
    postgres_server.sql(f"GRANT CREATE ON DATABASE {database} TO {role}")
    plugin = start(dsn)
    use_everything(plugin, view)
    postgres_server.sql(f"REVOKE INSERT ON tracelet.points FROM {role}", database)
    with pytest.raises(PermissionError, match="permission denied for table points"):
        plugin.log_metrics([MetricData("m", 1.0, timestamp=1e9, id=("w", 900, 0))], run=view)


@pytest.mark.parametrize("user", ["postgres", "nobody_of_that_name"])
def test_wrong_credentials(start: Callable[..., Any], postgres_server: Any, user: str) -> None:
    with pytest.raises(PermissionError, match="authentication failed") as refused:
        start(postgres_server.dsn(user=user, password="wrongword"))
    assert "wrongword" not in str(refused.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://user:hiddenword@[::1/x",
        "host=x hiddenword",
        "postgresql://h/x?unknown=hiddenword",
        "host=x unknown=hiddenword",
    ],
)
def test_a_connection_string_that_cannot_be_read(start: Callable[..., Any], dsn: str) -> None:
    with pytest.raises(ValueError, match=r"plugins\.postgres\.dsn: expected 'postgresql://") as refused:
        start(dsn)
    assert "hiddenword" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_database_of_another_encoding(start: Callable[..., Any], postgres_server: Any) -> None:
    postgres_server.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ValueError, match="expected a database with the encoding UTF8, found LATIN1"):
        start(postgres_server.dsn("latin"))


@pytest.mark.parametrize("schema", ["", "pg_own", "x" * 64, "a\x00"])
def test_a_schema_that_cannot_be(start: Callable[..., Any], postgres_dsn: str, schema: str) -> None:
    with pytest.raises(ValueError, match=r"plugins\.postgres\.schema: expected a name"):
        start(postgres_dsn, schema=schema)


def test_the_command_line_shows_each_mistake_as_one_line(project: Any, postgres_server: Any) -> None:
    wrong = postgres_server.dsn(password="wrongword")
    project.write("tracelet.toml", f'[plugins.postgres]\ndsn = "{wrong}"\n')
    project.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("x", plugins=["no:system", "no:environment", "no:gpu"]) as run:
            run.log_metric("loss", 1.0)
        """,
    )
    done = project.tracelet("run", "train.py")
    text = done.stdout + done.stderr
    assert "password authentication failed" in text
    assert "Traceback" not in text
    assert "wrongword" not in text
