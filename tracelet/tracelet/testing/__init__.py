"""The test kit for plugin authors. ``docs/testing-plugins.md`` describes it.

It is a pytest plugin, too, which pytest finds by its entry point. The names are imported on first use, so that a
session that does not use the kit loads nothing of it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it
if TYPE_CHECKING:
    from typing import Any

    from tracelet.testing import strategies
    from tracelet.testing.conformance.backend import BackendConformance
    from tracelet.testing.conformance.collector import CollectorConformance
    from tracelet.testing.conformance.framework import FrameworkConformance
    from tracelet.testing.conformance.processor import ProcessorConformance
    from tracelet.testing.doubles import RunDouble, drive, make_points
    from tracelet.testing.expected import Received, expected
    from tracelet.testing.far_side import LEFT_OUT, FarSide
    from tracelet.testing.faults import Fault
    from tracelet.testing.harness import QUICK, Harness
    from tracelet.testing.program import Program, run_program
    from tracelet.testing.project import Project, Result
    from tracelet.testing.proxy import FaultyProxy

__all__ = [
    "LEFT_OUT",
    "QUICK",
    "BackendConformance",
    "CollectorConformance",
    "FarSide",
    "Fault",
    "FaultyProxy",
    "FrameworkConformance",
    "Harness",
    "ProcessorConformance",
    "Program",
    "Project",
    "Received",
    "Result",
    "RunDouble",
    "drive",
    "expected",
    "make_points",
    "run_program",
    "strategies",
]

_MODULES = {
    "LEFT_OUT": "far_side",
    "QUICK": "harness",
    "BackendConformance": "conformance.backend",
    "CollectorConformance": "conformance.collector",
    "FarSide": "far_side",
    "Fault": "faults",
    "FaultyProxy": "proxy",
    "FrameworkConformance": "conformance.framework",
    "Harness": "harness",
    "ProcessorConformance": "conformance.processor",
    "Program": "program",
    "Project": "project",
    "Received": "expected",
    "Result": "project",
    "RunDouble": "doubles",
    "drive": "doubles",
    "expected": "expected",
    "make_points": "doubles",
    "run_program": "program",
    "strategies": "strategies",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{_MODULES[name]}")
    value = module if name == "strategies" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
