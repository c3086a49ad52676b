"""What the whole machine uses: CPU, memory, disks and network."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.collectors.system.rates import Rates

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


class Machine:
    """Measures the machine, and remembers its counters from one sample to the next."""

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil
        self._rates = Rates()

    def cpu(self, *, per_core: bool) -> dict[str, Any]:
        """Return the shares of CPU time since the last sample."""
        cores = [core._asdict() for core in self._psutil.cpu_times(percpu=True)]
        shares = [self._cpu_shares(number, times) for number, times in enumerate(cores)]
        total = {state: sum(times[state] for times in cores) for state in cores[0]}
        found: dict[str, Any] = self._cpu_shares("total", total)
        each = {str(n): {"percent": share["percent"]} for n, share in enumerate(shares) if share}
        return found | ({"core": each} if each and per_core else {})

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

    def memory(self) -> dict[str, Any]:
        """Return the use of the main memory."""
        memory = self._psutil.virtual_memory()
        return {
            "percent": memory.percent,
            "used_bytes": memory.used,
            "available_bytes": memory.available,
        }

    def swap(self) -> dict[str, Any]:
        """Return the use of the swap space; nothing without one."""
        swap = self._psutil.swap_memory()
        if not swap.total:
            return {}
        moved = {"in_bytes_per_s": swap.sin, "out_bytes_per_s": swap.sout}
        return {"percent": swap.percent, "used_bytes": swap.used} | self._rates.per_second("swap", moved)

    def disk_space(self, paths: Mapping[str, str]) -> dict[str, Any]:
        """Return the space on the file systems of some paths."""
        found: dict[str, Any] = {}
        for label, path in paths.items():
            usage = self._psutil.disk_usage(path)
            values = {"percent": usage.percent, "used_bytes": usage.used, "free_bytes": usage.free}
            found |= {label: values} if label else values
        return found

    def disk_traffic(self, *, per_disk: bool) -> dict[str, Any]:
        """Return the rates of all disks together."""
        counters = self._psutil.disk_io_counters(perdisk=True, nowrap=False)
        total, each = self._traffic("/sys/block", counters, DISK_RATES)
        return total | ({"device": each} if each and per_disk else {})

    def network(self, *, per_interface: bool) -> dict[str, Any]:
        """Return the rates of all network interfaces together."""
        counters = self._psutil.net_io_counters(pernic=True, nowrap=False)
        total, each = self._traffic("/sys/class/net", counters, NETWORK_RATES)
        return total | ({"interface": each} if each and per_interface else {})

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


def load() -> dict[str, Any]:
    """Return the load averages."""
    return dict(zip(("1m", "5m", "15m"), os.getloadavg(), strict=True))


def hardware(names: Iterable[str], folder: str) -> list[str]:
    """Return the disks or interfaces that are hardware, so that nothing is counted twice.

    If Linux names none (in a container, for example), or elsewhere, all but those known to be virtual.
    """
    names = list(names)
    real = [name for name in names if os.path.exists(f"{folder}/{name}/device")]
    return real or [name for name in names if not NOT_HARDWARE.match(name)]


def container_memory(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> dict[str, Any]:
    """Return the memory of this process's control group (cgroup v2) against its limit; empty without one.

    Page cache that the kernel can drop is left out: it does not count when the kernel decides to kill.
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
