"""Importing modules and files and finding the plugins in them, on a thread and within a deadline."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host.answers import shown, text_of
from tracelet.host.discovery.candidate import Candidate, broken_candidate, describe_with_location
from tracelet.host.discovery.inspection import attributes, class_name, is_class, is_module
from tracelet.host.discovery.metadata import has_hooks, metadata_of, plugin_classes
from tracelet.host.worker import Worker, belongs_to_caller
from tracelet.secrets import fit_to_chain
from tracelet_hookspecs import PluginInfo, PluginMetadata

NAMES_MORE: Final = "tracelet_plugins"

_locks: dict[str, Any] = {}  # by module: another thread must not see a module that is only half executed


def import_file(file: Path) -> ModuleType:
    """Import a ``.py`` file under a unique name, once per process.

    Its folder is appended to ``sys.path``, so that the file can import its neighbours.
    """
    file = file.resolve()
    name = f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    with _locks.setdefault(name, threading.RLock()):
        return sys.modules[name] if name in sys.modules else _execute(file, name)


class _SourceLoader(SourceFileLoader):
    """Runs the source that was checked, and neither reads nor writes the bytecode next to it."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _execute(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file, loader=_SourceLoader(name, str(file)))
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise PluginError(f"{file}: expected a Python file (.py)", step="import")
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def import_by_name(name: str) -> Any:
    """Import ``package.module`` or ``package.module:attribute``."""
    module_name, _, attribute = name.partition(":")
    value: Any = importlib.import_module(module_name)
    for part in filter(None, attribute.split(".")):
        value = getattr(value, part)
    return value


def run_guarded(
    function: Callable[[], Any], name: str, origin: str, deadline: float, step: str = "import"
) -> Any:
    """Run a plugin's code on a separate thread, within a deadline.

    Raises :class:`PluginError` for whatever it raises, ``SystemExit`` included. Ctrl-C on the main thread passes.
    """
    worker = Worker(name)
    try:
        return worker.run(function, step=step, deadline=deadline)
    except PluginError:
        raise
    except BaseException as error:
        if belongs_to_caller(error):
            raise
        message = f"plugin {name!r} ({origin}): {step} failed: {describe_with_location(error)}"
        raise PluginError(message, plugin=name, step=step, cause=error) from fit_to_chain(error)
    finally:
        worker.retire()


def plugins_in_module(
    module: ModuleType, name: str, origin: str, deadline: float, *, activate: bool = False
) -> Iterator[Candidate]:
    """Yield the plugins in an imported module: the module itself, if it has hooks, and its plugin classes."""
    if has_hooks(module):
        yield describe_object(module, origin, deadline, name=name, activate=activate)
    for cls in plugin_classes(module):
        yield describe_object(cls, origin, deadline, activate=activate)


def describe_object(
    plugin: Any, origin: str, deadline: float, *, name: str = "", activate: bool = False
) -> Candidate:
    """Describe a class, object or module. A plugin whose metadata cannot be read is a broken candidate."""
    path, class_name = _location_of(plugin)
    label = name or class_name or path
    where: dict[str, Any] = {"module_path": path, "class_name": class_name}

    def ask() -> PluginMetadata:
        return metadata_of(plugin, name, origin=origin)

    try:
        metadata = run_guarded(ask, label, origin, deadline, "get_metadata")
    except PluginError as error:
        return broken_candidate(label, origin, error, activate=activate, load=lambda: plugin, **where)
    return Candidate(PluginInfo(metadata, origin=origin, **where), load=lambda: plugin, activate=activate)


def _location_of(plugin: Any) -> tuple[str, str]:
    """Return the file or name of a plugin's module, and the name of its class."""
    if is_module(plugin):
        return text_of(vars(plugin).get("__file__") or vars(plugin).get("__name__")), ""
    cls = plugin if is_class(plugin) else type(plugin)
    module_name = text_of(attributes(cls).get("__module__", ""))
    module = sys.modules.get(module_name)
    return str(getattr(module, "__file__", None) or module_name), class_name(cls)


def modules_named_by(module: ModuleType) -> list[str]:
    """Return the modules that a plugin module names in its ``tracelet_plugins``.

    Raises :class:`PluginError` for anything other than a name or a list of names.
    """
    names = vars(module).get(NAMES_MORE, ())
    names = [names] if type(names) is str else names
    if type(names) not in (list, tuple, set, frozenset) or not all(type(name) is str for name in names):
        where = vars(module).get("__file__") or vars(module).get("__name__")
        raise PluginError(
            f"{where}: {NAMES_MORE}: expected a list of module names, found {shown(names)}", step="import"
        )
    return list(names)


def single_plugin(value: Any) -> Any:
    """Return the plugin that an entry point means: for a module without hooks, its only plugin class.

    Raises :class:`PluginError` if the module has no plugin class, or several.
    """
    if not is_module(value) or has_hooks(value):
        return value
    classes = plugin_classes(value)
    if len(classes) != 1:
        names = ", ".join(map(class_name, classes)) or "none"
        raise PluginError(
            f"module {vars(value).get('__name__')}: expected hook implementations or one plugin class, found {names};"
            " point at one with module:Class",
            step="import",
        )
    return classes[0]
