"""What processes use: this one, its children, and the busiest of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from tracelet_builtin_plugins.collectors.system.rates import Rates

Readings = Mapping[str, Callable[[Any], float]]

READINGS: Final[Readings] = {
    "rss_bytes": lambda process: process.memory_info().rss,
    "threads": lambda process: process.num_threads(),
    "fds": lambda process: process.num_fds(),
}
TOP_READINGS: Final[Readings] = {
    "rss_bytes": READINGS["rss_bytes"]
}  # the others are too expensive for every process


class Processes:
    """Measures processes, and remembers their CPU time from one sample to the next."""

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil
        self._family_rates, self._top_rates = Rates(), Rates()
        self._kernel_lists_children = os.path.exists("/proc/thread-self/children")
        self._names: dict[int, str] = {}

    def family(self) -> dict[str, Any]:
        """Return what this process uses, and under ``children`` the sums over its descendants."""
        pid = os.getpid()
        usages = self._usages([pid, *self._descendants(pid)], READINGS, self._family_rates)
        own = usages.pop(pid, {})
        measured = {name for usage in usages.values() for name in usage} if usages else own.keys()
        sums = {name: sum(usage.get(name, 0) for usage in usages.values()) for name in sorted(measured)}
        return own | {"children": {"count": len(usages)} | sums}

    def top(self, count: int) -> dict[str, Any]:
        """Return the busiest processes by rank; a name only if it has changed."""
        usages = self._usages(self._psutil.pids(), TOP_READINGS, self._top_rates)
        busy = [(usage["cpu_percent"], pid) for pid, usage in usages.items() if "cpu_percent" in usage]
        ranked = enumerate(sorted(busy, reverse=True)[:count], start=1)
        return {str(rank): {"pid": pid} | self._name(rank, pid) | usages[pid] for rank, (_, pid) in ranked}

    def _usages(self, pids: list[int], readings: Readings, rates: Rates) -> dict[int, dict[str, float]]:
        seen: list[Hashable] = []
        found = {pid: usage for pid in pids if (usage := self._usage(pid, readings, rates, seen)) is not None}
        rates.keep(seen)
        return found

    def _usage(
        self, pid: int, readings: Readings, rates: Rates, seen: list[Hashable]
    ) -> dict[str, float] | None:
        """Return what one process uses, or ``None`` if it is gone or hidden from this user."""
        psutil = self._psutil
        usage: dict[str, float] = {}
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                seen.append(key := (pid, process.create_time()))  # a pid alone may come back as another's
                for name, read in readings.items():
                    try:
                        usage[name] = read(process)
                    except (psutil.AccessDenied, NotImplementedError, AttributeError):
                        continue
        except psutil.Error:
            return None
        for rate in rates.per_second(key, {"cpu": times.user + times.system}).values():
            usage["cpu_percent"] = 100 * rate
        return usage

    def _name(self, rank: int, pid: int) -> dict[str, str]:
        try:
            name = self._psutil.Process(pid).name()
        except self._psutil.Error:
            return {}
        before, self._names[rank] = self._names.get(rank), name
        return {} if name == before else {"name": name}

    def _descendants(self, pid: int) -> list[int]:
        if not self._kernel_lists_children:
            return [child.pid for child in self._psutil.Process(pid).children(recursive=True)]
        found = children_of(pid)
        for child in found:  # grows during the loop
            found += children_of(child)
        return found


def children_of(pid: int) -> list[int]:
    """Return a process's children from Linux's own lists: psutil would read every process there is."""
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as listing:
                children += map(int, listing.read().split())
    except (FileNotFoundError, ProcessLookupError):
        return children  # it, or that thread of it, has ended
    return children
