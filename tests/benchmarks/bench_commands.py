"""Peak memory and CPU time of each command on a run of a million points: ``python tests/benchmarks/bench_commands.py``.

The last column is the memory in relation to that of ``tracelet --version``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu"]


class Usage(NamedTuple):
    """What a process took."""

    megabytes: float
    seconds: float


def record(data: Path, points: int) -> None:
    """Record the run, and a short one to compare it with."""
    with tracelet.start_run("long", run_id="long", dir=data, plugins=QUIET) as run:
        for step in range(points):
            run.log_metric("loss", step * 0.5, step)
    with tracelet.start_run("short", run_id="short", dir=data, plugins=QUIET) as run:
        run.log_metric("loss", 1.0, 0)


def measure(*words: str) -> Usage:
    """Run a command in a process of its own."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execv(sys.executable, [sys.executable, "-m", "tracelet", *words])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"tracelet {' '.join(words)}: status {status}")
    return Usage(usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def main() -> None:
    """Measure and print all commands."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    points = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder:
        data, base = Path(folder, "data"), measure("--version")
        record(data, points)
        print(f"{'command':36} {'MB':>6} {'CPU s':>6} {'times':>6}")
        for words in (
            ["runs"],
            ["show", "long"],
            ["compare", "long", "short"],
            ["export", "long", "--output", f"{folder}/out.csv"],
            ["export", "long", "--output", f"{folder}/out.json"],
            ["verify", "long"],
            ["sync", "long", "-p", "jsonl"],
            ["compact", "long"],
            ["show", "long"],
        ):
            used = measure(*words, "--dir", str(data))
            shown = " ".join(words).replace(f"{folder}/", "")
            print(
                f"{shown:36} {used.megabytes:6.0f} {used.seconds:6.2f} {used.megabytes / base.megabytes:6.1f}"
            )


if __name__ == "__main__":
    main()
