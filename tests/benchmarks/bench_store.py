"""How quickly runs are read back: ``python tests/benchmarks/bench_store.py [--points N] [--runs N]``.

Each figure stands beside something measured in the same session, with the same points: ``numpy.fromfile`` of the
journal's bytes (what a disk and NumPy can do at best), and Python's ``csv`` (what many scripts do). The best of
several passes counts, since a machine is only ever slowed down by others.
"""

from __future__ import annotations

import argparse
import csv
import gc
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracelet.journal import Writer
from tracelet.store import open_store
from tracelet.store.record import RunRecord


def best(work: Callable[[], Any], passes: int = 5) -> float:
    """Return the seconds of the quickest of several passes."""
    seconds = []
    for _ in range(passes):
        gc.collect()
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def tell(what: str, seconds: float, base: float | None = None, beside: str = "") -> None:
    """Print one line: the time, and how many times that is of something else's."""
    ratio = f"  {seconds / base:8.2f} x {beside}" if base else ""
    print(f"  {what:<58} {seconds * 1e3:10.1f} ms{ratio}", flush=True)


def record_points(data: Path, points: int) -> Path:
    """Record one run with one long metric."""
    folder = data / "runs" / "long"
    with Writer(folder, {"run": {"name": "long", "project": "bench"}}) as writer:
        for step in range(points):
            writer.point("loss", math.exp(-step / points) + 0.01 * math.sin(step), step)
        writer.close("finished")
    return folder


def bench_series(data: Path, points: int) -> None:
    """One series of many points."""
    import numpy

    folder = record_points(data, points)
    [segment, *_] = sorted((folder / "journal").iterdir())
    store = open_store(data)
    series = store.run("long").metric("loss")
    table = data / "points.csv"
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows(series)

    def bare() -> Any:
        slots = numpy.fromfile(segment, dtype=numpy.dtype("<f8,<i8,<f8,<u4,<u4"), offset=64)
        return [numpy.ascontiguousarray(slots[name]) for name in ("f0", "f1", "f2")]

    def by_csv() -> Any:
        with open(table, newline="") as file:
            return [(int(step), float(value), float(when)) for step, value, when in csv.reader(file)]

    def read() -> Any:
        return store.run("long").metric("loss")

    print(f"one series of {points:,} points")
    base = best(bare)
    tell("numpy.fromfile of the same bytes, unchecked", base)
    arrays = best(lambda: read().arrays())
    tell("store.run(...).metric(...).arrays()", arrays, base, "fromfile")

    def lists() -> Any:
        one = read()
        return one.iterations, one.values, one.timestamps

    in_lists = best(lists)
    tell("  and .iterations, .values, .timestamps as lists", in_lists, base, "fromfile")
    tell("csv module, the same points", by := best(by_csv, 2), in_lists, "tracelet's lists")
    tell("series.summary", best(lambda: _fresh(read()).summary))
    one = read()
    tell("series.downsample(2000)", best(lambda: one.downsample(2000)))
    tell("series.dataframe()", best(one.dataframe))
    text = (
        "import sys, time; sys.modules['numpy'] = None\n"
        "from tracelet.store import open_store\n"
        "began = time.perf_counter()\n"
        "open_store(sys.argv[1]).run('long').metric('loss').values\n"
        "print(time.perf_counter() - began)"
    )
    without = min(
        float(subprocess.run([sys.executable, "-c", text, data], capture_output=True, check=True).stdout)
        for _ in range(3)
    )
    tell("without NumPy, as a list", without, by, "csv module")


def _fresh(series: Any) -> Any:
    series.__dict__.pop("summary", None)
    return series


def record_runs(data: Path, runs: int, metrics: int) -> None:
    """Record many small runs."""
    for number in range(runs):
        run = {"name": f"run-{number}", "project": f"project-{number % 7}"}
        with Writer(data / "runs" / f"20260101-{number:06}-bench", {"run": run}) as writer:
            writer.event(
                "params", {"params": {"lr": 10.0 ** -(number % 5), "seed": number, "layers": number % 4}}
            )
            writer.event("tags", {"tags": {"team": "vision" if number % 2 else "audio"}})
            for step in range(20):
                writer.row({f"metric/{name}": number + step / (name + 1) for name in range(metrics)}, step)
            writer.close("finished")


def bench_list(data: Path, runs: int, metrics: int) -> None:
    """Listing, selecting and sorting many runs."""
    record_runs(data, runs, metrics)
    long_ago = time.time() - 1000
    for folder in data.glob("runs/*/journal"):
        os.utime(folder, (long_ago, long_ago))
    folders = sorted((data / "runs").iterdir())

    print(f"{runs:,} runs of {metrics} metrics")
    base = best(lambda: [os.stat(os.path.join(entry, "journal")) for entry in os.scandir(data / "runs")])
    tell("one os.stat per run", base)
    direct = best(lambda: [RunRecord.read(folder).summary() for folder in folders], 2)
    tell("every journal read, without the index", direct)
    store = open_store(data)

    def first() -> None:
        store.rebuild()
        store.runs()

    tell("store.runs(), the index built from nothing", best(first, 2), direct, "every journal read")
    again = best(lambda: open_store(data).runs())
    tell("store.runs() again, in another store", again, base, "the os.stat")
    tell("", again, direct, "every journal read")
    where = "params.lr < 0.1 and metrics.metric/3.max > 20 and tags.team == 'vision'"
    tell("  where: two comparisons and a tag", best(lambda: store.runs(where=where)), again, "store.runs()")
    tell(
        "  sort='-metrics.metric/1.max', limit=20",
        best(lambda: store.runs(sort="-metrics.metric/1.max", limit=20)),
    )
    tell("  and every summary", best(lambda: [run.summary() for run in store.runs()]), again, "store.runs()")
    with Writer(data / "runs" / "20270101-000000-live", {"run": {"name": "live"}}) as writer:
        writer.point("loss", 1.0)
        store.runs()

        def polled() -> None:
            writer.point("loss", 1.0)
            store.runs(limit=20)

        tell("  a point recorded in a live run, then runs(limit=20)", best(polled), again, "store.runs()")
    size = store.index_file.stat().st_size if store.index_file else 0
    print(f"  the index: {size / 1e6:.1f} MB, {size / runs:,.0f} bytes a run")


def bench_live(data: Path, points: int) -> None:
    """The first look at a run that is going on and has recorded much."""
    with Writer(data / "runs" / "live", {"run": {"name": "live"}}) as writer:
        for step in range(points // 10):
            writer.row({f"metric/{name}": step * name for name in range(10)}, step)
        store = open_store(data)

        def first() -> None:
            store.rebuild()
            store.runs()

        print(f"a live run of {points:,} points, ten at a step")
        tell("store.runs(), first look", best(first, 3))
        tell("store.runs(), nothing new", best(store.runs))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--metrics", type=int, default=10)
    chosen = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for bench, arguments in (
        (bench_series, (chosen.points,)),
        (bench_list, (chosen.runs, chosen.metrics)),
        (bench_live, (chosen.points,)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / ".tracelet"
            data.mkdir()
            bench(data, *arguments)


if __name__ == "__main__":
    main()
