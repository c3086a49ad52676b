"""What ``tracelet plugins check`` looks for beyond validation: likely slips, and a slow import."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any, Final

import tracelet_hookspecs as contract
from tracelet.host.discovery import attributes, implementations, is_class, is_module
from tracelet.host.discovery.inspection import OWN_HOOKS, bases
from tracelet.messages import closest

SLOW_IMPORT: Final = 0.5  # seconds
_CONTRACT: Final = (
    *(contract.BackendPlugin, contract.CollectorPlugin, contract.FrameworkPlugin, contract.ProcessorPlugin),
    *(contract.PluginBase, contract.BackendInterface, contract.CollectorInterface),
    *(contract.MetricSink, contract.MetricSource, object),
)
_KNOWN: Final = frozenset(name for cls in _CONTRACT for name in vars(cls))


def find_slips(plugin: Any, hook_names: list[str]) -> Iterator[str]:
    """Yield what a plugin probably means, but does not say: nothing of this keeps it from being valid."""
    if is_module(plugin):
        yield from _undecorated_functions(plugin)
    else:
        yield from _misspelt_methods(plugin, hook_names)


def _undecorated_functions(module: Any) -> Iterator[str]:
    implemented = {one.attribute for one in implementations(module)}
    for name, value in vars(module).items():
        if (
            type(value) is FunctionType
            and value.__module__ == module.__name__
            and name in OWN_HOOKS - implemented
        ):
            yield f"{name}() is not a hook implementation; put @tracelet.hookimpl above it"


def _misspelt_methods(plugin: Any, hook_names: list[str]) -> Iterator[str]:
    cls = plugin if is_class(plugin) else type(plugin)
    own = {name for base in bases(cls) if base not in _CONTRACT for name in vars(base)}
    known = attributes(cls)
    implemented = {one.attribute for one in implementations(plugin)}
    for name in sorted(own - _KNOWN - implemented - set(hook_names)):
        if name.startswith("_") or type(known[name]) is not FunctionType:
            continue
        meant = closest(name, [hook for hook in hook_names if hook not in implemented], cutoff=0.85)
        if meant is not None:
            yield f"{name}() is not a hook; did you mean {meant}()?"


def find_slow_import(seconds: float | None) -> Iterator[str]:
    """Yield a warning if the import took more than half a second."""
    if seconds is not None and seconds > SLOW_IMPORT:
        yield f"its import took {seconds:.1f} s; import heavy packages inside the functions that use them"
