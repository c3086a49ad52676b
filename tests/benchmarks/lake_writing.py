"""How quickly many processes write into one lake, for ``bench_lake.py --writers N``.

Each simulated writer is the real plugin with a run of its own: it creates the run's document and stores batches of
points. All share one client: to start one takes half a second of CPU, which in a job each machine pays itself.
Beside it, the same number of objects of the same sizes are put by that client alone, without tracelet.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tracelet_builtin_plugins.backends.lake import LakeBackend
from tracelet_builtin_plugins.backends.lake.objects import open_objects
from tracelet_hookspecs import MetricData

FILES = 2  # batches of each writer
POINTS = 2000  # of a batch
METRICS = 10
AT_ONCE = 16  # writers at work at a time
STARTED = 1.7e9


def make_points(number: int, batch: int) -> list[MetricData]:
    """Return a batch of a writer."""
    first, writer = batch * POINTS, f"{number:032x}"
    return [
        MetricData(
            f"metric{at % METRICS}",
            at / 7,
            iteration=at // METRICS,
            timestamp=STARTED + at / 100,
            id=(writer, at // METRICS, at % METRICS),
        )
        for at in range(first, first + POINTS)
    ]


def write(number: int, table: dict[str, Any], folder: Path, objects: Any) -> dict[str, int]:
    """Be one writer, and return what it has counted."""
    own = folder / f"run-{number}"
    own.mkdir()
    run = SimpleNamespace(id=f"run-{number:06d}", name="r", project="bench", dir=own, started_at=STARTED)
    plugin = LakeBackend()
    plugin.initialize(table)
    plugin.start()
    plugin._objects = objects
    plugin.run_started(run)
    for batch in range(FILES):
        plugin.log_metrics(make_points(number, batch), run)
    plugin.run_ended(run, "finished")
    plugin.stop()
    return dict(plugin.get_status())


def bench_writers(put: Callable[[str, bytes], None], url: str, options: Any, writers: int) -> None:
    """Write with many writers, then put as many objects of the same size."""
    table = {"url": url, **({"storage_options": options} if options else {})}
    with tempfile.TemporaryDirectory(prefix="bench-writers-") as name, ThreadPoolExecutor(AT_ONCE) as pool:
        objects = open_objects(url, dict(options or {}), Path(name))
        write(writers, table, Path(name), objects)  # starts the client
        began = time.perf_counter()
        counts = list(pool.map(lambda number: write(number, table, Path(name), objects), range(writers)))
        seconds = time.perf_counter() - began
        totals = {key: sum(one[key] for one in counts) for key in ("files", "bytes", "points", "documents")}
        puts = totals["files"] + totals["documents"]
        data = bytes(totals["bytes"] // totals["files"])
        began = time.perf_counter()
        list(pool.map(lambda number: put(f"plain/{number}", data), range(puts)))
        plain = time.perf_counter() - began
    assert totals["points"] == writers * FILES * POINTS
    print(f"{writers:,} writers, {totals['points']:,} points, {puts:,} PUTs, {totals['bytes'] / 1e6:.0f} MB")
    print(
        f"  {totals['points'] / seconds:,.0f} points/s, {puts / seconds:,.0f} PUTs/s in {seconds:.1f} s;"
        f" the client alone {puts / plain:,.0f} PUTs/s: {plain / seconds:.2f} x"
    )
    rate, size = 1e6 * puts / totals["points"], totals["bytes"] / totals["points"]
    print(f"  {rate:,.0f} PUTs and {size:.1f} MB per million points")
