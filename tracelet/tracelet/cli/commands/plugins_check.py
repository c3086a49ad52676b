"""``tracelet plugins check``: load and validate a plugin and report every fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tracelet.cli.options import global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.host.plugins import PluginManager


class CheckedPlugin(NamedTuple):
    """One plugin and its faults."""

    name: str
    version: str | None
    type: str | None
    origin: str
    faults: list[str]


@click.command("check")
@click.argument("what", metavar="PATH_OR_NAME")
@plugin_options
@json_option
def check(what: str) -> int:
    """Load and validate a plugin without a run, and report every fault.

    PATH_OR_NAME is a .py file or a folder of them, the name of a plugin, or an importable module
    (package.module or package.module:Class). The exit status is 1 if there are faults.
    """
    checked = list(_check(what))
    faulty = any(one.faults for one in checked)
    show_result(
        lambda: {"ok": not faulty, "plugins": [one._asdict() for one in checked]},
        lambda screen: _print(screen, checked),
    )
    return 1 if faulty else 0


def _check(what: str) -> Iterator[CheckedPlugin]:
    options = global_options()
    path = Path(what)
    if path.suffix == ".py" or path.exists():
        yield from _check_path(path, options.manager())
        return
    if what not in options.plugins:
        options.plugins.append(what)
    manager = options.manager()
    names = _find_plugins(what, manager)
    for name in names:
        yield _check_one(manager, name, manager)


def _check_path(path: Path, others: PluginManager) -> Iterator[CheckedPlugin]:
    """Check the plugins in a file or folder, even if other plugins have the same names."""
    from tracelet.errors import UsageError
    from tracelet.host.plugins import PluginManager

    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if path.is_file() and path.suffix != ".py":
        raise UsageError(f"{path}: expected a Python file (.py), a folder of them, or the name of a plugin")
    alone = PluginManager([path], use_default_paths=False)
    alone.discover_plugins()
    if not alone.plugins:
        fault = "contains neither hook implementations nor plugin classes; decorate a function with"
        yield CheckedPlugin(
            path.name, None, None, str(path), [f"{fault} @tracelet.hookimpl, or subclass a base class"]
        )
    for name in list(alone.plugins):
        yield _check_one(alone, name, others)
    reported = {info.error for info in alone.plugins.values()}
    if problems := [problem for problem in alone.problems if problem not in reported]:
        yield CheckedPlugin(path.name, None, None, str(path), problems)


def _find_plugins(what: str, manager: PluginManager) -> list[str]:
    """Return the names of the plugins that a name or module refers to."""
    from tracelet.cli.diagnostics import suggest
    from tracelet.errors import UsageError

    if what in manager.plugins:
        return [what]
    module = f"module {what}"
    names = [name for name, info in manager.plugins.items() if info.origin == module]
    if not names:
        hint = suggest(what, manager.plugins)
        raise UsageError(f"{what!r} is neither a file nor an available plugin nor an importable module{hint}")
    return names


def _check_one(manager: PluginManager, name: str, others: PluginManager) -> CheckedPlugin:
    from tracelet.secrets import redact
    from tracelet_hookspecs import PluginState

    info = manager.plugins[name]
    if info.state is PluginState.ERROR or not manager.load_plugin(name):
        faults = [info.error or "cannot be loaded"]
    else:
        faults = list(_find_faults(manager, name, {**others.plugins, **manager.plugins}))
    kind = info.metadata.type
    return CheckedPlugin(
        name,
        str(info.metadata.version) or None,
        kind.value if kind is not None else None,
        info.origin,
        [redact(fault) for fault in faults],
    )


def _find_faults(manager: PluginManager, name: str, known: dict[str, Any]) -> Iterator[str]:
    """Yield what keeps a loaded plugin from working here: faults of the plugin and of its configuration."""
    import tracelet
    from tracelet.errors import PluginError
    from tracelet.host.plugins import checks

    info = manager.plugins[name]

    def examine() -> list[str]:
        return list(checks.plugin_faults(info.instance, info, manager.pluggy, known, tracelet.__version__))

    try:
        yield from manager.handle(name).submit(examine, step="import")
    except PluginError as error:
        yield str(error)
    yield from find_configuration_faults(manager, name)


def find_configuration_faults(manager: PluginManager, name: str) -> Iterator[str]:
    """Yield the faults of a plugin's schema, and of its table in the project's configuration, if any."""
    from tracelet.config.validation import check_schema, declared_keys, validate
    from tracelet.errors import ConfigError

    schema = manager.plugins[name].metadata.config_schema
    if faults := check_schema(schema):
        yield from faults
        return
    config = manager.config or global_options().config()
    if name not in config.tables:
        return

    def check(own: dict[str, Any]) -> None:
        validate(schema, own, path=f"plugins.{name}")

    try:
        check(config.plugin_config(name, declared_keys(schema), check=check)[1])
    except ConfigError as error:
        yield from error.faults


def _print(screen: Screen, checked: list[CheckedPlugin]) -> None:
    from tracelet.cli.views.formatting import pluralize, shorten_path

    for one in checked:
        good = not one.faults
        mark = ("ok", "green") if good else ("faulty", "bold red")
        about = " ".join(filter(None, (one.version, one.type)))
        screen.line(
            mark,
            " ",
            (one.name, "bold"),
            f" {about}" if about else "",
            (f"  {shorten_path(one.origin)}", "dim"),
        )
        for fault in one.faults:
            screen.line(("- ", "red"), fault, indent=2)
    faults = sum(len(one.faults) for one in checked)
    if faults:
        screen.line((f"{pluralize(faults, 'fault')} in {pluralize(len(checked), 'plugin')}", "bold red"))
