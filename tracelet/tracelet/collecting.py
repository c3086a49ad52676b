"""The collectors' clock: each collector measures at the start, at its interval and once at the end."""

from __future__ import annotations

import heapq
import math
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import PluginError
from tracelet.host.answers import DEFAULT_INTERVAL, Measurements, interval_of, measurements_of
from tracelet.host.discovery import describe
from tracelet.journal import flatten
from tracelet.logs import get_logger
from tracelet.secrets import mask

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle, PluginManager
    from tracelet.host.worker import Task
    from tracelet.journal import Recorder

log = get_logger("tracelet.collecting")

MAX_STRETCH: Final = 16  # times the interval, when the overhead has to shrink
_LONGEST_WAIT: Final = 3600.0  # seconds that the clock sleeps at a time


class _Collector:
    """One collector: its interval, its last answers, and the measurement in progress."""

    def __init__(self, handle: PluginHandle, interval: float) -> None:
        self.name = handle.name
        self.handle = handle
        self.interval = interval
        self.stretch = 1
        self.busy_since: float | None = None
        self.task: Task | None = None  # the measurement in progress, or the last one
        self.skipped = 0
        self.facts: dict[str, Any] = {}
        self.failure = ""  # the last one, as it was reported


class Collecting:
    """Calls collectors for measurements and records what they return.

    One thread keeps the time; each collector measures on its own thread. A collector that is still measuring at its
    next tick skips that tick, and one that exceeds its deadline goes to ERROR.
    """

    def __init__(self, manager: PluginManager, writer: Recorder) -> None:
        self._manager = manager
        self._writer = writer
        self._collectors: dict[str, _Collector] = {}
        self._ticks: list[tuple[float, str]] = []
        self._wake = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def add(self, name: str) -> None:
        """Add a collector: it measures at once and then at its interval."""
        collector = _Collector(self._manager.handle(name), self._interval(name))
        with self._wake:
            self._collectors[name] = collector
            heapq.heappush(self._ticks, (time.monotonic(), name))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="tracelet collecting", daemon=True)
                thread.start()
                self._thread = thread
            self._wake.notify()

    def remove(self, name: str) -> None:
        """Remove a collector."""
        with self._wake:
            self._collectors.pop(name, None)

    def _interval(self, name: str) -> float:
        """Return a collector's interval in seconds: configured, its own, or the default if its own is invalid."""
        configured = self._manager.options(name).interval
        if configured:
            return interval_of(configured)
        try:
            interval: float = self._manager.handle(name).read("_collection_interval", interval_of)
        except PluginError as error:
            log.warning("%s; it measures every %g seconds", error, DEFAULT_INTERVAL)
            return DEFAULT_INTERVAL
        return interval

    def stop(self, timeout: float) -> None:
        """Let every collector measure a last time, within ``timeout`` seconds in all, and end."""
        end = time.monotonic() + timeout
        with self._wake:
            self._stopped = True
            self._wake.notify()
            collectors = list(self._collectors.values())
        for collector in collectors:
            self._measure(collector)
        for collector in collectors:
            task = collector.task
            if task is not None and not task.done.wait(max(0.0, end - time.monotonic())):
                log.warning("collector %r: the last measurement did not end in time", collector.name)

    def slow_down(self) -> str | None:
        """Double every collector's interval, up to sixteen times the original. Returns what was done, if anything."""
        with self._wake:
            slower = [each for each in self._collectors.values() if each.stretch < MAX_STRETCH]
            for each in slower:
                each.stretch *= 2
        if not slower:
            return None
        return f"collectors measure {max(each.stretch for each in slower)} times less often"

    def status(self) -> dict[str, Any]:
        """Return each collector's interval in seconds (``None``: only at start and end) and its skipped ticks."""
        with self._wake:
            collectors = list(self._collectors.values())
        return {
            each.name: {
                "interval": each.interval * each.stretch if math.isfinite(each.interval) else None,
                "skipped": each.skipped,
            }
            for each in collectors
        }

    # -- the clock -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (collector := self._next()) is not None:
            try:
                self._measure(collector)
            except Exception as error:  # the clock goes on for the other collectors
                log.warning("collector %r: not called: %s", collector.name, describe(error))

    def _next(self) -> _Collector | None:
        """Wait for the next tick and return its collector; ``None`` at the end."""
        with self._wake:
            while not self._stopped:
                left = self._ticks[0][0] - time.monotonic() if self._ticks else _LONGEST_WAIT
                if left > 0:
                    self._wake.wait(min(left, _LONGEST_WAIT))
                    continue
                when, name = heapq.heappop(self._ticks)
                collector = self._collectors.get(name)
                if collector is not None:
                    self._schedule(collector, when)
                    return collector
            return None

    def _schedule(self, collector: _Collector, when: float) -> None:
        """Set the next tick on the collector's own grid; ticks that have passed already are skipped."""
        interval = collector.interval * collector.stretch
        if not math.isfinite(interval):
            return
        missed = int(max(0.0, time.monotonic() - when) // interval)
        collector.skipped += missed
        heapq.heappush(self._ticks, (when + interval * (missed + 1), collector.name))

    def _measure(self, collector: _Collector) -> None:
        """Let a collector measure on its own thread, unless its last measurement is still in progress."""
        handle = collector.handle
        if not handle.worker.usable:
            return
        busy_since = collector.busy_since
        if busy_since is not None:
            collector.skipped += 1
            if time.monotonic() - busy_since > handle.deadline("collect") and collector.task is not None:
                self._manager.fail(collector.name, "collect", handle.worker.abandon(collector.task))
            return
        collector.busy_since = time.monotonic()
        try:
            collector.task = handle.worker.post(
                partial(self._collect, collector), step="collect", deadline=handle.deadline("collect")
            )
        except (PluginError, RuntimeError) as error:  # it hangs by now, or no thread can be started
            collector.busy_since = None
            log.debug("collector %r: not called: %s", collector.name, error)

    # -- on the collector's own thread -----------------------------------------------------------------

    def _collect(self, collector: _Collector) -> None:
        call = collector.handle.caller("collect")
        try:
            measured: Measurements = collector.handle.cost("collect").measure(
                lambda: measurements_of(call(), flatten)
            )
            self._record(collector, measured)
        except BaseException as error:  # whatever it is, only this measurement is lost
            failure = describe(error)
            if failure != collector.failure:  # one that fails for days is reported once
                collector.failure = failure
                log.warning("plugin %r: collect failed: %s", collector.name, failure)
            log.debug("collect of %r", collector.name, exc_info=True)
        finally:
            collector.busy_since = None

    def _record(self, collector: _Collector, measured: Measurements) -> None:
        if measured.numbers:
            self._writer.row(measured.numbers, type="system", source=collector.name)
        changed = {
            name: value for name, value in measured.facts.items() if collector.facts.get(name) != value
        }
        if changed:
            collector.facts.update(changed)
            self._writer.event("fact", {"source": collector.name, "facts": mask(changed)})
