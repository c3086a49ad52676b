"""``tracelet plugins``: list plugins and describe one; ``check`` and ``new`` have their own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.app import LazyGroup
from tracelet.cli.options import global_options, plugin_options
from tracelet.cli.output import json_option, show_result

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.views.screen import Screen


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    lazy_commands={
        "list": "tracelet.cli.commands.plugins:list_all",
        "info": "tracelet.cli.commands.plugins:info",
        "check": "tracelet.cli.commands.plugins_check:check",
        "new": "tracelet.cli.commands.plugins_new:new",
    },
)
@plugin_options
@json_option
@click.pass_context
def plugins(ctx: click.Context) -> None:
    """List, describe, check and create plugins."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_all)


@click.command("list")
@plugin_options
@json_option
def list_all() -> None:
    """List all available plugins, and whether a run would use them.

    Plugins that a run in this folder would use are loaded and validated. The others are only listed, from the
    metadata of their distributions; none of their code is imported.
    """
    from tracelet.cli.views.plugin_tables import describe_plugins

    manager = global_options().manager()
    listed = describe_plugins(manager)
    root = manager.config.root if manager.config else None
    show_result(lambda: {"root": root, **listed}, lambda screen: _print_list(screen, listed))


def _print_list(screen: Screen, listed: dict[str, Any]) -> None:
    from tracelet.cli.views.plugin_tables import format_plugin_rows

    if not listed["plugins"]:
        screen.line("no plugins found")
    else:
        heads = ("name", "version", "type", "state", "origin")
        screen.table(heads, format_plugin_rows(screen, listed["plugins"]), whole=heads[:4])
    problems = [plugin["error"] for plugin in listed["plugins"] if plugin["error"]]
    for problem in dict.fromkeys([*problems, *listed["problems"]]):
        screen.blank()
        screen.problem(problem, label="error" if problem in problems else "warning", style="red")
    for plugin in listed["plugins"]:
        if plugin["unavailable"]:
            screen.blank()
            screen.line((f"{plugin['name']} is not available here: {plugin['unavailable']}", "dim"))
    idle = sum(plugin["activated"] is None for plugin in listed["plugins"])
    if idle:
        screen.blank()
        hint = (
            "activate one with -p NAME, or with plugins = [NAME] or a table [plugins.NAME] in tracelet.toml"
        )
        screen.line((f"{idle} not in use: {hint}", "dim"))


@click.command("info")
@click.argument("name")
@plugin_options
@json_option
def info(name: str) -> None:
    """Load plugin NAME and show everything known about it."""
    from tracelet.cli.diagnostics import suggest
    from tracelet.cli.views.plugin_tables import describe_plugin
    from tracelet.errors import UsageError

    options = global_options()
    manager = options.manager()
    if name not in manager.plugins and name not in options.plugins:
        options.plugins.append(name)  # an importable module is found in the same way as by -p
        manager = options.manager()
    if name not in manager.plugins:
        known = [each for each in manager.plugins if each != name]
        raise UsageError(f"no plugin is named {name!r}{suggest(name, known)} ('tracelet plugins' lists all)")
    plugin = describe_plugin(manager, name)
    show_result(lambda: plugin, lambda screen: _print_info(screen, plugin))


def _print_info(screen: Screen, plugin: dict[str, Any]) -> None:
    from tracelet.cli.views.formatting import format_duration
    from tracelet.cli.views.screen import join_parts, state_text

    screen.line(
        (plugin["name"], "bold"), f" {plugin['version'] or ''}".rstrip(), "  ", state_text(plugin["state"])
    )
    if plugin["description"]:
        screen.line(plugin["description"])
    screen.blank()
    plain_fields = ("type", "author", "origin", "module", "requires_tracelet")
    for field in plain_fields:
        if plugin[field]:
            screen.field(field.replace("_tracelet", ""), str(plugin[field]), width=12)
    for field in ("dependencies", "capabilities", "hooks"):
        if plugin[field]:
            screen.field(field, ", ".join(plugin[field]), width=12)
    if plugin["import_seconds"] is not None:
        screen.field("import", format_duration(plugin["import_seconds"]), width=12)
    screen.field("in use", join_parts(_describe_use(plugin)), width=12)
    if plugin["error"]:
        screen.blank()
        screen.problem(plugin["error"], label="error", style="red")
    _print_mapping(screen, plugin)
    _print_schema(screen, plugin)


def _print_mapping(screen: Screen, plugin: dict[str, Any]) -> None:
    if plugin["mapping"]:
        screen.blank()
        screen.line(("What the destination cannot hold", "bold"))
        screen.table(("recorded", "stored as"), plugin["mapping"].items(), indent=2)


def _describe_use(plugin: dict[str, Any]) -> str:
    if plugin["activated"] == "default":
        return f"yes, by default; -p no:{plugin['name']} turns it off"
    if plugin["activated"] == "dependency":
        return "yes, because another plugin depends on it"
    if plugin["activated"] == "asked":
        return f"yes; -p no:{plugin['name']} turns it off"
    if plugin["activated"] == "unavailable":
        return f"on by default, but not available here: {plugin['unavailable']}"
    return f"no; -p {plugin['name']}, or a table [plugins.{plugin['name']}] in tracelet.toml, turns it on"


def _print_schema(screen: Screen, plugin: dict[str, Any]) -> None:
    if not plugin["config"]:
        return
    screen.blank()
    screen.line((f"[plugins.{plugin['name']}]", "bold"))
    rows = [(key["key"], key["type"], _format_default(key), key["description"]) for key in plugin["config"]]
    screen.table(("key", "type", "default", "description"), rows, whole=("key", "type"), indent=2)


def _format_default(key: dict[str, Any]) -> Text:
    """Return the default value of a key as TOML would write it."""
    import json

    from rich.text import Text

    from tracelet_hookspecs.strict_json import to_json

    if key["required"]:
        return Text("required", "yellow")
    if key["default"] is None:
        return Text("")
    return Text(json.dumps(to_json(key["default"]), ensure_ascii=False))
