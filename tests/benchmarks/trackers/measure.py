"""Measure one tracker, in its own environment: ``python measure.py TRACKER WHAT FOLDER [COUNT]``, JSON on stdout."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from adapters import ADAPTERS


def quantiles(times: list[float]) -> dict[str, float]:
    times.sort()
    return {
        "median_us": times[len(times) // 2] * 1e6,
        "p99_us": times[int(len(times) * 0.99)] * 1e6,
        "mean_us": sum(times) / len(times) * 1e6,
    }


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def calls(tracker: Any, folder: Path, count: int, busy: bool = False) -> dict[str, Any]:
    """The cost of a call at the caller: one metric, and ten at a step."""
    one = tracker(folder)
    stop = threading.Event()
    if busy:
        threading.Thread(target=spin, args=(stop,), daemon=True).start()
    clock, log = time.perf_counter, one.one
    for step in range(100):
        log("warm", 0.5, step)
    single, tens = [], []
    for step in range(100, 100 + count):
        began = clock()
        log("loss", 0.5, step)
        single.append(clock() - began)
    metrics = {f"m{number}": 0.5 for number in range(10)}
    many = one.many
    for step in range(100 + count, 100 + count + count // 10):
        began = clock()
        many(metrics, step)
        tens.append(clock() - began)
    stop.set()
    began = clock()
    one.finish()
    return {"one": quantiles(single), "ten": quantiles(tens), "finish_s": clock() - began}


def spin(stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1


def throughput(tracker: Any, folder: Path, count: int) -> dict[str, Any]:
    """Points a second from the first call to the end of finish, CPU, memory, and bytes a point."""
    one = tracker(folder)
    gc.collect()
    before, cpu, began = folder_bytes(folder), cpu_seconds(), time.perf_counter()
    log = one.one
    for step in range(count):
        log("loss", step * 0.5, step)
    called = time.perf_counter() - began
    one.finish()
    wall = time.perf_counter() - began
    return {
        "points_per_s": count / wall,
        "calls_per_s": count / called,
        "cpu_s": cpu_seconds() - cpu,
        "bytes_per_point": (folder_bytes(folder) - before) / count,
        "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cpu_seconds() -> float:
    """CPU of this process and of those that it has started, the living ones included."""
    import psutil

    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])  # its own, and of children that have ended
    return total


def kill(tracker: Any, folder: Path, seconds: int) -> None:
    """Log until killed, telling the parent after each call what is acknowledged."""
    one = tracker(folder)
    end, step = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        one.one("loss", 0.5, step)
        step += 1
        time.sleep(0.001)
    Path(f"{folder}.acknowledged").write_text(str(step))
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    name, what, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    tracker = ADAPTERS[name]
    if what == "calls":
        result = calls(tracker, folder, count)
    elif what == "busy":
        result = calls(tracker, folder, count, busy=True)
    elif what == "throughput":
        result = throughput(tracker, folder, count)
    elif what == "empty":
        tracker(folder / "warm").finish()  # imports done, files of the program cached
        began = time.perf_counter()
        tracker(folder / "counted").finish()
        result = {"empty_run_ms": (time.perf_counter() - began) * 1e3}
    elif what == "read":
        began = time.perf_counter()
        found = tracker.read(folder, "loss")
        result = {"found": found, "read_s": time.perf_counter() - began}
    else:
        kill(tracker, folder, count)
        return
    print("\nRESULT " + json.dumps(result), flush=True)
    os._exit(0)  # what a tracker does at exit is not measured here


if __name__ == "__main__":
    main()
