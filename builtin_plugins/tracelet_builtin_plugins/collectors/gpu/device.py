"""One device: which readings it supports, and when it is lost. Whether there is a device at all."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from tracelet_builtin_plugins.collectors.gpu.readings import Call, Reading, Values

NO_LIBRARY: Final = "the Python package nvidia-ml-py is missing; install tracelet[gpu]"


class Code(enum.IntEnum):
    """NVML's return codes that matter here (nvml.h; they are part of its binary interface)."""

    SUCCESS = 0
    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    DRIVER_NOT_LOADED = 9
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    ARGUMENT_VERSION_MISMATCH = 25
    DEPRECATED = 26
    GPU_NOT_FOUND = 28


NEVER: Final = {
    Code.INVALID_ARGUMENT,
    Code.NOT_SUPPORTED,
    Code.NO_PERMISSION,
    Code.FUNCTION_NOT_FOUND,
    Code.ARGUMENT_VERSION_MISMATCH,
    Code.DEPRECATED,
}
LOST: Final = {
    Code.DRIVER_NOT_LOADED,
    Code.GPU_IS_LOST,
    Code.RESET_REQUIRED,
    Code.LIB_RM_VERSION_MISMATCH,
    Code.GPU_NOT_FOUND,
}
NO_SAMPLES: Final = {Code.SUCCESS, Code.NOT_FOUND}  # pynvml raises even "success" for an empty list
MIG_ENABLED: Final = 1


class DeviceLost(Exception):
    """The device no longer answers."""


class NotInitialized(Exception):
    """Other code in this process has shut NVML down."""


class Device:
    """A GPU, or a MIG instance of one.

    ``failures`` holds the reason for each reading that the device supports and the last sample lacks.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.failures: dict[str, str] = {}
        self._nvml = nvml
        self.handle = handle
        self._left: dict[str, list[Call]] = {}  # per reading the calls not yet found to be unsupported
        self._energy: tuple[float, float] | None = None  # the counter last time; joules since the first time

    def facts(self) -> dict[str, str]:
        """Return name and UUID."""
        questions = {"name": Call("nvmlDeviceGetName"), "uuid": Call("nvmlDeviceGetUUID")}
        answers = {name: self.ask(name, [call]) for name, call in questions.items()}
        return {name: str(answer) for name, answer in answers.items() if answer is not None}

    def read(self, readings: Iterable[Reading]) -> Values:
        """Return the readings that the device supports.

        Raises ``DeviceLost`` if it is gone or returns nothing but errors.
        """
        self.failures = {}
        values: Values = {}
        for reading in readings:
            answer = self.ask(reading.name, reading.calls)
            if answer is not None:
                values |= reading.values(answer)
        if self.failures and not values:
            raise DeviceLost("; ".join(sorted(set(self.failures.values()))))
        if "energy_joules" in values:
            values["energy_joules"] = self._energy_used(values["energy_joules"])
        return values

    def mig_instances(self) -> dict[str, Device]:
        """Return the instances that the device is split into, by their index; none without MIG."""
        mode = self.ask("mig", [Call("nvmlDeviceGetMigMode")])
        if not mode or mode[0] != MIG_ENABLED:
            return {}
        count = self.ask("mig_count", [Call("nvmlDeviceGetMaxMigDeviceCount")]) or 0
        found = {}
        for index in range(count):
            try:
                handle = self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(self.handle, index)
            except self._nvml.NVMLError:
                continue  # an index without an instance
            found[str(index)] = Device(self._nvml, handle)
        return found

    def ask(self, name: str, calls: Iterable[Call], *arguments: Any, nothing: Any = None) -> Any:
        """Return the result of the first call that the device supports, or ``None``.

        ``nothing`` is the result if NVML reports that it has no samples. Raises ``DeviceLost`` and
        ``NotInitialized``.
        """
        left = self._left.setdefault(name, list(calls))
        while left:
            function = getattr(self._nvml, left[0].function, None)
            constants = [getattr(self._nvml, constant, None) for constant in left[0].constants]
            if function is None or None in constants:
                del left[0]  # this pynvml does not have it
                continue
            try:
                return function(self.handle, *constants, *arguments)
            except self._nvml.NVMLError as error:
                if error.value in NO_SAMPLES:
                    return nothing
                if error.value in NEVER:
                    del left[0]
                    continue
                self._note(name, error)
                return None
        return None

    def _note(self, name: str, error: Any) -> None:
        if error.value == Code.UNINITIALIZED:
            raise NotInitialized(str(error))
        if error.value in LOST:
            raise DeviceLost(str(error))
        self.failures[name] = str(error)

    def _energy_used(self, counter: float) -> float:
        before, used = self._energy or (counter, 0.0)
        used += max(0.0, counter - before)  # the counter starts again when the driver is loaded again
        self._energy = counter, used
        return used


def probe() -> bool | str:
    """Return ``True`` if there is an NVIDIA device, else the reason why there is none to measure."""
    try:
        import pynvml
    except ImportError:
        return NO_LIBRARY
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"no NVIDIA driver: {error}"
    try:
        return bool(pynvml.nvmlDeviceGetCount()) or "no NVIDIA device"
    except pynvml.NVMLError as error:
        return f"no NVIDIA device: {error}"
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def driver_facts(nvml: Any) -> dict[str, str]:
    """Return the versions of the driver and of CUDA."""
    facts: dict[str, str] = {}
    with suppress(nvml.NVMLError):
        facts["driver_version"] = str(nvml.nvmlSystemGetDriverVersion())
    with suppress(nvml.NVMLError):
        version = nvml.nvmlSystemGetCudaDriverVersion()
        facts["cuda_version"] = f"{version // 1000}.{version % 1000 // 10}"
    return facts
