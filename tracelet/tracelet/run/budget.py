"""What tracelet takes of the caller's time: measured always, and kept below a budget where one is given.

The share is the time that the program spends in recording calls plus the CPU time of tracelet's own threads in this
process (they hold the interpreter's lock while they compute), over the time that has passed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from tracelet.run.run import Run

log = logging.getLogger("tracelet.run")

PERIOD: Final = 0.25  # seconds between two calls that are timed
LOOK_EVERY: Final = 8  # periods between two looks at the whole
BURST: Final = 8  # calls that are timed in a row: the first finds cold caches
SAMPLES: Final = 200  # of the latest calls, whose median counts
THREAD_PREFIX: Final = "tracelet"
HORIZON: Final = (
    10.0  # seconds whose allowance may be taken at once, as a collector does that measures seldom
)


class Sampler:
    """Times a few recording calls now and then: it stands in for the call, and steps aside again.

    So the quick path carries no clock, and the median of the samples stands for all calls (a mean would count
    the times at which another thread had the interpreter).
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._left = 0
        self._samples: deque[float] = deque(maxlen=SAMPLES)  # seconds per point

    def arm(self) -> None:
        """Have the next recording calls timed."""
        self._left = BURST
        self._run._point = self._timed(self._run._recorder.point, lambda arguments: 1)
        self._run._row = self._timed(self._run._recorder.row, lambda arguments: len(arguments[0]))

    def _timed(self, call: Callable[..., None], points: Callable[[Any], int]) -> Callable[..., None]:
        def timed(*arguments: Any) -> None:
            self._left -= 1
            if self._left <= 0:
                self._disarm()
            began = time.perf_counter()
            try:
                call(*arguments)
            finally:
                self._samples.append((time.perf_counter() - began) / max(points(arguments), 1))

        return timed

    def _disarm(self) -> None:
        self._run._point, self._run._row = self._run._recorder.point, self._run._recorder.row

    @property
    def seconds_per_point(self) -> float:
        """The median over the latest samples."""
        samples = sorted(self._samples)
        return samples[len(samples) // 2] if samples else 0.0


class Budget:
    """Watches the share of the caller's time that tracelet takes, and sheds load when it is above ``limit``.

    Shed in this order, each step told once: the collectors' intervals are doubled, up to sixteen times; then
    delivery waits longer between batches. Recording itself is never cut. Each step is judged by what was taken
    since the one before it; the plugins' start, which comes only once, counts in none.
    """

    def __init__(self, run: Run, limit: float | None) -> None:
        self.limit = limit
        self.share = 0.0
        self._shed: dict[str, str] = {}  # the latest step by what it slowed down
        self._since: _Reading | None = None  # what the next step is judged from
        self._is_told = False  # that nothing is left to shed
        self._run = run
        self._sampler = Sampler(run)
        self._started = time.perf_counter()
        self._cpu_gone = 0.0  # CPU seconds of threads that have ended
        self._cpu: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tracelet budget", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End watching, with a last look."""
        if not self._stop.is_set():
            self._stop.set()
            self.look()

    def status(self) -> dict[str, Any]:
        """Return the share taken so far, its parts in seconds, the limit, and what was shed."""
        if not self._stop.is_set():
            self.look()
        return {
            "share": self.share,
            "limit": self.limit,
            "call_s": self._call_seconds(),
            "threads_cpu_s": self._threads_seconds(),
            "us_per_point": self._sampler.seconds_per_point * 1e6,
            "shed": list(self._shed.values()),
        }

    def _watch(self) -> None:
        periods = 0
        while not self._stop.wait(PERIOD):
            self._sampler.arm()
            periods += 1
            if periods % LOOK_EVERY == 0:
                self.look()
                if self.limit is not None:
                    self._keep(self.limit)

    def look(self) -> None:
        """Work out the share taken so far."""
        self._read_threads()
        taken = self._call_seconds() + self._threads_seconds()
        self.share = taken / max(time.perf_counter() - self._started, 1e-9)

    def _call_seconds(self) -> float:
        return self._sampler.seconds_per_point * self._run.writer.recorded

    def _read_threads(self) -> None:
        """Read what tracelet's threads have spent on a CPU, where the kernel tells (Linux's schedstat, in ns)."""
        alive = {}
        for thread in threading.enumerate():
            if thread.name.startswith(THREAD_PREFIX) and thread.native_id is not None:
                with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended, or no Linux
                    alive[thread.native_id] = _cpu_seconds(thread.native_id)
        self._cpu_gone += sum(cpu for ident, cpu in self._cpu.items() if ident not in alive)
        self._cpu = alive

    def _threads_seconds(self) -> float:
        return self._cpu_gone + sum(self._cpu.values())

    def _keep(self, limit: float) -> None:
        now = _Reading(time.perf_counter(), self._run.writer.recorded, self._threads_seconds())
        since = self._since
        if since is None:
            self._since = now if self._run.host.ready.is_set() else None
            return
        calls = self._sampler.seconds_per_point * (now.recorded - since.recorded)
        taken, passed = calls + now.threads - since.threads, now.at - since.at
        if taken > limit * max(passed, HORIZON):
            self._since = now
            self._slow_down(taken / passed, limit)

    def _slow_down(self, share: float, limit: float) -> None:
        host = self._run.host
        done = "nothing is left to be slowed down"
        for part, slower in (("collectors", host.collecting), ("delivery", host.delivery)):
            step = slower.slow_down() if slower is not None else None
            if step is not None:
                self._shed[part] = done = step
                break
        else:
            if self._is_told:
                return
            self._is_told = True
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


def _cpu_seconds(native_id: int) -> float:
    file = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY)  # a third of what open() takes
    try:
        return int(os.read(file, 128).split()[0]) / 1e9
    finally:
        os.close(file)
