"""What delivery takes: ``python tests/benchmarks/bench_delivery.py [calls] [beside] [flat-out] [--rounds N] ...``.

calls: what a call that records takes (median, 99th percentile), with no backend, a quick one, one of 20 ms a point, a
dead one and a hung one; called as fast as it goes.

beside: a program computes in pure Python and records 10,000 points a second, which a backend is given at once, on a
thread or in a process of its own. How much longer does the computing take than with no backend, and a call?

flat-out: points a second from the first call that records to the moment when the backend has the last; recording
and delivering go on at the same time.

What is compared is measured in turns, and of the ratios within each turn the median and the quartiles are shown: what
else the machine does falls on both sides.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from backends import Columns, Dead, Hung, Quick, Single, Slow

import tracelet

OFF = ["no:system", "no:environment", "no:gpu"]
NONE = "no backend"
TEN = {f"metric{at}": 0.5 for at in range(10)}


class Beside(NamedTuple):
    """What a stretch of computing and recording came to."""

    seconds: float  # for a thousand rounds of the computation
    cpu: float  # share of a core that other threads of the process took
    median: float  # of the calls that recorded, in seconds
    p99: float


@contextmanager
def recording(backend: type[Quick] | None, isolation: str = "thread") -> Iterator[tracelet.Run]:
    """Open a run with one backend (or none) that is at work."""
    tables = {} if backend is None else {backend.__name__.lower(): {"isolation": isolation}}
    config = {"plugins": tables, "start_timeout": 30, "finish_timeout": 1}
    with tempfile.TemporaryDirectory() as folder:
        plugins = [*OFF, *([backend] if backend else [])]
        run = tracelet.start_run("bench", dir=Path(folder), plugins=plugins, config=config)
        try:
            for step in range(1000):
                run.log_metric("warm", 0.5, step)
            time.sleep(0.3)
            if backend is not None and backend.__name__.lower() not in run.status()["delivery"]:
                raise SystemExit(f"{backend.__name__}: {run.status()['plugins']}")
            yield run
        finally:
            run.finish(timeout=1)


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def spread(ratios: list[float]) -> str:
    """Return the median of ratios, and between which values the middle half of them lies."""
    if len(ratios) < 2:
        return f"{ratios[0]:5.2f} x"
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:5.2f} x ({low:.2f} to {high:.2f})"


def micro(seconds: list[float]) -> str:
    """Return the median, in microseconds."""
    return f"{statistics.median(seconds) * 1e6:7.2f} us"


# -- the call alone --------------------------------------------------------------------------------------


def timed_calls(log: Callable[..., object], count: int) -> tuple[float, float]:
    """Call as fast as it goes; return the median and the 99th percentile of single calls."""
    clock, times = time.perf_counter, [0.0] * count
    for step in range(count):
        began = clock()
        log("loss", 0.5, step)
        times[step] = clock() - began
    return percentiles(times)


def bench_calls(given: argparse.Namespace) -> None:
    """What a call takes beside backends of every temper."""
    print(f"\na call of log_metric, {given.calls:,} at once ({given.rounds} turns)")
    kinds = {
        NONE: None,
        "a quick backend": Quick,
        "20 ms a point": Slow,
        "a dead backend": Dead,
        "a hung backend": Hung,
    }
    found: dict[str, list[tuple[float, float]]] = {label: [] for label in kinds}
    for _ in range(given.rounds):
        for label, backend in kinds.items():
            with recording(backend) as run:
                found[label].append(timed_calls(run.log_metric, given.calls))
    for label, pairs in found.items():
        ratios = [pair[0] / base[0] for pair, base in zip(pairs, found[NONE], strict=True)]
        tails = [pair[1] / base[1] for pair, base in zip(pairs, found[NONE], strict=True)]
        median, p99 = micro([pair[0] for pair in pairs]), micro([pair[1] for pair in pairs])
        print(f"  {label:<18} median {median} {spread(ratios):<26} p99 {p99} {spread(tails)}", flush=True)


# -- computing beside it ---------------------------------------------------------------------------------


def waited_for_a_processor() -> float:
    """Return the seconds for which this thread was ready to run and other programs had the processors."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0  # another platform: the machine has to be quiet


def compute_and_record(log: Callable[..., object], rate: int, seconds: float) -> Beside:
    """Compute in pure Python, and record so many points a second in between.

    What other programs took is not counted; what threads of this one take (the GIL) is.
    """
    clock, total, rounds, step, times = time.perf_counter, 0.0, 0, 0, []
    cpu, waited = time.process_time() - time.thread_time(), waited_for_a_processor()
    began = now = clock()
    due, pause, end = began, 1 / rate, began + seconds
    while now < end:
        if now >= due:
            due += pause
            step += 1
            log("loss", 0.5, step)
            times.append(clock() - now)
        for at in range(100):
            total += at * 0.5
        rounds += 1
        now = clock()
    took = now - began - (waited_for_a_processor() - waited)
    share = (time.process_time() - time.thread_time() - cpu) / (now - began)
    return Beside(took / rounds * 1e3, share, *percentiles(times))


def bench_beside(given: argparse.Namespace) -> None:
    """How much slower a program is that computes while it is delivered."""
    print(f"\ncomputing in pure Python while {given.rate:,} points a second are recorded and delivered")
    print(f"({given.rounds} turns of {given.seconds:g} s each, beside the same with no backend)")
    kinds = {
        "(no backend, again)": (None, "thread"),
        "log_metrics, thread": (Quick, "thread"),
        "log_metrics, process": (Quick, "process"),
        "log_metric, thread": (Single, "thread"),
        "log_metric, process": (Single, "process"),
    }
    for label, (backend, isolation) in kinds.items():
        pairs = [
            turn(given, backend, isolation, backend_first=bool(number % 2)) for number in range(given.rounds)
        ]
        loops, calls, tails = ([there[at] / base[at] for base, there in pairs] for at in (0, 2, 3))
        cpu = statistics.median(there.cpu - base.cpu for base, there in pairs)
        print(
            f"  {label:<21} computing {spread(loops):<24} call {spread(calls):<24} its p99 {spread(tails):<24}"
            f" CPU {cpu:+.1%}",
            flush=True,
        )


def turn(
    given: argparse.Namespace, backend: type[Quick] | None, isolation: str, *, backend_first: bool
) -> tuple[Beside, Beside]:
    """Measure without the backend and with it, one right after the other."""
    found = []
    for kind in (backend, None) if backend_first else (None, backend):
        with recording(kind, isolation) as run:
            found.append(compute_and_record(run.log_metric, given.rate, given.seconds))
            behind = [each["pending"] / given.rate for each in run.status()["delivery"].values()]
            if any(seconds > 2 for seconds in behind):
                raise SystemExit(f"delivery did not keep up: {behind} s behind")
    return (found[1], found[0]) if backend_first else (found[0], found[1])


# -- flat out --------------------------------------------------------------------------------------------


def flat_out(run: tracelet.Run, points: int, per_call: int) -> tuple[float, float]:
    """Record as fast as it goes; return points a second of the recording, and until all is delivered."""
    began = time.perf_counter()
    if per_call == 1:
        for step in range(points):
            run.log_metric("loss", 0.5, step)
    else:
        for step in range(points // per_call):
            run.log(TEN, step=step)
    recorded = time.perf_counter() - began
    if not run.flush(timeout=600):
        raise SystemExit(run.status()["delivery"])
    return points / recorded, points / (time.perf_counter() - began)


def bench_flat_out(given: argparse.Namespace) -> None:
    """Points a second, end to end."""
    for per_call in (1, 10):
        print(f"\n{given.points:,} points flat out, {per_call} a call ({given.rounds} turns)")
        kinds = {
            NONE: (None, "thread"),
            "log_columns, thread": (Columns, "thread"),
            "log_columns, process": (Columns, "process"),
            "log_metrics, thread": (Quick, "thread"),
            "log_metrics, process": (Quick, "process"),
            "log_metric, thread": (Single, "thread"),
            "log_metric, process": (Single, "process"),
        }
        found: dict[str, list[tuple[float, float]]] = {label: [] for label in kinds}
        for _ in range(given.rounds):
            for label, (backend, isolation) in kinds.items():
                with recording(backend, isolation) as run:
                    found[label].append(flat_out(run, given.points, per_call))
        for label, pairs in found.items():
            recorded, delivered = (statistics.median(each) for each in zip(*pairs, strict=True))
            ratios = [base[0] / pair[1] for pair, base in zip(pairs, found[NONE], strict=True)]
            print(
                f"  {label:<21} recorded {recorded:>11,.0f}/s  delivered {delivered:>11,.0f}/s "
                f" {spread(ratios)} the time of recording alone",
                flush=True,
            )


def main() -> None:
    """Run what was asked for."""
    benches = {"calls": bench_calls, "beside": bench_beside, "flat-out": bench_flat_out}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("which", nargs="*", help=f"of {', '.join(benches)}; all of them by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--points", type=int, default=500_000)
    given = parser.parse_args()
    logging.getLogger("tracelet").setLevel(logging.CRITICAL)  # what is still due at the end is meant to be
    for which in given.which or benches:
        if which not in benches:
            parser.error(f"{which!r} is none of {', '.join(benches)}")
        benches[which](given)


if __name__ == "__main__":
    main()
