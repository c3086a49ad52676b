"""postgres, compared with psycopg's own COPY of the same rows into a table of the same columns and key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from bench_backends import Case

sys.path.append(str(Path(__file__).parents[2] / "backends"))
from servers import Postgres

TABLE = """
CREATE TABLE compact (
    series bigint NOT NULL, sequence bigint NOT NULL, writer integer NOT NULL, index integer NOT NULL,
    step bigint, time timestamptz, value double precision NOT NULL, PRIMARY KEY (series, sequence, writer, index)
);
"""
TYPES = ["int8", "int8", "int4", "int4", "int8", "timestamptz", "float8"]
ROWS = 8192  # in a transaction, as a batch of tracelet's


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Start a server."""
    from datetime import datetime, timezone

    server = Postgres()
    try:
        server.start()
        dsn = server.dsn(server.create_database())
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(TABLE)
            done = [0]

            def store(points: list[tuple[str, float, int, float]]) -> None:
                done[0] += 1
                series = {name: at for at, name in enumerate({point[0] for point in points})}
                for start in range(0, len(points), ROWS):
                    with connection.cursor().copy("COPY compact FROM STDIN (FORMAT BINARY)") as copy:
                        copy.set_types(TYPES)
                        for at, (name, value, step, when) in enumerate(points[start : start + ROWS], start):
                            moment = datetime.fromtimestamp(when, timezone.utc)
                            copy.write_row((series[name], at, done[0], 0, step, moment, value))

            def count() -> int:
                row = connection.execute("SELECT to_regclass('tracelet.points')").fetchone()
                if row is None or row[0] is None:
                    return 0
                [total] = connection.execute("SELECT count(*) FROM tracelet.points").fetchone() or [0]
                return int(total)

            yield Case("postgres", {"dsn": dsn}, store, count)
    finally:
        server.close()
