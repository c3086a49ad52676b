"""Importing event files, against TensorBoard's EventAccumulator: ``python bench_importers.py [POINTS]``.

Needs ``tensorboard`` for the comparison. Times are those of the CPU, and of the clock in brackets.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tracelet.importers import import_runs
from tracelet_builtin_plugins.backends.tensorboard import protobuf
from tracelet_builtin_plugins.backends.tensorboard.event_file import frame

TAGS = [f"{part}/{name}" for part in ("train", "val") for name in ("loss", "acc", "f1", "lr", "grad_norm")]


def write_events(folder: Path, points: int) -> None:
    """Write scalars as ``SummaryWriter.add_scalar`` does, of ten tags in turn."""
    numbers = random.Random(0)
    with open(folder / "events.out.tfevents.1700000000.host.1.0", "wb") as file:
        file.write(frame(protobuf.file_version(1.7e9)))
        for step in range(points // len(TAGS)):
            for tag in TAGS:
                value = protobuf.summary_value(tag, protobuf.float_field(2, numbers.random()))
                file.write(frame(protobuf.event(1.7e9 + step / 100, step, value)))


def measure(function: Callable[[], int]) -> tuple[int, float, float]:
    """Return what a function returns, and how long it takes: of the CPU, and by the clock."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.process_time() - cpu, time.perf_counter() - clock


def accumulate(folder: Path) -> int:
    """Read the scalars with TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return sum(len(reader.Scalars(tag)) for tag in reader.Tags()["scalars"])


def main() -> None:
    """Measure, and print a line for each."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name, "run"), Path(name, "store")
        folder.mkdir()
        write_events(folder, points)

        def import_events(key: str) -> int:
            [result] = import_runs(folder, format="tensorboard", dir=store)
            return int(getattr(result, key))

        new = measure(lambda: import_events("points"))
        again = measure(lambda: import_events("known_points"))
        lines = {"imported": new, "imported again": again}
        try:
            lines["EventAccumulator"] = measure(lambda: accumulate(folder))
        except ImportError:
            print("EventAccumulator is not installed: pip install tensorboard")
        for label, (count, cpu, clock) in lines.items():
            print(f"{label:18} {count:9,} points  {cpu:6.2f} s ({clock:.2f} s)  {cpu / new[1]:5.1f}x")


if __name__ == "__main__":
    main()
