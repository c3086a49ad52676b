"""The readings of a device: one table, and the conversion of results to metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

Values = dict[str, Any]

# Bits of NVML's clocks event reasons. The harmless ones (idle, settings of the user) are left out.
THROTTLE_REASONS: Final = {
    "power_cap": 0x04,
    "hw_slowdown": 0x08,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "power_brake": 0x80,
}


class Call(NamedTuple):
    """A function of pynvml, and the names of pynvml's constants that it takes behind the handle."""

    function: str
    constants: tuple[str, ...] = ()


class Reading(NamedTuple):
    """One reading of a device: the calls that can provide it, newest first, and the conversion of the result."""

    name: str
    calls: tuple[Call, ...]
    values: Callable[[Any], Values]
    slow: bool = False  # NVML itself measures for about 20 ms


def scaled(name: str, factor: float, *calls: Call, slow: bool = False) -> Reading:
    """Return the reading of one number; ``factor`` turns NVML's unit into that of the name."""
    return Reading(name, calls, lambda answer: {name: answer * factor}, slow)


def memory(answer: Any) -> Values:
    """Return a device's memory, from NVML's bytes."""
    return {
        "memory_used_bytes": answer.used,
        "memory_total_bytes": answer.total,
        "memory_percent": 100 * answer.used / answer.total if answer.total else 0.0,
    }


def utilization(answer: Any) -> Values:
    """Return the shares of the last sample period with a kernel running, and with memory at work."""
    return {"utilization_percent": answer.gpu, "memory_busy_percent": answer.memory}


def throttle(answer: int) -> Values:
    """Return 1 for each reason that currently limits the clocks, otherwise 0."""
    return {f"throttle_{name}": int(bool(answer & bit)) for name, bit in THROTTLE_REASONS.items()}


MEMORY: Final = Reading(
    "memory",
    # Version 2 keeps the driver's own reserve out of "used", as nvidia-smi does.
    (Call("nvmlDeviceGetMemoryInfo", ("nvmlMemory_v2",)), Call("nvmlDeviceGetMemoryInfo")),
    memory,
)

READINGS: Final = (
    Reading("utilization", (Call("nvmlDeviceGetUtilizationRates"),), utilization),
    MEMORY,
    scaled("power_watts", 1e-3, Call("nvmlDeviceGetPowerUsage")),
    scaled("power_limit_watts", 1e-3, Call("nvmlDeviceGetEnforcedPowerLimit")),
    scaled("energy_joules", 1e-3, Call("nvmlDeviceGetTotalEnergyConsumption")),
    scaled(
        "temperature_celsius",
        1,
        Call("nvmlDeviceGetTemperatureV", ("NVML_TEMPERATURE_GPU",)),
        Call("nvmlDeviceGetTemperature", ("NVML_TEMPERATURE_GPU",)),
    ),
    scaled("fan_percent", 1, Call("nvmlDeviceGetFanSpeed")),
    scaled("clock_sm_mhz", 1, Call("nvmlDeviceGetClockInfo", ("NVML_CLOCK_SM",))),
    scaled("clock_memory_mhz", 1, Call("nvmlDeviceGetClockInfo", ("NVML_CLOCK_MEM",))),
    scaled("clock_graphics_mhz", 1, Call("nvmlDeviceGetClockInfo", ("NVML_CLOCK_GRAPHICS",))),
    scaled("pcie_generation", 1, Call("nvmlDeviceGetCurrPcieLinkGeneration")),
    scaled("pcie_width_lanes", 1, Call("nvmlDeviceGetCurrPcieLinkWidth")),
    *(
        scaled(
            f"pcie_{way}_bytes_per_s",
            1000,
            Call("nvmlDeviceGetPcieThroughput", (f"NVML_PCIE_UTIL_{way.upper()}_BYTES",)),
            slow=True,
        )
        for way in ("rx", "tx")
    ),
    *(
        scaled(
            f"ecc_{kind}_errors",
            1,
            Call(
                "nvmlDeviceGetTotalEccErrors",
                (f"NVML_MEMORY_ERROR_TYPE_{kind.upper()}", "NVML_VOLATILE_ECC"),
            ),
        )
        for kind in ("corrected", "uncorrected")
    ),
    Reading(
        "throttle",
        (
            Call("nvmlDeviceGetCurrentClocksEventReasons"),
            Call("nvmlDeviceGetCurrentClocksThrottleReasons"),
        ),
        throttle,
    ),
)
