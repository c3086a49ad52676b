"""The collector ``system``: what the machine and the training program use of it, measured with psutil.

Every metric with its unit and source stands in ``docs/plugins/system.md``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.collectors.system.processes import Processes
from tracelet_builtin_plugins.collectors.system.rates import Rates
from tracelet_hookspecs import CollectorPlugin, PluginMetadata, PluginType, hookimpl

__all__ = ["SystemCollector"]

SECTIONS: Final = ("cpu", "load", "memory", "swap", "container", "disk", "network", "process")

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "sections": {"type": "array", "default": list(SECTIONS), "description": "what to measure"},
    "per_core": {"type": "boolean", "default": True, "description": "CPU use of each core as well"},
    "disks": {"type": "array", "default": [], "description": "more paths whose file system to watch"},
    "per_disk": {"type": "boolean", "default": False, "description": "rates of each disk as well"},
    "per_interface": {"type": "boolean", "default": False, "description": "rates of each interface as well"},
    "top_n": {"type": "integer", "default": 0, "description": "the N processes that use most CPU"},
}

# Result -> the psutil fields that it sums.
DISK_RATES: Final = {
    "read_bytes_per_s": ("read_bytes",),
    "write_bytes_per_s": ("write_bytes",),
    "reads_per_s": ("read_count",),
    "writes_per_s": ("write_count",),
}
NETWORK_RATES: Final = {
    "received_bytes_per_s": ("bytes_recv",),
    "sent_bytes_per_s": ("bytes_sent",),
    "received_packets_per_s": ("packets_recv",),
    "sent_packets_per_s": ("packets_sent",),
    "errors_per_s": ("errin", "errout"),
    "drops_per_s": ("dropin", "dropout"),
}
CPU_SHARES: Final = ("user_percent", "system_percent", "iowait_percent", "steal_percent")
CPU_GUEST: Final = frozenset({"guest", "guest_nice"})  # Linux counts these in user time already
NOT_HARDWARE: Final = re.compile(r"lo\d*$|Loopback|loop\d|z?ram\d|dm-|md\d")

Measurement = tuple[str, Callable[[], dict[str, Any]]]


class SystemCollector(CollectorPlugin):
    """Measures CPU, load, memory, swap, disks, network, and this process with its children."""

    _collection_interval = 10
    _samples = 0
    _absent: Mapping[str, str] = {}

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return what the plugin says of itself."""
        return PluginMetadata(
            name="system",
            version=VERSION,
            type=PluginType.COLLECTOR,
            description="CPU, memory, disks, network and processes, through psutil",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"system_metrics"},
        )

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Take the configuration; ``ValueError`` for a section that does not exist."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)
        if unknown := [name for name in self._config["sections"] if name not in SECTIONS]:
            raise ValueError(
                f"plugins.system.sections: expected some of {', '.join(SECTIONS)}, found {unknown[0]!r}"
            )
        if self._config["top_n"] < 0:
            raise ValueError(f"plugins.system.top_n: expected 0 or more, found {self._config['top_n']}")

    @hookimpl
    def start(self) -> None:
        """Begin with no sample taken."""
        import psutil

        self._psutil = psutil
        self._rates = Rates()
        self._processes = Processes(psutil)
        self._paths = {"": os.getcwd()} | {path.strip("/") or "root": path for path in self._config["disks"]}
        self._samples, self._absent = 0, {}

    @hookimpl
    def stop(self) -> None:
        """Hold nothing that would need letting go."""

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return how many samples were taken, and why a section was absent from the last one."""
        return {"samples": self._samples, "absent": dict(self._absent)}

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Measure every section; one that this machine cannot answer is absent.

        Raises ``RuntimeError`` only where no section could answer.
        """
        found: dict[str, Any] = {}
        absent: dict[str, str] = {}
        for section, measure in self._measurements():
            try:
                values = measure()
            except Exception as error:  # psutil answers odd kernels with exceptions of every kind
                absent[section] = f"{type(error).__name__}: {error}"
                continue
            if values:
                found[section] = found.get(section, {}) | values
        self._samples, self._absent = self._samples + 1, absent
        if absent and not found:
            raise RuntimeError(f"nothing could be measured: {absent}")
        return {"system": found}

    def _measurements(self) -> Iterator[Measurement]:
        table: tuple[Measurement, ...] = (
            ("cpu", self._cpu),
            ("load", self._load),
            ("memory", self._memory),
            ("swap", self._swap),
            ("container", container_memory),
            ("disk", self._disk_space),
            ("disk", self._disk_traffic),
            ("network", self._network),
            ("process", self._processes.family),
        )
        yield from (row for row in table if row[0] in self._config["sections"])
        if top_n := self._config["top_n"]:
            yield "top", lambda: self._processes.top(top_n)

    def _cpu(self) -> dict[str, Any]:
        cores = [core._asdict() for core in self._psutil.cpu_times(percpu=True)]
        shares = [self._cpu_shares(number, times) for number, times in enumerate(cores)]
        total = {state: sum(times[state] for times in cores) for state in cores[0]}
        found: dict[str, Any] = self._cpu_shares("total", total)
        each = {str(n): {"percent": share["percent"]} for n, share in enumerate(shares) if share}
        return found | ({"core": each} if each and self._config["per_core"] else {})

    def _cpu_shares(self, key: Hashable, times: Mapping[str, float]) -> dict[str, float]:
        states = {state: value for state, value in times.items() if state not in CPU_GUEST}
        rates = self._rates.per_second(("cpu", key), states)
        total = sum(rates.values())
        if not total:
            return {}
        shares = {f"{state}_percent": 100 * rate / total for state, rate in rates.items()}
        idle = shares.get("idle_percent", 0) + shares.get("iowait_percent", 0)
        detail = {name: shares[name] for name in CPU_SHARES if name in shares}
        return {"percent": max(0.0, 100 - idle)} | detail

    def _load(self) -> dict[str, Any]:
        return dict(zip(("1m", "5m", "15m"), os.getloadavg(), strict=True))

    def _memory(self) -> dict[str, Any]:
        memory = self._psutil.virtual_memory()
        return {
            "percent": memory.percent,
            "used_bytes": memory.used,
            "available_bytes": memory.available,
        }

    def _swap(self) -> dict[str, Any]:
        swap = self._psutil.swap_memory()
        if not swap.total:
            return {}
        moved = {"in_bytes_per_s": swap.sin, "out_bytes_per_s": swap.sout}
        return {"percent": swap.percent, "used_bytes": swap.used} | self._rates.per_second("swap", moved)

    def _disk_space(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for label, path in self._paths.items():
            usage = self._psutil.disk_usage(path)
            values = {"percent": usage.percent, "used_bytes": usage.used, "free_bytes": usage.free}
            found |= {label: values} if label else values
        return found

    def _disk_traffic(self) -> dict[str, Any]:
        counters = self._psutil.disk_io_counters(perdisk=True, nowrap=False)
        total, each = self._traffic("/sys/block", counters, DISK_RATES)
        return total | ({"device": each} if each and self._config["per_disk"] else {})

    def _network(self) -> dict[str, Any]:
        counters = self._psutil.net_io_counters(pernic=True, nowrap=False)
        total, each = self._traffic("/sys/class/net", counters, NETWORK_RATES)
        return total | ({"interface": each} if each and self._config["per_interface"] else {})

    def _traffic(
        self, folder: str, counters: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]]
    ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        # The total adds rates, not counters: a device that comes or goes must not look like traffic.
        total: dict[str, float] = {}
        each = {}
        for name in hardware(counters, folder):
            sums = {rate: sum(getattr(counters[name], f) for f in fields) for rate, fields in wanted.items()}
            each[name] = self._rates.per_second((folder, name), sums)
            for rate, value in each[name].items():
                total[rate] = total.get(rate, 0) + value
        return total, {name: rates for name, rates in each.items() if rates}


def hardware(names: Iterable[str], folder: str) -> list[str]:
    """Return the disks or interfaces that are hardware, so that nothing is counted twice.

    Where Linux names none (in a container, say), or elsewhere, all but those known to be virtual.
    """
    names = list(names)
    real = [name for name in names if os.path.exists(f"{folder}/{name}/device")]
    return real or [name for name in names if not NOT_HARDWARE.match(name)]


def container_memory(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> dict[str, Any]:
    """Return the memory of this process's control group (cgroup v2) against its limit; empty without one.

    Used is what counts when the kernel decides to kill: page cache that it can drop is left out.
    """
    own = re.search(r"^0::/(.*)$", (proc / "self/cgroup").read_text(), re.MULTILINE)
    group = root / own[1] if own else root
    for folder in (group, *group.parents):
        limit = folder / "memory.max"
        if limit.is_file() and limit.read_text().strip().isdigit():
            most = int(limit.read_text())
            cache = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
            used = max(0, int((folder / "memory.current").read_text()) - int(cache[1] if cache else 0))
            percent = 100 * used / most if most else 100.0
            return {"memory_used_bytes": used, "memory_limit_bytes": most, "memory_percent": percent}
    return {}
