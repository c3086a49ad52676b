"""What makes an object a plugin, and what it says of itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import tracelet_hookspecs as contract
from tracelet.errors import PluginError
from tracelet_hookspecs import PluginMetadata, PluginType

LIFECYCLE: Final = ("get_metadata", "initialize", "start", "stop", "get_status")

_TYPE_BY_HOOK: Final = {
    "log_metric": PluginType.BACKEND,
    "log_metrics": PluginType.BACKEND,
    "collect": PluginType.COLLECTOR,
    "process_metric": PluginType.PROCESSOR,
}


def hook_functions(plugin: object) -> Iterator[tuple[str, Any]]:
    """Yield the decorated hook implementations of a class, object or module. Runs none of its code."""
    for name in dir(plugin):
        static = inspect.getattr_static(plugin, name, None)
        options = getattr(static, contract.PROJECT_NAME + "_impl", None)
        if isinstance(options, dict):
            yield name, static


def has_lifecycle(plugin: object) -> bool:
    """Whether this is a plugin with the whole lifecycle, whose methods need no decorator."""
    if isinstance(plugin, ModuleType):
        return False
    return hasattr(plugin, "get_metadata") or not any(True for _ in hook_functions(plugin))


def is_plugin_class(value: object) -> bool:
    """Whether a class is a plugin rather than a base or a bystander."""
    if not inspect.isclass(value) or value.__name__.startswith("_"):
        return False
    is_one = issubclass(value, contract.PluginBase) or callable(getattr(value, "get_metadata", None))
    return is_one or any(True for _ in hook_functions(value))


def plugin_classes(module: ModuleType) -> list[type]:
    """Return the plugin classes that a module defines itself, in the order in which they stand there."""
    own = [
        value
        for value in vars(module).values()
        if is_plugin_class(value) and value.__module__ == module.__name__
    ]
    # A class that others in the file build upon and that cannot run itself is their base, not a plugin.
    return [
        cls
        for cls in dict.fromkeys(own)
        if not (inspect.isabstract(cls) and any(other is not cls and issubclass(other, cls) for other in own))
    ]


def metadata_of(plugin: Any, name: str = "", version: str = "") -> PluginMetadata:
    """Return what a plugin says of itself, or what can be said of one that says nothing.

    ``get_metadata`` may be a classmethod, a staticmethod or an instance method (a class is then instantiated
    without arguments). Raises :class:`PluginError` where the answer is no ``PluginMetadata``, and
    whatever the plugin raises.
    """
    if not callable(getattr(plugin, "get_metadata", None)):
        return _described(plugin, name, version)
    metadata = _asked(plugin)
    if not isinstance(metadata, PluginMetadata):
        raise PluginError(
            f"plugin {name or plugin!r}: get_metadata() must return a PluginMetadata, found"
            f" {type(metadata).__name__}; import it from tracelet.core.plugins",
            plugin=name,
            step="get_metadata",
        )
    return metadata


def _asked(plugin: Any) -> Any:
    static = inspect.getattr_static(plugin, "get_metadata")
    if isinstance(plugin, type) and not isinstance(static, (classmethod, staticmethod)):
        instance: Any = plugin()
        return instance.get_metadata()
    return plugin.get_metadata()


def _described(plugin: Any, name: str, version: str) -> PluginMetadata:
    hooks = dict(hook_functions(plugin))
    kinds = [kind for hook, kind in _TYPE_BY_HOOK.items() if hook in hooks]
    owner = plugin if inspect.isclass(plugin) or isinstance(plugin, ModuleType) else type(plugin)
    document = inspect.getdoc(plugin) or ""
    return PluginMetadata(
        name=name or owner.__name__,
        version=str(getattr(plugin, "__version__", "") or version or "0"),
        type=kinds[0] if kinds else PluginType.FRAMEWORK,
        description=document.strip().partition("\n")[0],
    )
