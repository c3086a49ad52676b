"""What delivery takes: ``python tests/benchmarks/bench_delivery.py [--points N] [--seconds S] [--rate N]``.

First, points a second from the journal to a backend that does nothing with them, on a thread of this process and in a
process of the backend's own, beside reading the journal alone. Then, how much slower a pure-Python loop runs while
delivery brings 10,000 points a second to a backend, beside the same loop with no delivery, in turns. The points are
recorded by another process, so that this one has nothing to do but the loop and the delivery.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tracelet.core.plugins import BackendPlugin, PluginInfo, PluginManager, PluginMetadata
from tracelet.delivery import Delivery
from tracelet.delivery.recorded import RecordedRun
from tracelet.journal import Follower, Writer

RECORDER = """
import sys, time
from pathlib import Path
from tracelet.journal import Writer
rate = int(sys.argv[2])
writer = Writer(Path(sys.argv[1]), {"run": {"id": "bench"}})
print("ready", flush=True)
step, began = 0, time.monotonic()
while True:
    due = int((time.monotonic() - began) * rate)
    while step < due:
        writer.point("loss", 0.5, step)
        step += 1
    time.sleep(0.002)
"""


class Batches(BackendPlugin):
    """Takes batches and does nothing with them."""

    isolation = "thread"

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        return PluginMetadata("backend", "1", "backend", isolation=cls.isolation)  # type: ignore[arg-type]

    def initialize(self, config: object) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...

    def get_status(self) -> dict[str, int]:
        return {}

    def log_metric(self, name: str, value: object, iteration: int | None) -> None: ...
    def log_metrics(self, points: object) -> None: ...
    def log_params(self, params: object) -> None: ...
    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None: ...


class Single(Batches):
    """Is called for every point."""

    log_metrics = None  # type: ignore[assignment]


class BatchesApart(Batches):
    """In a process of its own."""

    isolation = "process"


class SingleApart(Single):
    """In a process of its own."""

    isolation = "process"


@contextmanager
def delivering(run_dir: Path, backend: type[Batches]) -> Iterator[Delivery]:
    """Deliver a run to a backend, for as long as the context lasts."""
    manager = PluginManager(use_default_paths=False)
    delivery = Delivery(manager, RecordedRun(run_dir), run_dir)
    info = PluginInfo(PluginMetadata.from_outside("backend"), __file__, backend.__name__)
    manager.plugins["backend"] = info
    if not manager.start_plugins(["backend"])["backend"]:
        raise SystemExit(info.error)
    delivery.add("backend")
    try:
        yield delivery
    finally:
        delivery.finish(5.0)
        manager.stop_all_plugins()


def tell(what: str, value: str, ratio: float | None = None, beside: str = "") -> None:
    """Print one line."""
    print(
        f"  {what:<52} {value:>18}" + (f"  {ratio:6.3f} x {beside}" if ratio is not None else ""), flush=True
    )


def record(run_dir: Path, points: int, per_row: int) -> Path:
    """Record a run."""
    writer = Writer(run_dir, {"run": {"id": "bench"}})
    if per_row == 1:
        for step in range(points):
            writer.point("loss", 0.5, step)
    else:
        row = {f"metric{at}": 0.5 for at in range(per_row)}
        for step in range(points // per_row):
            writer.row(row, step)
    writer.close("finished")
    return run_dir


def reading(run_dir: Path) -> int:
    """Read every record, as a feed does, and do nothing with it."""
    from tracelet.journal import writers

    return sum(
        len(records) for writer in writers(run_dir) for records in iter(Follower(run_dir, writer).read, [])
    )


def bench_throughput(folder: Path, points: int) -> None:
    """Points a second, end to end."""
    for per_row in (1, 10):
        run_dir = record(folder / f"run{per_row}", points, per_row)
        print(f"\n{points:,} points, {'one' if per_row == 1 else per_row} to a record")
        began = time.perf_counter()
        reading(run_dir)
        alone = time.perf_counter() - began
        tell("reading alone", f"{points / alone:,.0f} points/s")
        for label, backend in (
            ("log_metrics, on a thread", Batches),
            ("log_metrics, in its own process", BatchesApart),
            ("log_metric, on a thread", Single),
            ("log_metric, in its own process", SingleApart),
        ):
            with delivering(run_dir, backend) as delivery:
                began = time.perf_counter()
                done = delivery.flush(600)
                took = time.perf_counter() - began
            if not done:
                raise SystemExit(f"{label}: {delivery.status()}")
            tell(label, f"{points / took:,.0f} points/s", took / alone, "reading")
            for file in (run_dir / "delivery").iterdir():
                file.unlink()


def waited_for_a_processor() -> float:
    """Return the seconds for which this thread was ready to run and other programs had the processors."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0  # another platform: the machine has to be quiet


def loop(seconds: float) -> tuple[float, float]:
    """Compute in pure Python for some seconds. Return rounds a second, and the CPU share of all other threads.

    What other programs took is not counted against anybody; what threads of this one take (the GIL) is.
    """
    rounds, total = 0, 0.0
    began, cpu, waited = (
        time.perf_counter(),
        time.process_time() - time.thread_time(),
        waited_for_a_processor(),
    )
    while (now := time.perf_counter()) - began < seconds:
        for at in range(1000):
            total += at * 0.5
        rounds += 1
    beside = time.process_time() - time.thread_time() - cpu
    return rounds / (now - began - (waited_for_a_processor() - waited)), beside / (now - began)


@contextmanager
def recording(run_dir: Path, rate: int) -> Iterator[None]:
    """Have another process record so many points a second into a run."""
    program = subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(run_dir), str(rate)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    program.stdout.readline()
    try:
        yield
    finally:
        program.kill()
        program.communicate()


def measured(folder: Path, rate: int, seconds: float, backend: type[Batches] | None) -> tuple[float, float]:
    """Run the loop beside delivery, or beside none."""
    with recording(folder, rate):
        if backend is None:
            return loop(seconds)
        with delivering(folder, backend) as delivery:
            time.sleep(1.0)  # both have started, and what was there is delivered
            found = loop(seconds)
            lag = delivery.status()["backend"]["pending"] / rate
    if lag > 2:
        raise SystemExit(f"delivery did not keep up: {lag:.1f} s behind")
    return found


def bench_loop(folder: Path, rate: int, seconds: float, turns: int) -> None:
    """How much slower a pure-Python loop is while delivery goes on beside it."""
    print(
        f"\na pure-Python loop while {rate:,} points a second are delivered ({turns} turns of {seconds:g} s)"
    )
    kinds: dict[str, type[Batches] | None] = {
        "no delivery": None,
        "log_metrics, on a thread": Batches,
        "log_metrics, in its own process": BatchesApart,
        "log_metric, on a thread": Single,
        "log_metric, in its own process": SingleApart,
    }
    speeds: dict[str, list[float]] = {label: [] for label in kinds}
    shares: dict[str, list[float]] = {label: [] for label in kinds}
    for turn in range(turns):
        for label, backend in kinds.items():
            speed, share = measured(folder / f"{turn}-{label.replace(' ', '')}", rate, seconds, backend)
            speeds[label].append(speed)
            shares[label].append(share)
    base = statistics.median(speeds["no delivery"])
    for label in kinds:
        speed, share = statistics.median(speeds[label]), statistics.median(shares[label])
        tell(label, f"{share:.1%} CPU beside", base / speed, "the time of no delivery")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=500_000)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    benches: list[Callable[[Path], None]] = [
        lambda folder: bench_throughput(folder, given.points),
        lambda folder: bench_loop(folder, given.rate, given.seconds, given.turns),
    ]
    for bench in benches:
        with tempfile.TemporaryDirectory() as folder:
            bench(Path(folder))


if __name__ == "__main__":
    main()
