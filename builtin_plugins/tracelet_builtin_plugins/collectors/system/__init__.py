"""The collector ``system``: measures the machine and the training program with psutil.

``docs/plugins/system.md`` lists every metric with its unit and source.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.collectors.system.machine import Machine, container_memory, load
from tracelet_builtin_plugins.collectors.system.processes import Processes
from tracelet_hookspecs import CollectorPlugin, PluginMetadata, PluginType, hookimpl

__all__ = ["SystemCollector"]

SECTIONS: Final = ("cpu", "load", "memory", "swap", "container", "disk", "network", "process")

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "sections": {"type": "array", "default": list(SECTIONS), "description": "what to measure"},
    "per_core": {"type": "boolean", "default": True, "description": "also the CPU use of each core"},
    "disks": {"type": "array", "default": [], "description": "paths of further file systems to measure"},
    "per_disk": {"type": "boolean", "default": False, "description": "also the rates of each disk"},
    "per_interface": {"type": "boolean", "default": False, "description": "also the rates of each interface"},
    "top_n": {"type": "integer", "default": 0, "description": "the N processes that use the most CPU"},
}

Measurement = tuple[str, Callable[[], dict[str, Any]]]


class SystemCollector(CollectorPlugin):
    """Measures CPU, load, memory, swap, disks, network, and this process with its children."""

    _collection_interval = 10
    _samples = 0
    _absent: Mapping[str, str] = {}

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
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
        """Keep the configuration. Raises ``ValueError`` for a section that does not exist."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)
        if unknown := [name for name in self._config["sections"] if name not in SECTIONS]:
            raise ValueError(
                f"plugins.system.sections: expected some of {', '.join(SECTIONS)}, found {unknown[0]!r}"
            )
        if self._config["top_n"] < 0:
            raise ValueError(f"plugins.system.top_n: expected 0 or more, found {self._config['top_n']}")

    @hookimpl
    def start(self) -> None:
        """Reset all counters."""
        import psutil

        self._machine = Machine(psutil)
        self._processes = Processes(psutil)
        self._paths = {"": os.getcwd()} | {path.strip("/") or "root": path for path in self._config["disks"]}
        self._samples, self._absent = 0, {}

    @hookimpl
    def stop(self) -> None:
        """Nothing to release."""

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return how many samples were taken, and why a section was absent from the last one."""
        return {"samples": self._samples, "absent": dict(self._absent)}

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Measure every section. A section that this machine does not support is absent.

        Raises ``RuntimeError`` if no section could be measured.
        """
        found: dict[str, Any] = {}
        absent: dict[str, str] = {}
        for section, measure in self._measurements():
            try:
                values = measure()
            except Exception as error:  # psutil raises all kinds of exceptions on unusual kernels
                absent[section] = f"{type(error).__name__}: {error}"
                continue
            if values:
                found[section] = found.get(section, {}) | values
        self._samples, self._absent = self._samples + 1, absent
        if absent and not found:
            raise RuntimeError(f"nothing could be measured: {absent}")
        return {"system": found}

    def _measurements(self) -> Iterator[Measurement]:
        machine, config = self._machine, self._config
        table: tuple[Measurement, ...] = (
            ("cpu", lambda: machine.cpu(per_core=config["per_core"])),
            ("load", load),
            ("memory", machine.memory),
            ("swap", machine.swap),
            ("container", container_memory),
            ("disk", lambda: machine.disk_space(self._paths)),
            ("disk", lambda: machine.disk_traffic(per_disk=config["per_disk"])),
            ("network", lambda: machine.network(per_interface=config["per_interface"])),
            ("process", self._processes.family),
        )
        yield from (row for row in table if row[0] in config["sections"])
        if top_n := config["top_n"]:
            yield "top", lambda: self._processes.top(top_n)
