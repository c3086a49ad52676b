"""Frameworks' own writers of event files, beside an object of tracelet's that records the same.

Where a framework has both, this plugin records nothing of what the framework writes.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from tracelet_builtin_plugins.capturing import Patches
from tracelet_hookspecs import records_into_tracelet

__all__ = ["patch_accelerate", "patch_ignite", "patch_stable_baselines3"]

_OWN: Final = ("summarywriter",)


def patch_accelerate(module: ModuleType, patches: Patches) -> None:
    """Look at the trackers of an ``Accelerator``."""

    def is_beside(accelerator: Any, *_arguments: Any, **_named: Any) -> bool:
        return records_into_tracelet(accelerator.trackers)

    patches.suspend_if(module.Accelerator, "log", _OWN, is_beside)


def patch_ignite(module: ModuleType, patches: Patches) -> None:
    """Look at the loggers that are attached to an engine: each handler has its logger as an argument."""

    def is_beside(_handler: Any, engine: Any, *_arguments: Any, **_named: Any) -> bool:
        handlers = [each for several in list(engine._event_handlers.values()) for each in several]
        return any(records_into_tracelet(arguments) for _, arguments, _ in handlers)

    for handler in (module.OutputHandler, module.OptimizerParamsHandler):
        patches.suspend_if(handler, "__call__", _OWN, is_beside)


def patch_stable_baselines3(module: ModuleType, patches: Patches) -> None:
    """Look at the output formats of a logger."""

    def is_beside(logger: Any, *_arguments: Any, **_named: Any) -> bool:
        return records_into_tracelet(logger.output_formats)

    patches.suspend_if(module.Logger, "dump", _OWN, is_beside)
