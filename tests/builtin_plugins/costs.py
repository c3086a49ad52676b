"""What the built-in plugins cost the training process, as CPU time per call and as a share of their interval.

    python tests/builtin_plugins/costs.py

Every figure is also given as a multiple of one ``psutil.cpu_times(percpu=True)`` in the same run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from tracelet_builtin_plugins.backends.jsonl import JsonlBackend
from tracelet_builtin_plugins.collectors.environment import EnvironmentCollector
from tracelet_builtin_plugins.collectors.system import SystemCollector
from tracelet_hookspecs import MetricData


def cpu_seconds(function: Callable[[], Any], calls: int) -> float:
    """Return the CPU time of one call: the lowest mean of five rounds."""
    function()
    means = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(calls):
            function()
        means.append((time.process_time() - begun) / calls)
    return min(means)


def system(**config: Any) -> float:
    plugin = SystemCollector()
    plugin.initialize(config)
    plugin.start()
    return cpu_seconds(plugin.collect, 50)


def environment() -> float:
    program = (
        "import time; import pluggy, attrs, tracelet_hookspecs; begun = time.process_time()\n"
        "from tracelet_builtin_plugins.collectors.environment import EnvironmentCollector as Plugin\n"
        "plugin = Plugin(); plugin.initialize({}); plugin.start(); plugin.collect()\n"
        "print(time.process_time() - begun)"
    )
    run = [sys.executable, "-c", program]
    return min(float(subprocess.run(run, capture_output=True, check=True).stdout) for _ in range(5))


def environment_later() -> float:
    plugin = EnvironmentCollector()
    plugin.initialize({})
    plugin.start()
    return cpu_seconds(plugin.collect, 1000)


def jsonl(points: int = 4096) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = SimpleNamespace(id="r", name="r", project="p", dir=Path(folder), started_at=0.0)
        plugin: Any = JsonlBackend()
        plugin.initialize({})
        plugin.start()
        sequence = iter(range(10**9))

        def batch() -> None:
            ids = [next(sequence) for _ in range(points)]
            plugin.log_metrics(
                [MetricData("train/loss", n / 7, iteration=n, id=("w", n, 0)) for n in ids], run
            )

        return cpu_seconds(batch, 5) / points


def main() -> None:
    unit = cpu_seconds(lambda: psutil.cpu_times(percpu=True), 500)
    print(f"{'':44}{'CPU ms':>10}{'x cpu_times':>13}{'share':>10}")

    def report(name: str, seconds: float, interval: float | None = None) -> None:
        share = f"{seconds / interval:.4%}" if interval else ""
        print(f"{name:44}{seconds * 1e3:>10.4f}{seconds / unit:>13.2f}{share:>10}")

    interval = SystemCollector._collection_interval
    report("system", system(), interval)
    with ExitStack() as stack:
        for _ in range(16):
            child = stack.enter_context(subprocess.Popen(["sleep", "600"]))
            stack.callback(child.kill)
        report("system, 16 children", system(), interval)
    done = threading.Event()
    for _ in range(128):
        threading.Thread(target=done.wait, daemon=True).start()
    report("system, 128 threads", system(), interval)
    done.set()
    report(f"system, top_n = 5 of {len(psutil.pids())} processes", system(top_n=5), interval)
    report("environment, once, its imports included", environment())
    report("environment, afterwards", environment_later())
    report("jsonl, per point in batches of 4096", jsonl())


if __name__ == "__main__":
    main()
