"""Speed of the backends: ``python tests/benchmarks/bench_backends.py [BACKENDS] [--points N] [--rounds N] [--beside]``.

Each backend is compared with its far side's own client, which stores the same points with its own bulk call. Both are
measured in turns, in one process, with the same server. "End to end": a run's journal has the points, and they are
delivered until the far side has acknowledged all of them; starting is left out. "In its hooks" counts only the time in
the backend's own calls, without reading the journal.

"Memory" is how much the process grew, at most, while the journal was delivered. With ``--points 1000000`` that is what
catching up takes after an outage of that many points.

With ``--beside``, a program computes in pure Python and records 1,000 points a second, in turns with the backend and
without any. How much longer do the computing and a call take?

A backend's case is a module in ``far_sides``: ``open_case(folder)`` is a context manager that yields a ``Case``.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import logging
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from bench_delivery import Beside, compute_and_record, spread

import tracelet
from tracelet.config import load_config
from tracelet.core.plugins import PluginManager
from tracelet.delivery.delivery import Delivery
from tracelet.delivery.sync import LATER, RecordedRun

METRICS = 10  # names
RATE = 1000  # points a second, of the program beside which a backend works
SECONDS = 3.0  # that it computes
OFF = ["no:system", "no:environment", "no:gpu"]
PACKAGES = Path(__file__).parent / "far_sides"


class Case(NamedTuple):
    """A backend, ready to be measured."""

    plugin: str
    config: dict[str, Any]  # its table
    #: Stores points by the client's own bulk call: (name, value, step, time) each.
    store: Callable[[list[tuple[str, float, int, float]]], None]
    #: Returns how many points the far side has, all in all.
    count: Callable[[], int]


def load_case(name: str, folder: Path) -> AbstractContextManager[Case]:
    """Open the case of a backend."""
    spec = importlib.util.spec_from_file_location(f"far_side_{name}", PACKAGES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_backends"] = sys.modules[__name__]
    spec.loader.exec_module(module)
    opened: AbstractContextManager[Case] = module.open_case(folder)
    return opened


def record(folder: Path, points: int) -> Path:
    """Record a run with this many points, and return its folder."""
    with tracelet.start_run("bench", dir=folder, plugins=OFF) as run:
        for step in range(points // METRICS):
            for at in range(METRICS):
                run.log_metric(f"metric{at}", step * 0.5, step)
    return Path(run.dir)


class Growth:
    """How many megabytes this process grew at most, within a ``with`` statement."""

    def __enter__(self) -> Growth:
        self._process, self._over = psutil.Process(), threading.Event()
        self._before = self._most = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._most = max(self._most, self._process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.megabytes = (self._most - self._before) / 1e6


def deliver(run_dir: Path, case: Case) -> tuple[float, float, float]:
    """Deliver a run.

    Returns the seconds until the last acknowledgement, those spent in the backend's hooks, and by how many megabytes
    the process grew.
    """
    tables = {case.plugin: case.config}
    own = {key: value for key, value in case.config.items() if key != "isolation"}  # that one is the host's
    with PluginManager(
        config=load_config(root=run_dir, overrides={"plugins": tables}, environ={})
    ) as manager:
        manager.discover_plugins()
        run = RecordedRun(run_dir)
        delivery = Delivery(manager, run, run_dir, settings=LATER)  # type: ignore[arg-type]
        if not manager.start_plugins({case.plugin: own})[case.plugin]:
            raise SystemExit(f"{case.plugin}: {manager.plugins[case.plugin].error}")
        gc.collect()
        with Growth() as growth:
            began = time.perf_counter()
            delivery.add(case.plugin)
            if not delivery.flush(600):
                raise SystemExit(f"{case.plugin}: {delivery.status()}")
            took = time.perf_counter() - began
        hooks = sum(cost.wall_s for hook, cost in manager.handle(case.plugin).costs.items() if "log" in hook)
        delivery.finish(10.0)
    return took, hooks, growth.megabytes


def store(case: Case, points: int) -> float:
    """Store as many points through the client itself, and return the seconds."""
    now = time.time()
    made = [
        (f"metric{at}", step * 0.5, step, now + step * 1e-3)
        for step in range(points // METRICS)
        for at in range(METRICS)
    ]
    gc.collect()
    began = time.perf_counter()
    case.store(made)
    return time.perf_counter() - began


def measure(name: str, points: int, rounds: int) -> None:
    """Measure a backend, and print a line."""
    ratios, ours, hooks, theirs, grown = [], [], [], [], []
    with tempfile.TemporaryDirectory() as text, load_case(name, Path(text)) as case:
        for number in range(rounds):
            run_dir = record(Path(text) / f"store{number}", points)
            before = case.count()
            took, in_hooks, megabytes = deliver(run_dir, case)
            ours.append(points / took)
            hooks.append(points / in_hooks)
            grown.append(megabytes)
            if (arrived := case.count() - before) != points:
                raise SystemExit(f"{name}: expected {points} more points there, found {arrived}")
            theirs.append(points / store(case, points))
            ratios.append(ours[-1] / theirs[-1])
    shown = [f"{statistics.median(each):>9,.0f}" for each in (ours, hooks, theirs)]
    print(
        f"{name:12} points/s: {shown[0]} end to end, {shown[1]} in its hooks, {shown[2]} the client itself;"
        f" end to end {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f}) the client;"
        f" memory +{max(grown):.0f} MB",
        flush=True,
    )


def compute(folder: Path, tables: dict[str, Any]) -> Beside:
    """Compute and record beside a backend, or beside none."""
    plugins = [*OFF, *tables]
    with tracelet.start_run("beside", dir=folder, plugins=plugins, config={"plugins": tables}) as run:
        if tables and not run.flush(timeout=60):
            raise SystemExit(f"{run.status()['delivery']}")
        return compute_and_record(run.log_metric, RATE, SECONDS)


def measure_beside(name: str, rounds: int) -> None:
    """Measure what a backend takes from the program, and print a line."""
    pairs = []
    with tempfile.TemporaryDirectory() as text, load_case(name, Path(text)) as case:
        for number in range(rounds):
            order = [{case.plugin: case.config}, {}][:: -1 if number % 2 else 1]
            found = [compute(Path(text) / "store", tables) for tables in order]
            pairs.append(found if number % 2 else found[::-1])
    loops, calls = ([there[at] / base[at] for base, there in pairs] for at in (0, 2))
    cpu = statistics.median(there.cpu - base.cpu for base, there in pairs)
    print(f"{name:12} computing {spread(loops):<24} call {spread(calls):<24} CPU {cpu:+.1%}", flush=True)


def main() -> None:
    """Measure the backends named on the command line."""
    known = sorted(path.stem for path in PACKAGES.glob("[a-z]*.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("backends", nargs="*", choices=[*known, []], help="the backends to measure (all)")
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--beside", action="store_true", help="measure what the backend takes from the program"
    )
    chosen = parser.parse_args()
    logging.disable(logging.INFO)
    for name in chosen.backends or known:
        if chosen.beside:
            measure_beside(name, chosen.rounds)
        else:
            measure(name, chosen.points, chosen.rounds)


if __name__ == "__main__":
    main()
