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
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tracelet.run.run import Run

log = logging.getLogger("tracelet.run")

PERIOD: Final = 0.25  # seconds between two calls that are timed
LOOK_EVERY: Final = 8  # periods between two looks at the whole
BURST: Final = 8  # calls that are timed in a row: the first finds cold caches
SAMPLES: Final = 200  # of the latest calls, whose median counts
THREAD_PREFIX: Final = "tracelet"


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
    delivery waits longer between batches. Recording itself is never cut.
    """

    def __init__(self, run: Run, limit: float | None) -> None:
        self.limit = limit
        self.share = 0.0
        self.shed: list[str] = []
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
            "threads_cpu_s": self._cpu_gone + sum(self._cpu.values()),
            "us_per_point": self._sampler.seconds_per_point * 1e6,
            "shed": list(self.shed),
        }

    def _watch(self) -> None:
        periods = 0
        while not self._stop.wait(PERIOD):
            self._sampler.arm()
            periods += 1
            if periods % LOOK_EVERY == 0:
                self.look()
                if self.limit is not None and self.share > self.limit:
                    self._shed()

    def look(self) -> None:
        """Work out the share taken so far."""
        self._read_threads()
        taken = self._call_seconds() + self._cpu_gone + sum(self._cpu.values())
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

    def _shed(self) -> None:
        host = self._run.host
        done = host.collecting.slow_down() if host.collecting is not None else None
        if done is None and host.delivery is not None:
            done = host.delivery.slow_down()
        if done is not None and done not in self.shed:
            self.shed.append(done)
            log.warning(
                "tracelet takes %.2f%% of the program's time, above the budget of %.2f%%: %s",
                100 * self.share,
                100 * (self.limit or 0),
                done,
            )


def _cpu_seconds(native_id: int) -> float:
    file = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY)  # a third of what open() takes
    try:
        return int(os.read(file, 128).split()[0]) / 1e9
    finally:
        os.close(file)
