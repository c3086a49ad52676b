"""Finding the plugin under test: a class, an object, a module, the name of an installed plugin, or an import string."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import Any

from tracelet.errors import UsageError


def find_plugin(plugin: Any) -> Any:
    """Return the plugin that a test names.

    Raises :class:`~tracelet.errors.UsageError` for a text that names none.
    """
    if plugin is None:
        raise UsageError(
            "the test names no plugin; set plugin = MyPlugin, 'package.module:Class' or an installed name"
        )
    if not isinstance(plugin, str):
        return plugin
    for entry in importlib.metadata.entry_points(group="tracelet.plugins"):
        if entry.name == plugin:
            return entry.load()
    module, _, attribute = plugin.partition(":")
    try:
        found = load_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"plugin {plugin!r}: neither an installed plugin nor an importable module ({error});"
            " set plugin = MyPlugin, 'package.module:Class' or an installed name"
        ) from None
    for part in attribute.split(".") if attribute else ():
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(f"plugin {plugin!r}: module {module!r} has no {attribute!r}") from None
    return found


def load_module(name: str) -> Any:
    """Import a module by its name, or by the path of its file."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    known = next((each for each in sys.modules.values() if getattr(each, "__file__", None) == name), None)
    if known is not None:
        return known
    path = Path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{name}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
