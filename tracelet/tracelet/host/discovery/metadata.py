"""Which classes of a module are plugins, and the metadata of a plugin."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from packaging.version import InvalidVersion, Version

import tracelet_hookspecs as contract
from tracelet.errors import PluginError
from tracelet.host.answers import shown, text_of, type_name
from tracelet.host.discovery.inspection import (
    attributes,
    bases,
    class_dict,
    class_name,
    dynamic_attribute,
    hook_functions,
    implementations,
    is_abstract,
    is_class,
    is_module,
)
from tracelet_hookspecs import PluginMetadata, PluginType

_TYPE_BY_HOOK: Final = {
    "log_metric": PluginType.BACKEND,
    "log_metrics": PluginType.BACKEND,
    "log_columns": PluginType.BACKEND,
    "collect": PluginType.COLLECTOR,
    "process_metric": PluginType.PROCESSOR,
}


def has_hooks(value: object) -> bool:
    """Return whether a class, object or module has decorated hook implementations."""
    return next(hook_functions(value), None) is not None


def is_plugin_class(value: object) -> bool:
    """Return whether a class is a plugin rather than a base class or unrelated."""
    if not is_class(value) or _name(value).startswith("_") or _is_protocol(value):
        return False
    is_derived = any(base is contract.PluginBase for base in bases(value))
    return is_derived or "get_metadata" in attributes(value) or has_hooks(value)


def _is_protocol(cls: object) -> bool:
    """Return whether a class is a ``typing.Protocol``: a description of plugins, not one of them."""
    return class_dict(cls).get("_is_protocol") is True


def plugin_classes(module: ModuleType) -> list[type]:
    """Return the plugin classes that a module itself defines, in the order of definition."""
    own = [
        value
        for value in vars(module).values()
        if is_plugin_class(value) and class_dict(value).get("__module__") == vars(module).get("__name__")
    ]
    # An abstract class with subclasses in the same module is their base, not a plugin. The mro is read instead of
    # asking issubclass(), which a metaclass may override.
    return [
        cls
        for cls in {id(cls): cls for cls in own}.values()
        if not (is_abstract(cls) and any(other is not cls and _derives(other, cls) for other in own))
    ]


def _derives(cls: type, base: type) -> bool:
    """Return whether a class is built upon another. ``issubclass`` would ask the base's metaclass."""
    return any(each is base for each in bases(cls))


def metadata_of(plugin: Any, name: str = "", version: str = "", origin: str = "") -> PluginMetadata:
    """Return a plugin's metadata, derived from its hooks and docstring if it has no ``get_metadata``.

    ``get_metadata`` may be a classmethod, a staticmethod or an instance method (a class is then instantiated
    without arguments). Raises :class:`PluginError` if it does not return a ``PluginMetadata`` with a name, and
    whatever the plugin raises.
    """
    known = attributes(plugin)
    if is_module(plugin) or not ("get_metadata" in known or dynamic_attribute(plugin, "get_metadata", known)):
        return _describe(plugin, name, version)
    label = f"plugin {name or _name(plugin)!r}" + (f" ({origin})" if origin else "")
    found = _ask(plugin, known.get("get_metadata"), label)
    if not isinstance(found, PluginMetadata):
        what = f"get_metadata() must return a PluginMetadata, found {type_name(found)}"
        raise _invalid(label, f"{what}; import it from tracelet.core.plugins")
    if not name and not (isinstance(found.name, str) and found.name.strip()):
        raise _invalid(label, f"metadata name: expected a non-empty string, found {shown(found.name)}")
    return _plain(found)


def _plain(metadata: PluginMetadata) -> PluginMetadata:
    """Return metadata whose texts are exact strings, so that showing or comparing them runs no code of the plugin's.

    Anything else stays as it is, for validation to report.
    """
    for field in ("name", "version", "description", "author", "requires_tracelet", "isolation"):
        value = getattr(metadata, field)
        if type(value) is not str and isinstance(value, str):
            setattr(metadata, field, text_of(value))
    return metadata


def _ask(plugin: Any, static: Any, label: str) -> Any:
    if getattr(static, "__isabstractmethod__", False):
        raise _invalid(label, "lacks get_metadata(); add the missing method")
    if is_class(plugin) and not isinstance(static, (classmethod, staticmethod)):
        return plugin().get_metadata()
    return plugin.get_metadata()


def _invalid(label: str, fault: str) -> PluginError:
    return PluginError(f"{label}: {fault}", step="get_metadata")


def _name(plugin: Any) -> str:
    if is_module(plugin):
        return text_of(vars(plugin).get("__name__"))
    return class_name(plugin if is_class(plugin) else type(plugin))


def _module_version(value: Any) -> str:
    """Return a module's ``__version__`` if it is one. A plugin of plain hooks needs none."""
    try:
        return str(Version(str(value)))
    except InvalidVersion:
        return ""


def _describe(plugin: Any, name: str, version: str) -> PluginMetadata:
    hooks = {one.hook for one in implementations(plugin) if not one.wraps}
    kinds = [kind for hook, kind in _TYPE_BY_HOOK.items() if hook in hooks]
    known = attributes(plugin)
    document = known.get("__doc__")
    return PluginMetadata(
        name=name or _name(plugin),
        version=_module_version(known.get("__version__")) or version or "0",
        type=kinds[0] if kinds else PluginType.FRAMEWORK,
        description=document.strip().partition("\n")[0] if isinstance(document, str) else "",
    )
