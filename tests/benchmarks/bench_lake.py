"""How quickly a lake is read: ``python tests/benchmarks/bench_lake.py [--runs N] [--points N] [--s3] [--mlflow]``.

With ``--writers N``, how quickly it is written, see ``lake_writing.py``; nothing is read then.

Lists of many runs (cold, warm, filtered, the best ten) and one long series, in a folder or, with ``--s3``, on moto's S3
server on this machine. Each figure stands beside something measured in the same session: a plain pass over the run
documents, PyArrow reading the same columns, and, with ``--mlflow``, the same question to MLflow on SQLite.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from bench_store import best, tell
from lake_writing import bench_writers

from tracelet.journal import EventRecord
from tracelet.store import open_store
from tracelet_hookspecs.lake_layout import (
    METRICS,
    FileName,
    Place,
    data_file,
    data_folder,
    document_path,
    merged_name,
)
from tracelet_hookspecs.statistics import MetricAccumulator

WHERE, SORT = "params.lr < 0.05 and metrics.acc.max > 0.5", "-metrics.acc.max"
WRITER = "0123456789abcdef0123456789abcdef"
STARTED = 1.7e9
BATCH = 1 << 16  # points in a file


class Columns:
    """Points as columns."""

    def __init__(self, values: list[float]) -> None:
        self.steps = list(range(len(values)))
        self.values = values
        self.times = [STARTED + step for step in self.steps]


def document(number: int, chance: random.Random) -> tuple[str, bytes]:
    """Return the path and the contents of a run's document: five metrics, three params, one tag."""
    run, began = f"run-{number:06d}", STARTED + number
    about = {"id": run, "name": f"trial {number}", "project": "bench"}
    params = {"lr": chance.random() / 10, "layers": number % 7, "optimizer": ("sgd", "adam")[number % 2]}
    events: list[EventRecord] = [
        EventRecord(0, "writer", {"run": about, "host": "bench", "started_at": began}, began),
        EventRecord(1, "params", {"params": params}, began),
        EventRecord(2, "tags", {"tags": {"team": "vision"}}, began),
        EventRecord(503, "outcome", {"outcome": "finished", "error": None}, began + 100),
    ]
    metrics = []
    for name in ("acc", "loss", "val/acc", "val/loss", "lr"):
        accumulator = MetricAccumulator()
        accumulator.add(Columns([chance.random() for _ in range(20)]))
        metrics.append([name, accumulator.to_json()])
    entry = {
        "rank": None,
        "through": 504,
        "at": f"{503:016d}",
        "state": "ended",
        "seen_at": began + 100,
        "events": [[one.seq, one.type, one.payload, one.time] for one in events],
        "metrics": metrics,
    }
    found = {"format": 1, **about, "params": params, "outcome": "finished", "writers": {WRITER: entry}}
    return document_path("bench", run), json.dumps(found, separators=(",", ":")).encode()


def bench_lists(put: Callable[[str, bytes], None], url: str, options: Any, runs: int) -> None:
    """List, filter and sort many runs."""
    chance = random.Random(1)
    size = 0
    for number in range(runs):
        path, data = document(number, chance)
        put(path, data)
        size += len(data)
    print(f"{runs:,} runs in {url.split('?')[0]}, {size / runs / 1024:.1f} KiB each")
    store = open_store(url, storage_options=options)
    began = time.perf_counter()
    assert len(store.runs()) == runs
    tell("first list: every document is read", time.perf_counter() - began)
    warm = best(lambda: store.runs())
    tell("list of all, warm", warm)
    tell(
        "list of all, warm, with the last value of each metric",
        best(lambda: [r.summary() for r in store.runs()]),
    )
    tell("filtered: " + WHERE, best(lambda: store.runs(where=WHERE)))
    tell("the best ten of them", best(lambda: store.runs(where=WHERE, sort=SORT, limit=10)))
    tell(
        "the best ten in a new store, warm cache",
        best(lambda: open_store(url, storage_options=options).runs(where=WHERE, sort=SORT, limit=10)),
    )
    path, data = document(runs // 2, random.Random(2))
    put(path, data)
    began = time.perf_counter()
    store.runs(where=WHERE, sort=SORT, limit=10)
    tell("the same after one run has changed", time.perf_counter() - began)


def make_table(first: int, last: int) -> Any:
    """Return points of one metric as a table of the lake."""
    import numpy
    import pyarrow

    count = last - first
    steps = numpy.arange(first, last)
    columns = {
        "name": pyarrow.array(["loss"] * count, pyarrow.string()),
        "step": pyarrow.array(steps),
        "value": pyarrow.array(numpy.random.default_rng(first).normal(size=count)),
        "time": pyarrow.array(STARTED + steps * 1e-3),
        "type": pyarrow.array(["scalar"] * count, pyarrow.string()),
        "source": pyarrow.nulls(count, pyarrow.string()),
        "rank": pyarrow.nulls(count, pyarrow.int32()),
        "writer": pyarrow.array([WRITER] * count, pyarrow.string()),
        "sequence": pyarrow.array(steps + 3),
        "index": pyarrow.array(numpy.zeros(count, dtype="int32")),
    }
    return pyarrow.table(columns)


def encode(tables: Iterable[Any]) -> bytes:
    """Return tables as one file of the lake."""
    import pyarrow
    import pyarrow.parquet

    sink, writer = pyarrow.BufferOutputStream(), None
    for table in tables:
        writer = writer or pyarrow.parquet.ParquetWriter(
            sink,
            table.schema,
            data_page_size=65_536,
            compression="zstd",
            use_dictionary=["name", "type", "source", "rank", "writer"],
            column_encoding=dict.fromkeys(("step", "sequence", "index"), "DELTA_BINARY_PACKED"),
            write_page_index=True,
        )
        writer.write_table(table, row_group_size=65_536)
    assert writer is not None
    writer.close()
    return sink.getvalue().to_pybytes()


def bench_series(put: Callable[[str, bytes], None], url: str, options: Any, points: int) -> None:
    """Read one long series, from many small files and from one merged file."""
    import pyarrow
    import pyarrow.parquet

    parts = [(first, min(first + BATCH, points)) for first in range(0, points, BATCH)]
    path, data = document(1_000_000, random.Random(3))
    put(path, data)
    for first, last in parts:
        name = FileName(WRITER, Place(first + 3), Place(last + 2))
        put(data_file("bench", "run-1000000", METRICS, name), encode([make_table(first, last)]))
    path, data = document(1_000_001, random.Random(4))
    put(path, data)
    merged = encode(make_table(*part) for part in parts)
    place = f"{data_folder('bench', 'run-1000001', METRICS)}/{merged_name(1, '0' * 12)}"
    put(place, merged)
    inner = place.split("/", 2)[2]
    manifest = {"format": 1, "generation": 1, "files": [inner], "replaced": [], "merged_at": 0}
    put("project=bench/run=run-1000001/merged.json", json.dumps(manifest).encode())
    print(f"one series of {points:,} points, {len(merged) / points:.1f} bytes each")
    wanted = ["step", "value", "time"]
    base = best(lambda: pyarrow.parquet.read_table(pyarrow.BufferReader(merged), columns=wanted))
    tell("pyarrow: three columns of the merged file, from memory", base)
    store = open_store(url, storage_options=options)
    for run, what in (("run-1000000", f"{len(parts)} files"), ("run-1000001", "one merged file")):
        began = time.perf_counter()
        series = store.run(run).metric("loss")
        assert len(series) == points
        tell(f"metric() from {what}, cold", time.perf_counter() - began, base, "pyarrow")
        tell(
            f"metric() from {what}, warm",
            best(lambda run=run: store.run(run).metric("loss")),
            base,
            "pyarrow",
        )
    tell("downsample(1000) of it", best(lambda: series.downsample(1000)))


def bench_mlflow(folder: Path, runs: int) -> None:
    """Ask MLflow on SQLite for the best ten of as many runs, put into its tables directly."""
    import sqlite3

    import mlflow

    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("bench")
    chance = random.Random(1)
    with sqlite3.connect(folder / "mlflow.db") as database:
        for number in range(runs):
            run = f"{number:032x}"
            database.execute(
                "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, lifecycle_stage,"
                " artifact_uri, experiment_id, user_id, source_name, entry_point_name, source_version)"
                " VALUES (?, ?, 'LOCAL', 'FINISHED', ?, ?, 'active', '', ?, 'x', '', '', '')",
                (run, f"trial {number}", number, number + 1, experiment),
            )
            for key in ("lr", "layers", "optimizer"):
                database.execute(
                    "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                    (key, str(chance.random()), run),
                )
            for key in ("acc", "loss", "val/acc", "val/loss", "lr"):
                database.execute(
                    "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
                    " VALUES (?, ?, 1, 1, 0, ?)",
                    (key, chance.random(), run),
                )
    asked = {"filter_string": "metrics.acc > 0.5", "order_by": ["metrics.acc DESC"], "max_results": 10}
    tell("MLflow on SQLite: the best ten", best(lambda: client.search_runs([experiment], **asked), 3))

    def every() -> None:
        token, found = None, 0
        while True:
            page = client.search_runs([experiment], max_results=5000, page_token=token)
            found, token = found + len(page), page.token
            if not token:
                break
        assert found == runs

    tell("MLflow on SQLite: all runs", best(every, 1))


@contextmanager
def s3_server() -> Iterator[tuple[str, dict[str, Any]]]:
    """Run moto's S3 server, and yield a bucket's URL with the options for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                urllib.request.urlopen(
                    urllib.request.Request(f"{endpoint}/bench", method="PUT"), timeout=10
                ).close()
                break
            except OSError:
                time.sleep(0.2)
        yield "s3://bench/lake", {"key": "x", "secret": "x", "endpoint_url": endpoint}
    finally:
        server.kill()
        server.wait()


def putter(url: str, options: Any) -> Callable[[str, bytes], None]:
    """Return a function that writes an object below a URL."""
    import fsspec

    fs, root = fsspec.url_to_fs(url, **(options or {}))

    def put(path: str, data: bytes) -> None:
        if options is None:
            (Path(root) / path).parent.mkdir(parents=True, exist_ok=True)
        fs.pipe_file(f"{root}/{path}", data)

    return put


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--s3", action="store_true", help="on moto's S3 server")
    parser.add_argument("--mlflow", action="store_true", help="also ask MLflow")
    parser.add_argument("--writers", type=int, default=0, help="write with as many writers, read nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-lake-") as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        if given.writers:
            with s3_server() if given.s3 else nullcontext((f"{folder}/lake", None)) as (url, options):
                bench_writers(putter(url, options), url, options, given.writers)
            return
        if given.s3:
            with s3_server() as (url, options):
                bench_lists(putter(url, options), url, options, given.runs)
                bench_series(putter(url, options), url, options, given.points)
        else:
            url = f"{folder}/lake"
            bench_lists(putter(url, None), url, None, given.runs)
            bench_series(putter(url, None), url, None, given.points)
        if given.mlflow:
            bench_mlflow(Path(folder), given.runs)


if __name__ == "__main__":
    main()
