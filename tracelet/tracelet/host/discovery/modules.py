"""Importing modules and files and finding the plugins in them, on a thread and within a deadline."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host import locations
from tracelet.host.answers import shown, text_of, type_name
from tracelet.host.discovery.candidate import Candidate, broken_candidate, describe_with_location
from tracelet.host.discovery.inspection import (
    LIFECYCLE,
    OWN_HOOKS,
    attributes,
    class_name,
    dynamic_attribute,
    forgotten_decorator,
    is_class,
    is_decorated,
    is_module,
)
from tracelet.host.discovery.metadata import has_hooks, is_plugin_class, metadata_of, plugin_classes
from tracelet.host.worker import Worker, belongs_to_caller
from tracelet.secrets import fit_to_chain
from tracelet_hookspecs import PluginInfo, PluginMetadata

NAMES_MORE: Final = "tracelet_plugins"

Refuse = Callable[[Path], str | None]  # why a file must not be run, or None

_PACKAGE: Final = "_tracelet_plugins_"  # what the names of the packages of plugin files begin with
_OWN_PACKAGES: Final = ("tracelet", "tracelet_hookspecs")

_locks: dict[Path, Any] = {}  # by file: another thread must not see a module that is only half executed
_imported: dict[Path, tuple[bytes, ModuleType]] = {}  # by file: the digest of the source, and the module
_rules: dict[str, Refuse] = {}  # by package: the rule for its files


def import_file(file: Path, refuse: Refuse | None = None) -> ModuleType:
    """Import a ``.py`` file, once for each version of its text.

    Its folder is appended to ``sys.path``, so that the file can import its neighbors; ``from .helpers import X`` works
    too, and means the neighbor even if another folder has a module of that name. A file that was edited since is
    executed again, into a new module. ``refuse`` is the rule for those neighbors; the file was examined by the caller.
    """
    file = file.resolve()
    with _locks.setdefault(file, threading.RLock()):
        digest = hashlib.sha256(file.read_bytes()).digest()
        known = _imported.get(file)
        if known is not None and known[0] == digest:
            return known[1]
        locations.importers[file] = threading.get_ident()  # for those that wait for the lock
        if refuse is not None:
            _rules.setdefault(_package_of(file.parent), refuse)
        module = _execute(file, _module_name(file, known[1] if known is not None else None))
        _imported[file] = digest, module
        return module


def _module_name(file: Path, earlier: ModuleType | None) -> str:
    """Return the name to import a file under: its own if Python would import this file by it, else a unique one.

    With its own name, the functions of the file can be pickled and sent to a spawned process. A name that means
    something else, now or later, is never taken.
    """
    if earlier is not None:
        return earlier.__name__
    unique = f"{file.stem}_{_hash_of(file)}"
    if not file.stem.isidentifier() or file.stem in sys.modules:
        return unique
    try:
        spec = importlib.util.find_spec(file.stem)
    except (ImportError, ValueError):
        return unique
    if spec is None:
        return file.stem if file.stem == NAMES_MORE else unique
    return file.stem if spec.origin and Path(spec.origin).resolve() == file else unique


def _hash_of(path: Path) -> str:
    return hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:12]


class _SourceLoader(SourceFileLoader):
    """Runs the source that was checked, and neither reads nor writes the bytecode next to it."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _NeighborFinder(MetaPathFinder):
    """Finds what plugin files import relatively, to which the rules for plugin files apply as well."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if not fullname.startswith(_PACKAGE):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.origin or not spec.has_location:
            return spec
        refuse = _rules.get(fullname.partition(".")[0])
        if refuse is not None and (why := refuse(Path(spec.origin))) is not None:
            raise ImportError(why, name=fullname, path=spec.origin)
        if type(spec.loader) is SourceFileLoader:
            spec.loader = _SourceLoader(fullname, spec.origin)
        return spec


_neighbor_finder: Final = _NeighborFinder()


def _execute(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file, loader=_SourceLoader(name, str(file)))
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise PluginError(f"{file}: expected a Python file (.py)", step="import")
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    module = importlib.util.module_from_spec(spec)
    package = _package_of(file.parent)
    # The folder acts as the package for relative imports, whatever the name of the module is.
    module.__package__ = package
    module.__spec__ = ModuleSpec(f"{package}.{file.stem}", spec.loader, origin=spec.origin)
    earlier = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if earlier is not None:
            sys.modules[name] = earlier
        else:
            sys.modules.pop(name, None)
        raise
    return module


def _package_of(folder: Path) -> str:
    """Create the package that represents a folder of plugin files, and return its name."""
    if _neighbor_finder not in sys.meta_path:
        sys.meta_path.insert(0, _neighbor_finder)
    name = f"{_PACKAGE}{_hash_of(folder)}"
    if name not in sys.modules:
        package = ModuleType(name, f"The plugin files in {folder}.")
        package.__path__ = [str(folder)]
        package.__package__ = name
        package.__spec__ = ModuleSpec(name, None, is_package=True)
        package.__spec__.submodule_search_locations = [str(folder)]
        sys.modules[name] = package
    return name


def shadowed_neighbors(file: Path) -> list[str]:
    """Return a sentence for each import in a plugin file that gives another module than the one next to the file."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return [text for name in sorted(names) if (text := _shadowed(file, name))]


def _shadowed(file: Path, name: str) -> str:
    neighbor = file.parent / f"{name}.py"
    origin = getattr(sys.modules.get(name), "__file__", None)
    if origin is None or not neighbor.is_file() or Path(origin).resolve() == neighbor.resolve():
        return ""
    return (
        f"{file}: 'import {name}' gives {origin}, not the {name}.py next to it; write 'from . import {name}'"
    )


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

    def failed(error: BaseException) -> PluginError:
        message = f"plugin {name!r} ({origin}): {step} failed: {describe_with_location(error)}"
        failure = PluginError(message, plugin=name, step=step, cause=error)
        failure.__cause__ = fit_to_chain(error)
        return failure

    def work() -> Any:
        try:
            return function()
        except (PluginError, KeyboardInterrupt):
            raise
        except BaseException as error:  # described here, since its class may be the plugin's and hang
            failure = failed(error)
        raise failure from failure.__cause__

    worker = Worker(name)
    try:
        return worker.run(work, step=step, deadline=deadline)
    except PluginError:
        raise
    except BaseException as error:
        if belongs_to_caller(error):
            raise
        failure = failed(error)
        raise failure from failure.__cause__
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


def foreign_classes(module: ModuleType) -> list[type]:
    """Return the plugin classes that a module only imports from elsewhere, other than tracelet's base classes."""
    found = [
        value for value in vars(module).values() if is_plugin_class(value) and not inspect.isabstract(value)
    ]
    return [cls for cls in dict.fromkeys(found) if str(cls.__module__).partition(".")[0] not in _OWN_PACKAGES]


def describe_object(
    plugin: Any, origin: str, deadline: float, *, name: str = "", activate: bool = False
) -> Candidate:
    """Describe a class, object or module. A plugin whose metadata cannot be read is a broken candidate."""
    path, class_name = _location_of(plugin)
    label = name or class_name or path
    where: dict[str, Any] = {"module_path": path, "class_name": class_name}

    def ask() -> PluginMetadata:
        if not is_module(plugin) and (fault := why_no_plugin(plugin)):
            raise PluginError(f"plugin {label!r} ({origin}): {fault}", plugin=label, step="import")
        return metadata_of(plugin, name, origin=origin)

    try:
        metadata = run_guarded(ask, label, origin, deadline, "get_metadata")
    except PluginError as error:
        return broken_candidate(label, origin, error, activate=activate, load=lambda: plugin, **where)
    info = PluginInfo(metadata, origin=origin, **where)
    return Candidate(info, load=lambda: plugin, activate=activate, identity=_identity_of(plugin))


def _identity_of(plugin: Any) -> tuple[str, str] | None:
    """Return the module and the qualified name of a class or a module.

    An object is itself alone, and so is a class made by a function, which may make several of that name.
    """
    if is_module(plugin):
        return text_of(vars(plugin).get("__name__")), ""
    if is_class(plugin) and "<locals>" not in plugin.__qualname__:
        return text_of(attributes(plugin).get("__module__", "")), text_of(plugin.__qualname__)
    return None


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


def single_plugin(value: Any, label: str) -> Any:
    """Return the plugin that an entry point means: for a module without hooks, its only plugin class.

    Raises :class:`PluginError`, with the label of the plugin, if the module has no plugin class, or several, and for
    what cannot be a plugin.
    """
    if not is_module(value):
        if fault := why_no_plugin(value):
            raise PluginError(f"{label}: {fault}", step="import")
        return value
    if has_hooks(value):
        return value
    classes = plugin_classes(value) or foreign_classes(value)
    if len(classes) != 1:
        module = text_of(vars(value).get("__name__"))
        fault = _no_single_class(module, [class_name(cls) for cls in classes], value)
        raise PluginError(f"{label}: {fault}", step="import")
    return classes[0]


def _no_single_class(module: str, names: list[str], value: ModuleType) -> str:
    kind = "package" if "__path__" in vars(value) else "module"
    expected = f"{kind} {module}: expected hook implementations or one plugin class, found"
    if not names:
        return f"{expected} neither; {forgotten_decorator(value) or 'name the class as module:Class'}"
    return f"{expected} {', '.join(names)}; name one as {module}:{names[0]}"


def why_no_plugin(value: Any) -> str:
    """Return why a value other than a module cannot be a plugin; an empty text if it can be one.

    A plugin has at least one hook, lifecycle method or base class of ours. What is wrong with such a one is for its
    validation to say.
    """
    known = attributes(value)
    expected = "expected a class, an instance or a module with hook implementations"
    if type(value) is FunctionType:
        name = text_of(value.__qualname__)
        is_hook = is_decorated(value)
        remedy = f"; name its module, {text_of(value.__module__)}" if is_hook else ""
        return f"{expected}, found the function {name}(){remedy}"
    names = {*LIFECYCLE, *OWN_HOOKS}
    if not names.isdisjoint(known) or dynamic_attribute(value, "get_metadata", known) or has_hooks(value):
        return ""
    if is_class(value):
        remedy = "decorate a method with @tracelet.hookimpl, or subclass a base class of tracelet.core.plugins"
        return f"{expected}, found the class {class_name(value)}, which has none; {remedy}"
    found = type_name(value) if type(value).__module__ != "builtins" else shown(value)
    return f"{expected}, found {found}"
