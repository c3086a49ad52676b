"""Finding the plugins in modules and describing them, on a thread and within a deadline."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host.answers import shown, text_of, type_name
from tracelet.host.discovery.candidate import Candidate, broken_candidate, describe_with_location
from tracelet.host.discovery.fileimport import NAMES_MORE
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
from tracelet.messages import closest
from tracelet.secrets import fit_to_chain
from tracelet_hookspecs import PluginInfo, PluginMetadata

_OWN_PACKAGES: Final = ("tracelet", "tracelet_hookspecs")


def import_by_name(name: str) -> Any:
    """Import ``package.module`` or ``package.module:attribute``.

    Raises :class:`PluginError`, with the closest known name, if the module has no such attribute.
    """
    module_name, _, attribute = name.partition(":")
    label = f"plugin {name!r}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name == error.name and (hint := _hint_of_missing(module_name)):
            raise PluginError(f"{label}: there is no module {module_name!r}{hint}", step="import") from error
        raise
    return attribute_of(module, attribute, f"{label}: ")


def attribute_of(module: ModuleType, path: str, prefix: str) -> Any:
    """Return what a dotted path of attributes of a module leads to; an empty path to the module itself.

    Raises :class:`PluginError`, with the closest known name; ``prefix`` is the beginning of its message.
    """
    value: Any = module
    for part in filter(None, path.split(".")):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            holder = text_of(vars(module).get("__name__")) if value is module else class_name(type(value))
            known = [each for each in attributes(value) if not each.startswith("_")]
            plugins = [each for each in known if is_plugin_class(attributes(value)[each])]
            meant = closest(part, plugins, cutoff=0.3) or closest(part, known, cutoff=0.5)
            hint = f"; did you mean {meant!r}?" if meant else ""
            raise PluginError(f"{prefix}{holder} has no {part!r}{hint}", step="import") from error
    return value


def _hint_of_missing(module_name: str) -> str:
    """Return what was probably meant by a module that does not exist: a neighbor of it, or a class of its parent."""
    parent_name, _, last = module_name.rpartition(".")
    parent = sys.modules.get(parent_name)
    if parent is None:
        return ""
    if last in vars(parent):
        return f"; did you mean '{parent_name}:{last}'?"
    inner = [each.name for each in pkgutil.iter_modules(vars(parent).get("__path__") or ())]
    classes = [each for each, value in vars(parent).items() if is_plugin_class(value)]
    if meant := closest(last, inner):
        return f"; did you mean '{parent_name}.{meant}'?"
    return f"; did you mean '{parent_name}:{meant}'?" if (meant := closest(last, classes)) else ""


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


def reexported(
    module: ModuleType, origin: str, deadline: float, *, activate: bool = False
) -> list[Candidate]:
    """Return the plugins that a package imports from its own modules."""
    file = text_of(vars(module).get("__file__") or "")
    # A module that was imported by its path has another name than its neighbors have for it.
    is_package = os.path.basename(file) == "__init__.py"
    inner = f"{module.__package__ if is_package else module.__name__}."
    return [
        describe_object(cls, origin, deadline, activate=activate)
        for cls in foreign_classes(module)
        if str(cls.__module__).startswith(inner)
    ]


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
        remedy = (
            "decorate a method with @tracelet.hookimpl, or subclass a base class of tracelet.core.plugins"
        )
        return f"{expected}, found the class {class_name(value)}, which has none; {remedy}"
    found = type_name(value) if type(value).__module__ != "builtins" else shown(value)
    return f"{expected}, found {found}"
