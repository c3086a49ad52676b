"""The collector ``gpu``: measures NVIDIA devices through ``pynvml``, the module of nvidia-ml-py.

``docs/plugins/gpu.md`` lists every metric with its unit and source.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Final

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.collectors.gpu.device import (
    NO_LIBRARY,
    Device,
    DeviceLost,
    NotInitialized,
    driver_facts,
    probe,
)
from tracelet_builtin_plugins.collectors.gpu.process_share import (
    ProcessShare,
    is_own_process,
    pids_may_be_foreign,
)
from tracelet_builtin_plugins.collectors.gpu.readings import MEMORY, READINGS, Values
from tracelet_hookspecs import CollectorPlugin, PluginMetadata, PluginType, hookimpl

__all__ = ["GpuCollector"]

SCHEMA: Final[dict[str, dict[str, Any]]] = {
    "devices": {"type": "array", "default": [], "description": "indexes or UUIDs; empty: all"},
    "pcie_throughput": {
        "type": "boolean",
        "default": True,
        "description": "PCIe traffic; reading it takes NVML 40 ms",
    },
    "processes": {"type": "boolean", "default": True, "description": "the share of the run's own processes"},
    "mig": {
        "type": "boolean",
        "default": True,
        "description": "the MIG instances of a device",
    },
}


class GpuCollector(CollectorPlugin):
    """Measures every NVIDIA device. If one is lost, the others keep reporting."""

    _collection_interval = 15
    _devices: dict[str, Device] = {}
    _lost: dict[str, str] = {}
    _owner = 0  # the process that has NVML initialized

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name="gpu",
            version=VERSION,
            type=PluginType.COLLECTOR,
            description="NVIDIA GPUs: use, memory, power, temperature, clocks and errors, through NVML",
            author=AUTHOR,
            config_schema=SCHEMA,
            capabilities={"system_metrics"},
        )

    @classmethod
    def is_available(cls) -> bool | str:
        """Return ``True`` if there is an NVIDIA device, else the reason why there is none to measure."""
        return probe()

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {key: entry["default"] for key, entry in SCHEMA.items()} | dict(config)

    @hookimpl
    def start(self) -> None:
        """Open NVML and find the devices. Raises ``RuntimeError`` if there is no driver or no device."""
        try:
            import pynvml
        except ImportError as error:
            raise RuntimeError(NO_LIBRARY) from error
        self._nvml = pynvml
        self._open()

    @hookimpl
    def stop(self) -> None:
        """Close NVML, unless a parent process has it open."""
        if self._owner == os.getpid():
            self._owner = 0
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return how many devices answer, which are lost, and which readings failed at the last sample."""
        failures = {
            index: dict(device.failures) for index, device in self._devices.items() if device.failures
        }
        return {
            "devices": len(self._devices.keys() - self._lost.keys()),
            "lost": len(self._lost),
            "lost_devices": dict(self._lost),
            "failed_readings": failures,
        }

    @hookimpl
    def collect(self) -> dict[str, Any]:
        """Measure every device. Raises ``RuntimeError`` if none answers."""
        if self._owner != os.getpid():
            self._open()  # a forked child shares no handles with its parent
        try:
            return {"gpu": self._sample()}
        except NotInitialized:
            self._open()
            return {"gpu": self._sample()}

    def _open(self) -> None:
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise RuntimeError(f"no NVIDIA driver: {error}") from error
        self._owner = os.getpid()
        self._facts_due = True
        try:
            self._find_devices()
        except BaseException:
            self.stop()
            raise

    def _find_devices(self) -> None:
        """Raises ``RuntimeError`` if there is none, or if a device that the configuration names is missing."""
        wanted = {str(device) for device in self._config["devices"]}
        self._devices, self._shares, self._unreachable = {}, {}, {}
        self._pids_may_be_foreign = pids_may_be_foreign()
        seen = set()
        for index in map(str, range(self._nvml.nvmlDeviceGetCount())):
            try:
                device = Device(self._nvml, self._nvml.nvmlDeviceGetHandleByIndex(int(index)))
                names = {index, device.facts().get("uuid", index)}
            except (self._nvml.NVMLError, DeviceLost) as error:
                self._unreachable[index] = str(error)
                continue
            seen |= names
            if not wanted or names & wanted:
                self._devices[index] = device
                self._shares[index] = self._share(device)
        if wanted - seen or not self._devices:
            missing = f" {', '.join(sorted(wanted - seen))}" if wanted - seen else ""
            lost = f"; lost: {self._unreachable}" if self._unreachable else ""
            raise RuntimeError(
                f"no NVIDIA device{missing}; there are: {', '.join(sorted(seen)) or 'none'}{lost}"
            )

    def _share(self, device: Device) -> ProcessShare:
        return ProcessShare(device, is_own_process, pids_may_be_foreign=self._pids_may_be_foreign)

    def _sample(self) -> Values:
        found: Values = {}
        lost = dict(self._unreachable)
        for index, device in self._devices.items():
            try:
                found[index] = self._read(device, self._shares[index])
            except DeviceLost as error:
                lost[index] = str(error)
        self._lost = lost
        if lost and not found:
            raise RuntimeError(f"no NVIDIA device answers any more: {lost}")
        if self._facts_due:
            found |= driver_facts(self._nvml)
            self._facts_due = False
        return found

    def _read(self, device: Device, share: ProcessShare) -> Values:
        slow = self._config["pcie_throughput"]
        values = device.read(reading for reading in READINGS if slow or not reading.slow)
        if self._config["processes"]:
            values |= share.read(values.get("memory_total_bytes"))
        if self._config["mig"] and (instances := self._read_instances(device)):
            values["mig"] = instances
        return values | (device.facts() if self._facts_due else {})

    def _read_instances(self, device: Device) -> Values:
        found: Values = {}
        for index, instance in device.mig_instances().items():
            try:
                found[index] = instance.read([MEMORY])
                if self._config["processes"]:
                    found[index] |= self._share(instance).read(found[index].get("memory_total_bytes"))
            except DeviceLost as error:
                device.failures[f"mig/{index}"] = str(error)
        return found
