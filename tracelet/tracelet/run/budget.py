"""What tracelet takes of the program's time: always measured, and kept below a budget if one is set.

The share is the time that the program spends in recording calls, plus the CPU time of tracelet's own threads in this
process (they hold the interpreter's lock while they compute), divided by the time that has passed.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tracelet.logs import get_logger
from tracelet.run.context import RunContext
from tracelet.run.run_plugins import RunPlugins
from tracelet.run.threads import try_start

log = get_logger("tracelet.run")

PERIOD: Final = 0.25  # seconds between two bursts of timed calls
LOOK_EVERY: Final = 8  # periods between two updates of the share
BURST: Final = 8  # calls timed in a row: the first one finds cold caches
SAMPLES: Final = 200  # latest calls whose median counts
THREAD_PREFIX: Final = "tracelet"
RECORD_EVERY: Final = (10.0, 60.0)  # seconds between two records of the costs: at first, and in the end
HORIZON: Final = (
    10.0  # seconds whose allowance may be spent at once, as a collector with a long interval does
)

Call = Callable[..., None]
Install = Callable[[Call, Call], None]  # (point, row) -> the calls that the run uses from now on


class CallSampler:
    """Times a few recording calls now and then: it replaces the calls for a burst and then restores them.

    So the fast path carries no clock. The median of the samples represents all calls; a mean would count the moments
    at which another thread held the interpreter.
    """

    def __init__(self, point: Call, row: Call, install: Install) -> None:
        self._point = point
        self._row = row
        self._install = install
        self._left = 0
        self._samples: deque[float] = deque(maxlen=SAMPLES)  # seconds per point

    def arm(self) -> None:
        """Time the next recording calls."""
        self._left = BURST
        self._install(
            self._timed(self._point, lambda arguments: 1),
            self._timed(self._row, lambda arguments: len(arguments[0])),
        )

    def _timed(self, call: Call, points: Callable[[Any], int]) -> Call:
        def timed(*arguments: Any) -> None:
            self._left -= 1
            if self._left <= 0:
                self._install(self._point, self._row)
            began = time.perf_counter()
            call(*arguments)
            self._samples.append((time.perf_counter() - began) / max(points(arguments), 1))

        return timed

    @property
    def seconds_per_point(self) -> float:
        """The median over the latest samples."""
        samples = sorted(self._samples)
        return samples[len(samples) // 2] if samples else 0.0


class Budget:
    """Measures the share of the program's time that tracelet takes, and sheds load while it is above ``limit``.

    Load is shed in this order, and each step is reported once: the collectors' intervals are doubled, up to sixteen
    times; then delivery waits longer between batches. Recording itself is never cut. Each step is judged by what
    was taken since the step before. The start of the plugins happens only once and does not count.
    """

    def __init__(
        self, context: RunContext, plugins: RunPlugins, sampler: CallSampler, limit: float | None
    ) -> None:
        self.limit = limit
        self.share = 0.0
        self._shed: dict[str, str] = {}  # the latest step, by what it slowed down
        self._since: _Reading | None = None  # the start of the period that the next step is judged by
        self._is_exhausted = False  # nothing is left to slow down
        self._writer = context.writer
        self._plugins = plugins
        self._sampler = sampler
        self._started = time.perf_counter()
        self._cpu_of_ended = 0.0  # CPU seconds of threads that have ended
        self._cpu: dict[int, float] = {}
        self._cpu_before: dict[int, float] = _cpu_of_threads()  # of earlier runs, or of several
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tracelet budget", daemon=True)

    def start(self) -> None:
        """Start measuring."""
        try_start(self._thread)

    def stop(self) -> None:
        """Stop measuring, with a last update."""
        if not self._stop.is_set():
            self._stop.set()
            self.update()

    def status(self) -> dict[str, Any]:
        """Return the share taken so far, its parts in seconds, the limit, and what was shed."""
        if not self._stop.is_set():
            self.update()
        return {
            "share": self.share,
            "limit": self.limit,
            "call_s": self._call_seconds(),
            "threads_cpu_s": self._thread_seconds(),
            "us_per_point": self._sampler.seconds_per_point * 1e6,
            "shed": list(self._shed.values()),
        }

    def _watch(self) -> None:
        periods = 0
        due = self._started + RECORD_EVERY[0]
        while not self._stop.wait(PERIOD):
            self._sampler.arm()
            periods += 1
            if periods % LOOK_EVERY == 0:
                self.update()
                if self.limit is not None:
                    self._keep(self.limit)
                if (now := time.perf_counter()) >= due and self._plugins.ready.is_set():
                    self._plugins.record_costs(self.status())  # for whoever watches, and if the run is killed
                    due = now + min(max(RECORD_EVERY[0], (now - self._started) / 20), RECORD_EVERY[1])

    def update(self) -> None:
        """Compute the share taken so far."""
        self._read_threads()
        taken = self._call_seconds() + self._thread_seconds()
        self.share = taken / max(time.perf_counter() - self._started, 1e-9)

    def _call_seconds(self) -> float:
        return self._sampler.seconds_per_point * self._writer.recorded

    def _read_threads(self) -> None:
        """Read the CPU time that tracelet's threads have taken since this run started."""
        now = _cpu_of_threads()
        self._cpu_before = {ident: cpu for ident, cpu in self._cpu_before.items() if ident in now}
        alive = {ident: max(0.0, cpu - self._cpu_before.get(ident, 0.0)) for ident, cpu in now.items()}
        self._cpu_of_ended += sum(cpu for ident, cpu in self._cpu.items() if ident not in alive)
        self._cpu = alive

    def _thread_seconds(self) -> float:
        return self._cpu_of_ended + sum(self._cpu.values())

    def _keep(self, limit: float) -> None:
        now = _Reading(time.perf_counter(), self._writer.recorded, self._thread_seconds())
        since = self._since
        if since is None:
            self._since = now if self._plugins.ready.is_set() else None
            return
        calls = self._sampler.seconds_per_point * (now.recorded - since.recorded)
        taken, passed = calls + now.threads - since.threads, now.at - since.at
        if taken > limit * max(passed, HORIZON):
            self._since = now
            self._slow_down(taken / passed, limit)

    def _slow_down(self, share: float, limit: float) -> None:
        done = "nothing is left to slow down"
        parts = {"collectors": self._plugins.collecting, "delivery": self._plugins.delivery}
        for part, slower in parts.items():
            step = slower.slow_down() if slower is not None else None
            if step is not None:
                self._shed[part] = done = step
                break
        else:
            if self._is_exhausted:
                return
            self._is_exhausted = True
        log.warning(
            "tracelet takes %.2f%% of the program's time, above the budget of %.2f%%: %s",
            100 * share,
            100 * limit,
            done,
        )


class _Reading(NamedTuple):
    at: float
    recorded: int
    threads: float  # CPU seconds


def _cpu_of_threads() -> dict[int, float]:
    """Return the CPU seconds of tracelet's threads, if the kernel reports them (Linux's schedstat, in ns)."""
    found = {}
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_PREFIX) and thread.native_id is not None:
            with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended, or not on Linux
                found[thread.native_id] = _cpu_seconds(thread.native_id)
    return found


def _cpu_seconds(native_id: int) -> float:
    file = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY)  # a third of the cost of open()
    try:
        return int(os.read(file, 128).split()[0]) / 1e9
    finally:
        os.close(file)
