"""The share of a device that the run's own processes use."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from tracelet_builtin_plugins.collectors.gpu.device import Device
from tracelet_builtin_plugins.collectors.gpu.readings import Call, Values

# With their versions: the plain names fail differently if the driver lacks the newest version.
RUNNING: Final = {
    name: [Call(f"{name}_v3"), Call(f"{name}_v2")]
    for name in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
}
UTILIZATION: Final = Call("nvmlDeviceGetProcessUtilization")
INITIAL_PID_NAMESPACE: Final = "pid:[4026531836]"  # PROC_PID_INIT_INO of Linux


class ProcessShare:
    """Measures one device's use by the processes that ``is_own`` accepts.

    In a container NVML may report the process ids of the host. If that is possible and no id is known, nothing is
    reported rather than 0.
    """

    def __init__(self, device: Device, is_own: Callable[[int], bool], *, pids_may_be_foreign: bool) -> None:
        self._device = device
        self._is_own = is_own
        self._pids_may_be_foreign = pids_may_be_foreign
        self._seen_until = 0  # NVML's time stamp of the newest sample, in microseconds

    def read(self, total_memory: float | None) -> Values:
        """Return bytes and percent of memory, and percent of the time with a kernel running."""
        used = self._memory_by_process()
        if used is None:
            return {}
        own = {pid: memory for pid, memory in used.items() if self._is_own(pid)}
        if not own and self._pids_may_be_foreign:
            return {}
        return self._memory(list(own.values()), total_memory) | self._utilization()

    def _memory_by_process(self) -> dict[int, int | None] | None:
        answers = [self._device.ask(name, calls) for name, calls in RUNNING.items()]
        if all(answer is None for answer in answers):
            return None
        # One that computes and draws is in both lists, with all its memory in each.
        return {process.pid: process.usedGpuMemory for answer in answers for process in answer or ()}

    def _memory(self, used: list[int | None], total: float | None) -> Values:
        known = [memory for memory in used if memory is not None]
        if len(known) < len(used):
            return {}  # this driver does not report memory by process
        share = {"process_memory_percent": 100 * sum(known) / total} if total else {}
        return {"process_memory_bytes": sum(known), **share}

    def _utilization(self) -> Values:
        samples = self._device.ask("process_utilization", [UTILIZATION], self._seen_until, nothing=())
        if samples is None:
            return {}
        self._seen_until = max((sample.timeStamp for sample in samples), default=self._seen_until)
        # Drivers are known to hand out samples with nonsense in them for processes that have ended.
        sane = sorted((s for s in samples if s.smUtil <= 100), key=lambda sample: int(sample.timeStamp))
        newest = {sample.pid: sample.smUtil for sample in sane}
        own = sum(percent for pid, percent in newest.items() if self._is_own(pid))
        return {"process_utilization_percent": min(100, own)}


def is_own_process(pid: int) -> bool:
    """Say whether this is the calling process or one that descends from it."""
    own = os.getpid()
    while pid > 1 and pid != own:
        pid = parent_of(pid)
    return pid == own


def parent_of(pid: int) -> int:
    """Return the parent's process id, or 0 if there is none or it is unknown."""
    try:
        import psutil
    except ImportError:
        return 0
    try:
        return int(psutil.Process(pid).ppid())
    except psutil.Error:
        return 0


def pids_may_be_foreign() -> bool:
    """Say whether this process is in a separate pid namespace, as in a container."""
    try:
        return os.readlink("/proc/self/ns/pid") != INITIAL_PID_NAMESPACE
    except OSError:
        return False  # no namespaces here
