"""Plugins as data, for ``--json``, and as rows of a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from tracelet.cli.diagnostics import suggest
from tracelet.cli.views.formatting import shorten_path
from tracelet.cli.views.screen import state_text, styled_text
from tracelet.errors import ConfigError
from tracelet.secrets import MASK, holds_secret, is_secret_key, mask, redact
from tracelet_hookspecs import PluginInfo, PluginState

UNAVAILABLE: Final = "unavailable"

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.host.plugins import PluginManager


def describe_plugins(manager: PluginManager) -> dict[str, Any]:
    """Describe every plugin. Those that a run in this folder would use are loaded and validated first."""
    use = _load_active_plugins(manager)
    listed = [_summarize_plugin(info, use.get(name)) for name, info in manager.plugins.items()]
    errors = {plugin["error"] for plugin in listed}
    problems = [*map(redact, manager.problems), *_find_unknown(manager, use)]
    return {
        "plugins": sorted(listed, key=_sort_key),
        "problems": [problem for problem in dict.fromkeys(problems) if problem not in errors],
    }


def describe_plugin(manager: PluginManager, name: str) -> dict[str, Any]:
    """Load, validate and describe one plugin."""
    info = manager.plugins[name]
    use = _load_active_plugins(manager)
    if info.state is not PluginState.ERROR:
        manager.validate_plugin(name)
    metadata = info.metadata
    return {
        **_summarize_plugin(info, use.get(name)),
        "requires_tracelet": metadata.requires_tracelet or None,
        "dependencies": list(metadata.dependencies),
        "capabilities": sorted(map(str, metadata.capabilities)),
        "mapping": _describe_mapping(metadata.mapping),
        "isolation": _find_isolation(manager, info),
        "hooks": _find_hooks(manager, info),
        "config": list(_describe_keys(metadata.config_schema)),
        "import_seconds": info.timings.get("import"),
        "traceback": info.traceback,
    }


def _describe_mapping(mapping: Any) -> dict[str, str]:
    """Return a backend's mapping as texts. Validation reports one that is not a dict."""
    return {str(what): str(becomes) for what, becomes in mapping.items()} if type(mapping) is dict else {}


def _find_isolation(manager: PluginManager, info: PluginInfo) -> str:
    """Return where a plugin runs: in a thread, or in a separate process."""
    try:
        return manager.options(info.name).isolation or info.metadata.isolation
    except ConfigError:  # its table has faults, which are reported elsewhere
        return info.metadata.isolation


def _load_active_plugins(manager: PluginManager) -> dict[str, str]:
    """Return why each plugin is active (``asked``, ``default``, ``dependency``), or that it is ``unavailable``."""
    chosen = manager.select_plugins()
    use = {name: "asked" if asked else "default" for name, asked in chosen.items()}
    use |= dict.fromkeys(_find_dependencies(manager, chosen), "dependency")
    manager.validate_plugins(
        name for name, info in manager.plugins.items() if name in use and info.state < PluginState.VALIDATED
    )
    for name, info in manager.plugins.items():
        if name not in use and info.unavailable:
            use[name] = UNAVAILABLE
    return use


def _find_dependencies(manager: PluginManager, chosen: Collection[str]) -> list[str]:
    """Return the plugins that a run would start only because others depend on them."""
    try:
        needed = manager.resolve_dependencies(name for name in chosen if name in manager.plugins)
    except ValueError:  # a cycle, which the validation of its members reports
        return []
    config = manager.config
    return [
        name for name in needed if name not in chosen and not (config is not None and config.is_off(name))
    ]


def _find_unknown(manager: PluginManager, use: Mapping[str, str]) -> Iterator[str]:
    """Yield a message for each requested plugin that does not exist."""
    for name in use:
        if name not in manager.plugins:
            yield f"no plugin is named {name!r}{suggest(name, manager.plugins)}"


def _summarize_plugin(info: PluginInfo, use: str | None) -> dict[str, Any]:
    kind = info.metadata.type
    return {
        "name": info.name,
        "version": info.metadata.version or None,
        "type": kind.value if kind is not None else None,
        "state": info.state.name.lower(),
        "activated": use,
        "origin": info.origin,
        "description": info.metadata.description or None,
        "author": info.metadata.author or None,
        "module": ":".join(filter(None, (info.module_path, info.class_name))) or None,
        "error": redact(info.error) if info.error else None,
        "unavailable": redact(info.unavailable) if info.unavailable else None,
    }


def _sort_key(plugin: Mapping[str, Any]) -> tuple[bool, str]:
    """Sort active plugins first, then by name."""
    return plugin["activated"] is None, plugin["name"]


def format_plugin_rows(screen: Screen, plugins: list[dict[str, Any]]) -> Iterator[list[str | Text]]:
    """Yield a row of the table for each plugin."""
    for plugin in plugins:
        word = plugin["state"] if plugin["activated"] != UNAVAILABLE else UNAVAILABLE
        yield [
            styled_text(
                plugin["name"], "bold" if plugin["activated"] in ("asked", "default", "dependency") else ""
            ),
            plugin["version"] or screen.dash,
            plugin["type"] or screen.dash,
            state_text(word),
            styled_text(shorten_path(plugin["origin"]), "dim"),
        ]


def _find_hooks(manager: PluginManager, info: PluginInfo) -> list[str]:
    """Return the hooks that a loaded plugin implements; ``(wrapper)`` marks wrappers."""
    from tracelet.host.discovery import has_lifecycle, hook_functions

    plugin = info.instance
    if plugin is None:
        return []
    found: dict[str, str] = {}
    for name, function in hook_functions(plugin):
        options = function.tracelet_impl
        hook = options.get("specname") or name
        found[hook] = f"{hook} (wrapper)" if options.get("wrapper") or options.get("hookwrapper") else hook
    if has_lifecycle(plugin):
        for name in manager.pluggy.hook_names():
            if callable(getattr(plugin, name, None)):
                found.setdefault(name, name)
    return [found[name] for name in manager.pluggy.hook_names() if name in found] + [
        shown for name, shown in found.items() if name not in manager.pluggy.hook_names()
    ]


def _describe_keys(schema: Any, prefix: str = "") -> Iterator[dict[str, Any]]:
    """Yield a description of each key that a ``config_schema`` of any form declares, nested keys included."""
    if getattr(schema, "__attrs_attrs__", None) is not None:
        for field in schema.__attrs_attrs__:
            if field.init:
                yield _describe_attrs_key(field, prefix)
                if field.type is not schema:
                    yield from _describe_keys(field.type, f"{prefix}{field.alias}.")
    elif isinstance(schema, Mapping):
        from tracelet.config.validation.forms import is_json_schema

        json_schema = is_json_schema(schema)
        named = schema.get("required") if json_schema else ()
        required = set(named) if isinstance(named, (list, tuple)) else set()
        fields = schema.get("properties", {}) if json_schema else schema
        for name, field in fields.items():
            if isinstance(field, Mapping):
                needed = name in required or field.get("required") is True
                yield _describe_schema_key(f"{prefix}{name}", field, required=needed)
                yield from _describe_nested_keys(field, f"{prefix}{name}")


def _describe_nested_keys(field: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield the keys of a table, or of the tables in an array (``servers[].host``)."""
    items = field.get("items")
    if isinstance(field.get("properties"), Mapping):
        yield from _describe_keys({**field, "type": "object"}, f"{name}.")
    elif isinstance(items, Mapping) and isinstance(items.get("properties"), Mapping):
        yield from _describe_keys({**items, "type": "object"}, f"{name}[].")


def _describe_schema_key(name: str, field: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    kind = field.get("type", "any")
    return _describe_key(
        name,
        " or ".join(map(str, kind)) if isinstance(kind, (list, tuple)) else str(kind),
        required=required and "default" not in field,
        secret=bool(field.get("secret")),
        description=str(field.get("description", "")),
        **({"default": field["default"]} if "default" in field else {}),
    )


def _describe_attrs_key(field: Any, prefix: str) -> dict[str, Any]:
    import attrs

    kind = getattr(field.type, "__name__", None) or str(field.type or "any")
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = default.factory() if not default.takes_self else attrs.NOTHING
    return _describe_key(
        prefix + field.alias,
        kind,
        required=field.default is attrs.NOTHING,
        secret=bool(field.metadata.get("secret")),
        description=str(field.metadata.get("description", "")),
        **({"default": default} if default is not attrs.NOTHING else {}),
    )


def _describe_key(
    name: str, kind: str, *, required: bool, secret: bool, description: str, **default: Any
) -> dict[str, Any]:
    value = default.get("default")
    hidden = secret or holds_secret(name, value)
    return {
        "key": name,
        "type": kind,
        "required": required,
        "secret": hidden or is_secret_key(name),
        "default": MASK if hidden and value is not None else mask(value),
        "description": description,
    }
