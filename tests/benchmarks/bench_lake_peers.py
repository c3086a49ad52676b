"""A lake beside other stores: ``python tests/benchmarks/bench_lake_peers.py lake|mlflow|trackio [--s3] ...``.

Two questions, asked of each in an environment of its own and in one sitting:

- ingest: how long does a program take that records runs one after the other, until the store has everything?
- best: how long does it take to find the ten best of many runs that a filter selects?

``lake`` is tracelet's, in a folder or with ``--s3`` on moto's S3 server. ``mlflow`` is ``mlflow server`` on PostgreSQL
(Debian's ``postgresql``), in batches of the largest size that it takes. ``trackio`` is Trackio on SQLite; it has no
query, so the runs are read in bulk, as its own page does, and compared here. For the second question, MLflow's runs are
put into its tables directly.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from trackers.feed import rows_of, store_at_mlflow

sys.path.append(str(Path(__file__).parents[1] / "backends"))

Rows = list[dict[str, float]]
METRICS = ("acc", "loss", "val/acc", "val/loss", "lr")  # of the runs that are searched


class Peer(NamedTuple):
    """A store: how a program records a run, how many runs are put there quickly, and how the best are found."""

    record: Callable[[str, Rows], None]
    fill: Callable[[int], None]
    best: Callable[[], int]  # returns how many were found


@contextmanager
def open_lake(folder: Path, s3: bool) -> Iterator[Peer]:
    """A lake, in a folder or on moto's S3 server."""
    from bench_lake import SORT, WHERE, document, putter, s3_server

    import tracelet

    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    with s3_server() if s3 else nullcontext((str(folder / "lake"), None)) as (url, options):
        table = {"url": f"{url}/ingest", **({"storage_options": options} if options else {})}
        plugins = ["no:system", "no:environment", "no:gpu", "lake"]

        def record(name: str, rows: Rows) -> None:
            config = {"plugins": {"lake": table}}
            with tracelet.start_run(name, dir=folder / "local", plugins=plugins, config=config) as run:
                for step, row in enumerate(rows):
                    run.log(row, step=step)
            if pending := run.finish():
                raise SystemExit(f"lake: not delivered: {pending}")

        def fill(runs: int) -> None:
            put, chance = putter(f"{url}/many", options), random.Random(1)
            for number in range(runs):
                put(*document(number, chance))

        store: list[Any] = []

        def best() -> int:
            if not store:
                store.append(tracelet.open_store(f"{url}/many", storage_options=options))
            return len(store[0].runs(where=WHERE, sort=SORT, limit=10))

        yield Peer(record, fill, best)


@contextmanager
def open_mlflow(folder: Path, s3: bool) -> Iterator[Peer]:
    """MLflow's server on PostgreSQL."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    from servers import MlflowServer, Postgres

    with ExitStack() as stack:
        database = Postgres()
        stack.callback(database.close)
        database.start()
        dsn = database.dsn(database.create_database()).replace("postgresql://", "postgresql+psycopg://", 1)
        server = MlflowServer(dsn)
        stack.callback(server.close)
        server.start()
        client = server.client()
        experiment, many = client.create_experiment("ingest"), client.create_experiment("many")

        def record(name: str, rows: Rows) -> None:
            store_at_mlflow(client, experiment, name, rows)

        def best() -> int:
            asked = {
                "filter_string": "metrics.acc > 0.5",
                "order_by": ["metrics.acc DESC"],
                "max_results": 10,
            }
            return len(client.search_runs([many], **asked))

        yield Peer(record, lambda runs: fill_mlflow(dsn, many, runs), best)


def fill_mlflow(dsn: str, experiment: str, runs: int) -> None:
    """Put runs into MLflow's tables."""
    from sqlalchemy import create_engine, text

    chance = random.Random(1)
    ids = [f"{number:032x}" for number in range(runs)]
    tables = {
        "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, lifecycle_stage, artifact_uri,"
        " experiment_id, user_id, source_name, entry_point_name, source_version) VALUES (:run, :run, 'LOCAL',"
        f" 'FINISHED', :at, :at, 'active', '', {int(experiment)}, 'x', '', '', '')": [
            {"run": run, "at": at} for at, run in enumerate(ids)
        ],
        "INSERT INTO params (key, value, run_uuid) VALUES (:key, :value, :run)": [
            {"key": key, "value": str(chance.random()), "run": run}
            for run in ids
            for key in ("lr", "layers", "opt")
        ],
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (:key, :value, 1, 1, false,"
        " :run)": [{"key": key, "value": chance.random(), "run": run} for run in ids for key in METRICS],
    }
    with create_engine(dsn).begin() as connection:
        for sql, values in tables.items():
            connection.execute(text(sql), values)
    with create_engine(dsn, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))


@contextmanager
def open_trackio(folder: Path, s3: bool) -> Iterator[Peer]:
    """Trackio on SQLite."""
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    def record(name: str, rows: Rows) -> None:
        with redirect_stdout(io.StringIO()):
            trackio.init(project="ingest", name=name, embed=False)
            for step, row in enumerate(rows):
                trackio.log(row, step=step)
            trackio.finish()

    def fill(runs: int) -> None:
        chance = random.Random(1)
        for number in range(runs):
            rows = [{name: chance.random() for name in METRICS} for _ in range(20)]
            SQLiteStorage.bulk_log("many", f"run-{number}", rows, config={"lr": chance.random() / 10})

    def best() -> int:
        runs = [{"run": run.name, "run_id": run.id} for run in trackio.Api().runs("many")]
        found = SQLiteStorage.get_logs_batch("many", runs, scalar_only=True)
        peaks = [max(row["acc"] for row in one["logs"]) for one in found]
        return len(sorted((peak for peak in peaks if peak > 0.5), reverse=True)[:10])

    yield Peer(record, fill, best)


PEERS = {"lake": open_lake, "mlflow": open_mlflow, "trackio": open_trackio}


def main() -> None:
    """Measure one store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--s3", action="store_true", help="the lake on moto's S3 server")
    parser.add_argument("--runs", type=int, default=10, help="recorded one after the other")
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--points", type=int, default=1000, help="of each metric")
    parser.add_argument("--many", type=int, default=10_000, help="runs that are searched")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-peers-") as folder,
        PEERS[given.peer](Path(folder), given.s3) as peer,
    ):
        peer.record("first", list(rows_of(0, given.metrics, 10)))  # imports, tables, connections
        rows = [list(rows_of(number, given.metrics, given.points)) for number in range(given.runs)]
        began = time.perf_counter()
        for number, some in enumerate(rows):
            peer.record(f"run-{number}", some)
        seconds = time.perf_counter() - began
        points = given.runs * given.metrics * given.points
        print(
            f"{given.peer}: ingest {points / seconds:,.0f} points/s, {seconds / given.runs:.2f} s per run",
            flush=True,
        )
        peer.fill(given.many)
        times = []
        for _ in range(4):
            began = time.perf_counter()
            assert peer.best() == 10
            times.append(time.perf_counter() - began)
        print(
            f"{given.peer}: best ten of {given.many:,} runs: first {times[0]:.2f} s, later {min(times[1:]):.2f} s"
        )


if __name__ == "__main__":
    main()
