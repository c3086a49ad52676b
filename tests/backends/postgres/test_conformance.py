"""The promises of a backend, read back with SQL."""

from __future__ import annotations

from typing import Any

import pytest

from tracelet.testing import BackendConformance, FarSide

psycopg = pytest.importorskip("psycopg", reason="needs psycopg: pip install 'tracelet[postgres]'")


class TestPostgres(BackendConformance):
    plugin = "postgres"
    endpoint = "dsn"

    def config(self, postgres_dsn: str) -> dict[str, Any]:
        return {"dsn": postgres_dsn}

    def wrong_credentials(self, postgres_server: Any) -> dict[str, Any]:
        return {"dsn": postgres_server.dsn(password="wrongword")}

    def read_back(self, run: Any, postgres_dsn: str) -> FarSide:
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:

            def rows(text: str) -> list[tuple[Any, ...]]:
                return connection.execute(text, [run.id]).fetchall()

            metrics: dict[str, list[Any]] = {}
            for name, *point in rows(
                "SELECT name, step, value, extract(epoch FROM time)::float8 FROM tracelet.metrics"
                " WHERE run_id = %s ORDER BY writer, sequence, index"
            ):
                metrics.setdefault(name, []).append(tuple(point))
            return FarSide(
                metrics=metrics,
                params=dict(rows("SELECT name, value FROM tracelet.current_params WHERE run_id = %s")),
                tags=dict(rows("SELECT name, value FROM tracelet.current_tags WHERE run_id = %s")),
                artifacts=dict(
                    rows(
                        "SELECT artifact_path, sha256 FROM tracelet.artifacts"
                        " WHERE run_id = %s AND kind = 'artifact' ORDER BY writer, sequence, index"
                    )
                ),
                media=rows(
                    "SELECT name, step, kind FROM tracelet.artifacts WHERE run_id = %s AND kind <> 'artifact'"
                ),
            )
