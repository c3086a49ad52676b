"""Plugins as data: what ``tracelet plugins`` shows and its ``--json`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from tracelet.cli.mistakes import closest
from tracelet.cli.views.screen import state
from tracelet.messages import plain
from tracelet.secrets import MASK, is_secret_key, redact
from tracelet_hookspecs import PluginInfo, PluginState

UNAVAILABLE: Final = "unavailable"

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.host.plugins import PluginManager


def all_plugins(manager: PluginManager) -> dict[str, Any]:
    """Describe every plugin. Those that a run here would use are loaded and validated first."""
    use = _load_those_in_use(manager)
    listed = [_short(info, use.get(name)) for name, info in manager.plugins.items()]
    errors = {plugin["error"] for plugin in listed}
    problems = [*map(redact, manager.problems), *_unknown(manager, use)]
    return {
        "plugins": sorted(listed, key=_order),
        "problems": [problem for problem in dict.fromkeys(problems) if problem not in errors],
    }


def one_plugin(manager: PluginManager, name: str) -> dict[str, Any]:
    """Describe one plugin, loaded and validated."""
    info = manager.plugins[name]
    use = _load_those_in_use(manager)
    if info.state is not PluginState.ERROR:
        manager.validate_plugin(name)
    metadata = info.metadata
    return {
        **_short(info, use.get(name)),
        "requires_tracelet": metadata.requires_tracelet or None,
        "dependencies": list(metadata.dependencies),
        "capabilities": sorted(map(str, metadata.capabilities)),
        "isolation": metadata.isolation,
        "hooks": _hooks(manager, info),
        "config": list(_config_keys(metadata.config_schema)),
        "import_seconds": info.timings.get("import"),
        "traceback": info.traceback,
    }


def _load_those_in_use(manager: PluginManager) -> dict[str, str]:
    """Return how each plugin in use comes to be so: ``asked``, ``default``; or ``unavailable``."""
    chosen = manager.select_plugins()
    use = {name: "asked" if asked else "default" for name, asked in chosen.items()}
    for name, info in manager.plugins.items():
        if name in use and info.state < PluginState.VALIDATED:
            manager.validate_plugin(name)
        elif name not in use and info.unavailable:
            use[name] = UNAVAILABLE
    return use


def _unknown(manager: PluginManager, use: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each plugin that was asked for and that nobody has."""
    for name in use:
        if name not in manager.plugins:
            yield f"no plugin is named {name!r}{closest(name, manager.plugins)}"


def _short(info: PluginInfo, use: str | None) -> dict[str, Any]:
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


def _order(plugin: Mapping[str, Any]) -> tuple[bool, str]:
    """Those in use first, then by name."""
    return plugin["activated"] is None, plugin["name"]


def plugin_rows(screen: Screen, plugins: list[dict[str, Any]]) -> Iterator[list[str | Text]]:
    """Yield a row of the table for each plugin."""
    for plugin in plugins:
        word = plugin["state"] if plugin["activated"] != UNAVAILABLE else UNAVAILABLE
        yield [
            Text(plain(plugin["name"]), "bold" if plugin["activated"] in ("asked", "default") else ""),
            plugin["version"] or screen.dash,
            plugin["type"] or screen.dash,
            state(word),
            Text(plain(near(plugin["origin"])), "dim"),
        ]


def near(path: str | Path) -> str:
    """Return a path as people would write it: below the current folder or the home folder, relative."""
    for find, prefix in ((Path.cwd, ""), (Path.home, "~/")):
        try:
            base = find()
        except (OSError, RuntimeError):
            continue  # the folder has been removed, or there is no home
        if base in Path(path).parents:
            return prefix + str(Path(path).relative_to(base))
    return str(path)


def _hooks(manager: PluginManager, info: PluginInfo) -> list[str]:
    """Return the hooks that a loaded plugin implements; ``(wrapper)`` marks those it wraps."""
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


def _config_keys(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a description per key that a ``config_schema`` of any form declares."""
    if getattr(schema, "__attrs_attrs__", None) is not None:
        yield from map(_attrs_key, (field for field in schema.__attrs_attrs__ if field.init))
    elif isinstance(schema, Mapping):
        from tracelet.config.validation.forms import is_json_schema

        json_schema = is_json_schema(schema)
        required = set(schema.get("required", ())) if json_schema else set()
        fields = schema.get("properties", {}) if json_schema else schema
        for name, field in fields.items():
            if isinstance(field, Mapping):
                yield _key(str(name), field, required=name in required or field.get("required") is True)


def _key(name: str, field: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    kind = field.get("type", "any")
    return _key_row(
        name,
        " or ".join(map(str, kind)) if isinstance(kind, (list, tuple)) else str(kind),
        required=required and "default" not in field,
        secret=bool(field.get("secret")),
        description=str(field.get("description", "")),
        **({"default": field["default"]} if "default" in field else {}),
    )


def _attrs_key(field: Any) -> dict[str, Any]:
    import attrs

    kind = getattr(field.type, "__name__", None) or str(field.type or "any")
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = default.factory() if not default.takes_self else attrs.NOTHING
    return _key_row(
        field.alias,
        kind,
        required=field.default is attrs.NOTHING,
        secret=bool(field.metadata.get("secret")),
        description=str(field.metadata.get("description", "")),
        **({"default": default} if default is not attrs.NOTHING else {}),
    )


def _key_row(
    name: str, kind: str, *, required: bool, secret: bool, description: str, **default: Any
) -> dict[str, Any]:
    secret = secret or is_secret_key(name)
    value = default.get("default")
    return {
        "key": name,
        "type": kind,
        "required": required,
        "secret": secret,
        "default": MASK if secret and value is not None else value,
        "description": description,
    }
