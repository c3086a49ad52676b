"""How a plugin can be loaded in another process."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, Final, NamedTuple

from tracelet.errors import PluginError
from tracelet.host import discovery
from tracelet_hookspecs import PluginInfo

_REMEDY: Final = "move it to tracelet_plugins.py or to a module of its own"


class ImportSpec(NamedTuple):
    """Where a plugin's code is: a module (or the path of a file), and a class in it."""

    module_path: str
    class_name: str


def import_spec_of(info: PluginInfo) -> ImportSpec:
    """Return how to load a plugin elsewhere.

    Raises :class:`~tracelet.errors.PluginError` for one that exists in this process only.
    """
    plugin = info.instance
    if plugin is None:
        return ImportSpec(info.module_path, info.class_name)
    if discovery.is_module(plugin):
        return ImportSpec(_location_of(info, plugin), "")
    if not discovery.is_class(plugin):
        raise _not_importable(
            info, f"is an object ({type(plugin).__name__}), which cannot be sent there; register its class"
        )
    name = plugin.__qualname__
    module = sys.modules.get(plugin.__module__)
    if module is None or "<locals>" in name:
        raise _not_importable(info, f"is defined inside a function ({name}); {_REMEDY}")
    return ImportSpec(_location_of(info, module), name)


def _location_of(info: PluginInfo, module: ModuleType) -> str:
    """Return a module's name if others can import it by that, else its file."""
    if module.__name__ == "__main__":
        raise _not_importable(
            info, f"is defined in the program itself, which cannot be run a second time; {_REMEDY}"
        )
    package = module.__name__.partition(".")[0]
    if PathFinder.find_spec(package) is not None:
        return module.__name__
    file: Any = getattr(module, "__file__", None)
    if not file:
        raise _not_importable(info, f"is in a module without a file ({module.__name__}); {_REMEDY}")
    return str(file)


def _not_importable(info: PluginInfo, why: str) -> PluginError:
    return PluginError(
        f'plugin {info.name!r}: expected one that another process can import (isolation = "process"), but it {why}',
        plugin=info.name,
        step="import",
    )
