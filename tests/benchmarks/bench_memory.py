"""Resident memory over ten million points with a dead backend: ``python tests/benchmarks/bench_memory.py [POINTS]``.

Prints the growth from the first hundred thousand points to the last, beside what the same points would take in a list.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import tracelet


class Dead:
    """A backend whose server never answers."""

    @tracelet.hookimpl
    def log_metrics(self, points: object) -> None:
        raise ConnectionError("no route to host")


def resident() -> float:
    """Return this process's anonymous resident memory in MB: mapped journal pages are the kernel's to drop."""
    fields = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    return float(fields["RssAnon"].split()[0]) / 1024


def total() -> float:
    """Return all of this process's resident memory in MB, mapped files included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        plugins = [Dead(), "no:system", "no:environment", "no:gpu"]
        run = tracelet.start_run("memory", dir=folder, plugins=plugins)
        log = run.log_metric
        for step in range(100_000):
            log("x", 0.5, step)
        time.sleep(2)
        before, all_before = resident(), total()
        began = time.perf_counter()
        for step in range(100_000, points):
            log("x", 0.5, step)
        took = time.perf_counter() - began
        after, all_after = resident(), total()
        pending = run.status()["delivery"]
        run.finish(timeout=2)
        in_a_list = 2 * points * 32 / 1e6
        print(f"{points} points in {took:.1f} s; delivery: {pending}")
        print(f"memory of its own: {before:.1f} MB -> {after:.1f} MB (a list of them: {in_a_list:.0f} MB)")
        print(f"all, mapped files included: {all_before:.1f} MB -> {all_after:.1f} MB")


if __name__ == "__main__":
    main()
