"""Adds a callback to what a program gives to a framework."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracelet_hookspecs import records_into_tracelet

if TYPE_CHECKING:
    from tracelet_builtin_plugins.capturing.patches import Patches
    from tracelet_builtin_plugins.capturing.plugin import CapturePlugin

__all__ = ["add_callbacks", "wrap_everywhere"]

Make = Callable[[Any], Any]


def add_callbacks(
    current: Callable[[], CapturePlugin | None], create: Callable[[Any], Any], *, place: str
) -> Make:
    """Return what wraps a function with a parameter ``callbacks``, so that one of ours is among them.

    ``create(plugin)`` returns the callback. It comes first, since a callback may keep the later ones from being
    called. Nothing is added if one of the program's own records into tracelet.
    """

    def make(original: Any) -> Any:
        signature = inspect.signature(original)

        def wrapper(*arguments: Any, **named: Any) -> Any:
            plugin = current()
            if plugin is not None:
                try:
                    given = signature.bind(*arguments, **named)
                    callbacks = _as_list(given.arguments.get("callbacks"))
                    if not records_into_tracelet(_flat(callbacks)):
                        given.arguments["callbacks"] = [create(plugin), *callbacks]
                        arguments, named = given.args, given.kwargs
                except TypeError:  # the original reports the mistake
                    pass
                except Exception as error:
                    plugin.report(error, place)
            return original(*arguments, **named)

        return functools.update_wrapper(wrapper, original)

    return make


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple, set)) else [callbacks]


def _flat(callbacks: list[Any]) -> list[Any]:
    """Return callbacks with those inside of lists and containers."""
    found: list[Any] = []
    for each in callbacks:
        inner = each if isinstance(each, (list, tuple)) else getattr(each, "callbacks", None)
        found += _flat(list(inner)) if isinstance(inner, (list, tuple)) else [each]
    return found


def wrap_everywhere(patches: Patches, function: Any, make: Make) -> None:
    """Wrap a function in every module that has it under its name: modules that imported it by name, too."""
    name = function.__name__
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(name) is function:
            patches.wrap(module, name, make)
