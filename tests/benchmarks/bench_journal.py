"""What recording and reading take: ``python tests/benchmarks/bench_journal.py [--seconds S] [--turns N] [--dir DIR]``.

First, the calls that record, beside a bare ``os.write`` of the 32 bytes that a point takes, in turns within one run:
the median and the 99th percentile of single calls, and calls a second of a plain loop. Once in a quiet process, once
beside a thread that computes in pure Python: there, whatever gives up the interpreter's lock has to win it back.
What an empty call and the clock take is taken off. Then, points a second read back with NumPy and without, beside
``struct`` taking apart the same bytes unchecked, and bytes a point on the disk. Last, what compacting makes of series
that are smooth, noisy in 32 bits, and noisy in all 64.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import tracelet
from tracelet.journal import Follower, Writer, compact, read_columns, writers

BASE = "os.write of 32 bytes"
EMPTY = "(an empty call)"
TEN = {f"metric{at}": 0.5 for at in range(10)}

Call = Callable[[int], object]


class Speed(NamedTuple):
    """What a call takes: seconds a single one, and calls a second of many."""

    median: float
    p99: float
    rate: float


def empty(step: int) -> None:
    """Do nothing."""


@contextmanager
def calls(folder: Path) -> Iterator[dict[str, Call]]:
    """Open everything that records, and give the calls by what they are called."""
    handle = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT, 0o600)
    data = os.urandom(32)
    off = ["no:system", "no:environment", "no:gpu"]
    with ExitStack() as open_ones:
        open_ones.callback(os.close, handle)
        writer = open_ones.enter_context(Writer(folder / "run", {"run": {"id": "bench"}}))
        run = open_ones.enter_context(tracelet.start_run("bench", dir=folder / "runs", plugins=off))
        yield {
            EMPTY: empty,
            BASE: lambda step: os.write(handle, data),
            "Writer.point": lambda step: writer.point("loss", 0.5, step),
            "Writer.row of ten": lambda step: writer.row(TEN, step),
            "Run.log_metric": lambda step: run.log_metric("loss", 0.5, step),
            "Run.log of ten": lambda step: run.log(TEN, step),
        }


def timed(call: Call, seconds: float) -> list[int]:
    """Return what single calls took, in nanoseconds."""
    clock = time.perf_counter_ns
    took: list[int] = []
    until = clock() + int(seconds * 1e9)
    step = 0
    while (began := clock()) < until:
        call(step)
        took.append(clock() - began)
        step += 1
    return took


def looped(call: Call, seconds: float) -> float:
    """Return how long one call of a plain loop takes, in seconds."""
    clock = time.perf_counter
    done, size = 0, 10
    began = now = clock()
    while now - began < seconds:
        for step in range(done, done + size):
            call(step)
        done += size
        now = clock()
        size = min(2 * size, 1000)
    return (now - began) / done


def measured(calls: dict[str, Call], seconds: float, turns: int) -> dict[str, Speed]:
    """Measure each call, in turns, and take the medians."""
    single: dict[str, list[tuple[float, float]]] = {label: [] for label in calls}
    loops: dict[str, list[float]] = {label: [] for label in calls}
    for _ in range(turns):
        for label, call in calls.items():
            took = sorted(timed(call, seconds))
            single[label].append((statistics.median(took) / 1e9, took[len(took) * 99 // 100] / 1e9))
            loops[label].append(looped(call, seconds))
    clock = statistics.median(median for median, _ in single[EMPTY])
    loop = statistics.median(loops[EMPTY])
    return {
        label: Speed(
            statistics.median(median for median, _ in single[label]) - clock,
            statistics.median(p99 for _, p99 in single[label]) - clock,
            1 / max(statistics.median(loops[label]) - loop, 1e-9),
        )
        for label in calls
        if label != EMPTY
    }


@contextmanager
def busy_thread() -> Iterator[None]:
    """Compute in pure Python on a thread beside."""
    stop = False

    def compute() -> None:
        total = 0.0
        while not stop:
            for at in range(1000):
                total += at * 0.5

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop = True
        thread.join()


def tell(title: str, speeds: dict[str, Speed]) -> None:
    """Print a table: each figure, and its ratio to that of the bare write."""
    base = speeds[BASE]
    print(f"\n{title}")
    print(f"  {'':<22}{'median':>12}{'':>9}{'99 %':>12}{'':>9}{'calls/s':>12}{'':>9}")
    for label, speed in speeds.items():
        figures = (
            (f"{speed.median * 1e6:,.2f} us", speed.median / base.median),
            (f"{speed.p99 * 1e6:,.2f} us", speed.p99 / base.p99),
            (f"{speed.rate:,.0f}", speed.rate / base.rate),
        )
        print(f"  {label:<22}" + "".join(f"{text:>12}{ratio:>8.3g}x" for text, ratio in figures), flush=True)


def bench_recording(folder: Path, seconds: float, turns: int) -> None:
    """What the calls that record take."""
    with calls(folder) as found:
        for step, call in enumerate(found.values()):
            call(step)
        tell(f"recording, alone (ratios to {BASE})", measured(found, seconds, turns))
        with busy_thread():
            tell("recording, beside a busy thread", measured(found, seconds, turns))


def record(run_dir: Path, points: int, per_row: int) -> tuple[Path, int]:
    """Record a run; return it, and how many bytes its journal takes."""
    with Writer(run_dir, {"run": {"id": "bench"}}) as writer:
        if per_row == 1:
            for step in range(points):
                writer.point("loss", 0.5, step)
        else:
            for step in range(points // per_row):
                writer.row(TEN, step)
    return run_dir, sum(file.stat().st_size for file in (run_dir / "journal").iterdir())


def followed(run_dir: Path) -> int:
    """Read all records one by one, as a feed does, and return how many points there were."""
    return sum(
        len(records) for writer in writers(run_dir) for records in iter(Follower(run_dir, writer).read, [])
    )


def columns(run_dir: Path, numpy: bool) -> int:
    """Read all points as columns, and return how many there were."""
    return sum(map(len, read_columns(run_dir, numpy=numpy).values()))


def unchecked(run_dir: Path) -> int:
    """Take every slot apart with ``struct``, whatever it holds: what any reader in Python takes at least."""
    layout = struct.Struct("<dqdII")
    return sum(1 for file in (run_dir / "journal").iterdir() for _ in layout.iter_unpack(file.read_bytes()))


def best(read: Callable[[], int], turns: int) -> float:
    """Return the shortest time that a reading took."""
    took = []
    for _ in range(turns):
        began = time.perf_counter()
        read()
        took.append(time.perf_counter() - began)
    return min(took)


def readers() -> dict[str, Callable[[Path], int]]:
    """Return the ways of reading by what they are called."""
    without: dict[str, Callable[[Path], int]] = {
        "read_columns, without NumPy": partial(columns, numpy=False),
        "Follower, record by record": followed,
    }
    if importlib.util.find_spec("numpy") is None:
        return without
    return {"read_columns, with NumPy": partial(columns, numpy=True), **without}


def bench_reading(folder: Path, points: int, turns: int) -> None:
    """Points a second read back, and bytes a point."""
    for per_row in (1, 10):
        run_dir, size = record(folder / f"run{per_row}", points, per_row)
        print(f"\nreading {points:,} points, {'one' if per_row == 1 else per_row} to a record")
        print(f"  {'bytes a point':<34}{size / points:>14.2f}")
        base = best(partial(unchecked, run_dir), turns)
        print(f"  {'struct alone, unchecked':<34}{points / base:>14,.0f} points/s")
        for label, read in readers().items():
            read(run_dir)
            took = best(partial(read, run_dir), turns)
            print(f"  {label:<34}{points / took:>14,.0f} points/s{base / took:>8.3g}x", flush=True)


def smooth(step: int) -> float:
    """Return a loss that decays without noise."""
    return 2 * math.exp(-step / 50_000) + 0.1


def single(step: int) -> float:
    """Return a noisy loss of 32 bits, as a GPU gives it."""
    return float(struct.unpack("<f", struct.pack("<f", smooth(step) * (1 + 0.05 * math.sin(step * step))))[0])


def double(step: int) -> float:
    """Return a loss with noise in all of its 64 bits."""
    return smooth(step) * (1 + 0.05 * math.sin(step * step))


def bench_compaction(folder: Path, points: int, turns: int) -> None:
    """Bytes a point before and after compacting, and what it takes to compact, and to read then."""
    print(f"\ncompacting {points:,} points")
    for series in (smooth, single, double):
        run_dir = folder / series.__name__
        with Writer(run_dir, {"run": {"id": "bench"}}) as writer:
            for step in range(points):
                writer.point("loss", series(step), step)
        began = time.perf_counter()
        done = compact(run_dir)
        took = time.perf_counter() - began
        sizes = f"{done.before / points:6.2f} -> {done.after / points:5.2f} bytes a point"
        print(f"  {series.__name__:<10}{sizes}{points / took:>14,.0f} points/s", flush=True)
        for label, read in readers().items():
            rate = points / best(partial(read, run_dir), turns)
            print(f"    {label:<32}{rate:>14,.0f} points/s", flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.4, help="for each call, turn and way of timing")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, help="where to record: which disk and file system")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        bench_recording(Path(folder), given.seconds, given.turns)
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        bench_reading(Path(folder), given.points, given.turns)
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        bench_compaction(Path(folder), given.points, given.turns)


if __name__ == "__main__":
    main()
