"""How reading grows with the number of metrics, runs and points: ``python tests/benchmarks/bench_growth.py``.

Each measurement is repeated with more and more of one thing. The last column is the exponent: 1.0 means that ten times
as much takes ten times as long, 2.0 that it takes a hundred times as long. The commands are measured as a user calls
them, in CPU seconds of a process of its own, less those of ``tracelet --version``. Only documented functions are used,
so that the program also measures older versions: ``PYTHONPATH=... python tests/benchmarks/bench_growth.py``.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu", "no:console", "no:code"]
TIMEOUT = 3000.0  # seconds for one command

Measure = Callable[[], float]


def cpu_of(work: Callable[[], Any]) -> float:
    """Return the CPU seconds that a function takes in this process, the best of three unless it takes long."""
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < 3.0:
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def cpu_of_command(folder: Path, *words: str) -> float:
    """Return the CPU seconds of a command of its own process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "tracelet", *words],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def record_metrics(data: Path, metrics: int) -> None:
    """Record one run of many metrics, 1,000 per row."""
    with tracelet.start_run("many", run_id="many", dir=data, plugins=QUIET) as run:
        for start in range(0, metrics, 1000):
            run.log({f"layer{n}/grad": float(n) for n in range(start, min(start + 1000, metrics))}, step=0)


def record_runs(data: Path, runs: int) -> None:
    """Record many small runs."""
    from tracelet.journal import Writer

    for number in range(runs):
        facts = {"run": {"name": f"run-{number}", "project": "growth"}}
        with Writer(data / "runs" / f"20260101-{number:06}-growth", facts) as writer:
            writer.event("params", {"params": {"lr": 0.1, "seed": number}})
            for step in range(10):
                writer.row({"loss": 1.0 / (step + 1), "acc": step / 10}, step)
            writer.close("finished")


def record_points(data: Path, points: int) -> None:
    """Record one run with one long metric."""
    with tracelet.start_run("long", run_id="long", dir=data, plugins=QUIET) as run:
        for step in range(points):
            run.log_metric("loss", 1.0 / (step + 1), step)


def metrics_measures(folder: Path, data: Path) -> dict[str, Measure]:
    """Return what is measured as the metrics become more."""
    store = tracelet.open_store(data)
    store.runs()  # builds the index

    def series() -> None:
        record = store.run("many")
        record.series(record.metrics())

    return {
        "store.run(...).series(names)": lambda: cpu_of(series),
        "store.run(...).summary()": lambda: cpu_of(lambda: store.run("many").summary()),
        "tracelet show": lambda: cpu_of_command(folder, "show", "many"),
        "tracelet export": lambda: cpu_of_command(folder, "export", "many"),
    }


def runs_measures(folder: Path, data: Path) -> dict[str, Measure]:
    """Return what is measured as the runs become more."""

    def first() -> None:
        store = tracelet.open_store(data)
        store.rebuild()
        store.runs()

    return {
        "store.runs(), the index built from nothing": lambda: cpu_of(first),
        "store.runs() again": lambda: cpu_of(lambda: tracelet.open_store(data).runs()),
        "store.runs(where=...)": lambda: cpu_of(
            lambda: tracelet.open_store(data).runs(where="params.seed < 50 and metrics.acc.max > 0.5")
        ),
        "tracelet runs": lambda: cpu_of_command(folder, "runs"),
    }


def points_measures(folder: Path, data: Path) -> dict[str, Measure]:
    """Return what is measured as the points become more."""
    store = tracelet.open_store(data)

    def first() -> None:
        store.rebuild()
        store.runs()

    return {
        "metric(...).arrays()": lambda: cpu_of(lambda: store.run("long").metric("loss").arrays()),
        "store.runs(), the index built from nothing": lambda: cpu_of(first),
        "tracelet show": lambda: cpu_of_command(folder, "show", "long"),
        "tracelet export": lambda: cpu_of_command(folder, "export", "long"),
    }


def exponent(row: Sequence[float], sizes: Sequence[int]) -> float:
    """Return the exponent of the growth from the last size but one to the last one."""
    if len(row) < 2:
        return 1.0
    return math.log(row[-1] / row[-2]) / math.log(sizes[len(row) - 1] / sizes[len(row) - 2])


def predict(row: Sequence[float], sizes: Sequence[int]) -> float:
    """Return how long the next size will take, 0 if there is none."""
    if len(row) == len(sizes):
        return 0.0
    return row[-1] * (sizes[len(row)] / sizes[len(row) - 1]) ** max(1.0, exponent(row, sizes))


def measure(
    title: str,
    sizes: Sequence[int],
    record: Callable[[Path, int], None],
    measures: Callable[[Path, Path], dict[str, Measure]],
    limit: float,
) -> None:
    """Measure and print a table: a row per measurement, a column per size, and the exponent."""
    table: dict[str, list[float]] = {}
    skipped: set[str] = set()
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "tracelet.toml").write_text('project = "growth"\n')
            data = folder / ".tracelet"
            record(data, size)
            startup = cpu_of_command(folder, "--version")
            for what, run in measures(folder, data).items():
                row = table.setdefault(what, [])
                if what in skipped:
                    continue
                row.append(max(run() - (startup if what.startswith("tracelet") else 0.0), 1e-4))
                if predict(row, sizes) > limit:
                    skipped.add(what)
    print(f"\n{title:<44}" + "".join(f"{size:>12,}" for size in sizes) + "    exponent")
    for what, row in table.items():
        cells = [f"{seconds:.3f} s" for seconds in row] + ["-"] * (len(sizes) - len(row))
        grown = exponent(row, sizes)
        print(f"{what:<44}" + "".join(f"{cell:>12}" for cell in cells) + f"{grown:12.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--metrics", type=int, nargs="+", default=[1000, 4000, 16_000, 100_000])
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument(
        "--limit", type=float, default=60.0, help="skip larger sizes once this many seconds are likely"
    )
    given = parser.parse_args()
    print(f"tracelet {tracelet.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} CPUs")
    measure("metrics in a run", given.metrics, record_metrics, metrics_measures, given.limit)
    measure("runs in a store", given.runs, record_runs, runs_measures, given.limit)
    measure("points in a run", given.points, record_points, points_measures, given.limit)


if __name__ == "__main__":
    main()
