"""Importing modules and files, and telling which plugins they hold."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tracelet.core.discovery.found import Found, broken
from tracelet.core.discovery.inspection import hook_functions, metadata_of, plugin_classes
from tracelet.core.secrets import redact
from tracelet.core.worker import Worker
from tracelet.errors import PluginError
from tracelet_hookspecs import PluginInfo

NAMES_MORE: Final = "tracelet_plugins"


def import_file(file: Path) -> ModuleType:
    """Import a ``.py`` file under a name of its own, once per process.

    Its folder joins the end of ``sys.path``, so that the file can import what stands beside it.
    """
    file = file.resolve()
    name = f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(f"{file}: expected a Python file (.py)", step="import")
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def import_name(name: str) -> Any:
    """Import ``package.module`` or ``package.module:attribute``."""
    module_name, _, attribute = name.partition(":")
    value: Any = importlib.import_module(module_name)
    for part in filter(None, attribute.split(".")):
        value = getattr(value, part)
    return value


def guarded(function: Callable[[], Any], what: str, deadline: float) -> Any:
    """Run foreign code on a thread of its own, within a deadline.

    Raises :class:`PluginError` for whatever it raises, ``SystemExit`` included. ``KeyboardInterrupt`` passes.
    """
    worker = Worker(what)
    try:
        return worker.run(function, step="import", deadline=deadline)
    except PluginError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{what}: {describe(error)}", step="import", cause=error) from error
    finally:
        worker.retire()


def describe(error: BaseException) -> str:
    """Say what an exception is in one line, without secrets."""
    if isinstance(error, SyntaxError):
        return redact(f"SyntaxError: {error.msg} (line {error.lineno})")
    text = str(error).strip()
    return redact(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def plugins_of(module: ModuleType, name: str, origin: str, *, activate: bool = False) -> Iterator[Found]:
    """Yield the plugins that an imported module holds: itself, where it has hooks, and its plugin classes."""
    if any(True for _ in hook_functions(module)):
        yield of_object(module, origin, name=name, activate=activate)
    for cls in plugin_classes(module):
        yield of_object(cls, origin, activate=activate)


def of_object(plugin: Any, origin: str, *, name: str = "", activate: bool = False) -> Found:
    """Describe a class, object or module that is at hand. A plugin that cannot describe itself is a broken one."""
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(plugin.__module__)
    path = str(getattr(module, "__file__", "") or getattr(module, "__name__", ""))
    class_name = "" if isinstance(plugin, ModuleType) else getattr(plugin, "__name__", type(plugin).__name__)
    try:
        metadata = metadata_of(plugin, name)
    except (Exception, SystemExit) as error:
        label = name or class_name
        return broken(
            label, origin, f"plugin {label!r} ({origin}): get_metadata failed: {describe(error)}",
            module_path=path, activate=activate,
        )  # fmt: skip
    info = PluginInfo(metadata, module_path=path, class_name=class_name, origin=origin)
    return Found(info, load=lambda: plugin, activate=activate)


def named_by(module: ModuleType) -> list[str]:
    """Return the further modules that a plugin module names in its ``tracelet_plugins``."""
    names = getattr(module, NAMES_MORE, ())
    return [names] if isinstance(names, str) else [str(name) for name in names]


def single_plugin(value: Any) -> Any:
    """Return what an entry point means: a module without hooks of its own stands for its one plugin class.

    Raises :class:`PluginError` where it holds none or several.
    """
    if not isinstance(value, ModuleType) or any(True for _ in hook_functions(value)):
        return value
    classes = plugin_classes(value)
    if len(classes) != 1:
        names = ", ".join(cls.__name__ for cls in classes) or "none"
        raise PluginError(
            f"module {value.__name__}: expected hook implementations or one plugin class, found {names};"
            " point at one with module:Class",
            step="import",
        )
    return classes[0]
