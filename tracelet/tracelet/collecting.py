"""The collectors' clock: each is asked at the start, at its interval and once at the end, on its own thread."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import PluginError
from tracelet.journal import flatten
from tracelet.secrets import mask

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager
    from tracelet.journal import Recorder

log = logging.getLogger("tracelet.collecting")

DEFAULT_INTERVAL: Final = 60.0  # seconds, as CollectorPlugin has it
MOST_STRETCH: Final = 16  # times the interval, when load is shed


class _Collector:
    """One collector: its interval, what it last said, and whether it is still at it."""

    def __init__(self, name: str, interval: float) -> None:
        self.name = name
        self.interval = interval
        self.stretch = 1
        self.busy_since: float | None = None
        self.task: Any = None  # the measurement under way, or the last one
        self.skipped = 0
        self.facts: dict[str, Any] = {}
        self.failure = ""  # the last one, as it was told


class Collecting:
    """Asks collectors for measurements and records what they return.

    One thread keeps the time; each collector measures on its own. One that has not returned when its next
    tick comes skips that tick, and one that passes its deadline is put into ERROR.
    """

    def __init__(self, manager: PluginManager, writer: Recorder) -> None:
        self._manager = manager
        self._writer = writer
        self._collectors: dict[str, _Collector] = {}
        self._due: list[tuple[float, str]] = []
        self._wake = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def add(self, name: str) -> None:
        """Take in a collector, to be asked at once and then at its interval."""
        with self._wake:
            self._collectors[name] = _Collector(name, self._interval(name))
            heapq.heappush(self._due, (time.monotonic(), name))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tracelet collecting", daemon=True)
                self._thread.start()
            self._wake.notify()

    def remove(self, name: str) -> None:
        """Let go of a collector."""
        with self._wake:
            self._collectors.pop(name, None)

    def _interval(self, name: str) -> float:
        configured = self._manager.options(name).interval
        instance = self._manager.get_plugin_instance(name)
        return float(configured or getattr(instance, "_collection_interval", None) or DEFAULT_INTERVAL)

    def stop(self, timeout: float) -> None:
        """Ask every collector a last time, within ``timeout`` seconds in all, and end."""
        end = time.monotonic() + timeout
        with self._wake:
            self._stopped = True
            self._wake.notify()
        for collector in list(self._collectors.values()):
            self._measure(collector)
        for collector in list(self._collectors.values()):
            task = collector.task
            if task is not None and not task.done.wait(max(0.0, end - time.monotonic())):
                log.warning("collector %r: its last measurement was not waited for", collector.name)

    def slow_down(self) -> str | None:
        """Double every collector's interval, up to sixteen times what it was. Returns what was done, if anything."""
        with self._wake:
            slower = [each for each in self._collectors.values() if each.stretch < MOST_STRETCH]
            for each in slower:
                each.stretch *= 2
        if not slower:
            return None
        return f"collectors measure {max(each.stretch for each in slower)} times less often"

    def status(self) -> dict[str, Any]:
        """Return each collector's interval in seconds and the ticks that it has skipped."""
        return {
            name: {"interval": each.interval * each.stretch, "skipped": each.skipped}
            for name, each in self._collectors.items()
        }

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._due or self._due[0][0] > time.monotonic()):
                    self._wake.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopped:
                    return
                when, name = heapq.heappop(self._due)
                collector = self._collectors.get(name)
                if collector is not None:
                    self._schedule(collector, when)
            if collector is not None:
                self._measure(collector)

    def _schedule(self, collector: _Collector, when: float) -> None:
        """Set the next tick on the collector's own grid; ticks that have passed by then are skipped."""
        late = time.monotonic() - when
        interval = collector.interval * collector.stretch
        missed = int(late // interval)
        collector.skipped += missed
        heapq.heappush(self._due, (when + interval * (missed + 1), collector.name))

    def _measure(self, collector: _Collector) -> None:
        """Have a collector measure on its own thread, unless it is still at the last one."""
        handle = self._manager.handle(collector.name)
        if not handle.worker.usable:
            return
        if collector.busy_since is not None:
            collector.skipped += 1
            self._give_up_late(collector)
            return
        collector.busy_since = time.monotonic()
        collector.task = handle.worker.post(
            lambda: self._collect(collector), step="collect", deadline=handle.deadline("collect")
        )

    def _give_up_late(self, collector: _Collector) -> None:
        handle = self._manager.handle(collector.name)
        late = collector.busy_since is not None and time.monotonic() - collector.busy_since
        if late and late > handle.deadline("collect"):
            self._manager.fail(collector.name, "collect", handle.worker.abandon(collector.task))

    def _collect(self, collector: _Collector) -> None:
        handle = self._manager.handle(collector.name)
        caller = handle.caller("collect")
        try:
            self._record(collector, handle.cost("collect").measure(caller))
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            if failure != collector.failure:  # one that fails for days is told once
                collector.failure = failure
                log.warning("plugin %r: collect failed: %s", collector.name, failure)
            log.debug("collect of %r", collector.name, exc_info=True)
        except SystemExit:
            log.warning(
                "plugin %r: collect raised SystemExit, which ends nothing but the measurement", collector.name
            )
        finally:
            collector.busy_since = None

    def _record(self, collector: _Collector, measured: Any) -> None:
        if measured is None:
            return
        if not isinstance(measured, Mapping):
            raise PluginError(
                f"collect: expected a mapping of names to values, found {type(measured).__name__}",
                plugin=collector.name,
                step="collect",
            )
        flat = flatten(measured)
        numbers = {name: value for name, value in flat.items() if _is_number(value)}
        facts = {
            name: _fact(value) for name, value in flat.items() if value is not None and name not in numbers
        }
        if numbers:
            self._writer.row(numbers, type="system", source=collector.name)
        changed = {name: value for name, value in facts.items() if collector.facts.get(name) != value}
        if changed:
            collector.facts.update(changed)
            self._writer.event("fact", {"source": collector.name, "facts": mask(changed)})


def _is_number(value: Any) -> bool:
    """Whether a value is a measurement. A truth is not: it is kept as a fact, which is told when it changes."""
    if isinstance(value, (bool, complex)):
        return False
    return isinstance(value, Number) or hasattr(value, "__float__")


def _fact(value: Any) -> Any:
    return value if isinstance(value, (bool, str)) else str(value)
