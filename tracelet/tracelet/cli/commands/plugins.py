"""``tracelet plugins``: what there is, what one is, whether one is sound, a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tracelet.cli.app import Commands
from tracelet.cli.options import choices, json_option, plugin_options

if TYPE_CHECKING:
    from rich.text import Text

    from tracelet.cli.views.screen import Screen


@click.group(
    cls=Commands,
    invoke_without_command=True,
    later={
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
    """List plugins; tell of one, check one, begin one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_all)


@click.command("list")
@plugin_options
@json_option
def list_all() -> None:
    """List all plugins that can be found, and whether a run would use them.

    Those that a run here would use are loaded and validated; the others are only listed, from the
    metadata of their distributions, and nothing of theirs is imported.
    """
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.views import plugins
    from tracelet.cli.views.screen import Screen

    mine = choices()
    manager = mine.manager()
    listed = plugins.all_plugins(manager)
    if mine.json:
        emit_json({"root": manager.config.root if manager.config else None, **listed})
    else:
        _print_list(Screen(), listed)


def _print_list(screen: Screen, listed: dict[str, Any]) -> None:
    from tracelet.cli.views.plugins import plugin_rows

    if not listed["plugins"]:
        screen.line("no plugins found")
    else:
        heads = ("name", "version", "type", "state", "origin")
        screen.table(heads, plugin_rows(screen, listed["plugins"]), whole=heads[:4])
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
        hint = "plugins = [NAME] or a table [plugins.NAME] in tracelet.toml, or -p NAME, switches one on"
        screen.line((f"{idle} not in use: {hint}", "dim"))


@click.command("info")
@click.argument("name")
@plugin_options
@json_option
def info(name: str) -> None:
    """Tell all that is known of plugin NAME, loading it."""
    from tracelet.cli.json_output import emit_json
    from tracelet.cli.mistakes import closest
    from tracelet.cli.views import plugins
    from tracelet.cli.views.screen import Screen
    from tracelet.errors import UsageError

    mine = choices()
    manager = mine.manager()
    if name not in manager.plugins and name not in mine.plugins:
        mine.plugins.append(name)  # an importable module is found as it is by -p
        manager = mine.manager()
    if name not in manager.plugins:
        known = [each for each in manager.plugins if each != name]
        raise UsageError(f"no plugin is named {name!r}{closest(name, known)} ('tracelet plugins' lists all)")
    told = plugins.one_plugin(manager, name)
    if mine.json:
        emit_json(told)
    else:
        _print_info(Screen(), told)


def _print_info(screen: Screen, told: dict[str, Any]) -> None:
    from tracelet.cli.views.numbers import duration
    from tracelet.cli.views.screen import joined, state

    screen.line((told["name"], "bold"), f" {told['version']}", "  ", state(told["state"]))
    if told["description"]:
        screen.line(told["description"])
    screen.blank()
    plain_fields = ("type", "author", "origin", "module", "requires_tracelet")
    for field in plain_fields:
        if told[field]:
            screen.field(field.replace("_tracelet", ""), str(told[field]), width=12)
    for field in ("dependencies", "capabilities", "hooks"):
        if told[field]:
            screen.field(field, ", ".join(told[field]), width=12)
    if told["import_seconds"] is not None:
        screen.field("import", duration(told["import_seconds"]), width=12)
    screen.field("in use", joined(_use(told)), width=12)
    if told["error"]:
        screen.blank()
        screen.problem(told["error"], label="error", style="red")
    _print_schema(screen, told)


def _use(told: dict[str, Any]) -> str:
    if told["activated"] == "default":
        return f"yes, by default; -p no:{told['name']} leaves it out"
    if told["activated"] == "asked":
        return f"yes; -p no:{told['name']} leaves it out"
    if told["activated"] == "unavailable":
        return f"on by default, but not available here: {told['unavailable']}"
    return f"no; -p {told['name']}, or a table [plugins.{told['name']}] in tracelet.toml, switches it on"


def _print_schema(screen: Screen, told: dict[str, Any]) -> None:
    if not told["config"]:
        return
    screen.blank()
    screen.line((f"[plugins.{told['name']}]", "bold"))
    rows = [(key["key"], key["type"], _default(key), key["description"]) for key in told["config"]]
    screen.table(("key", "type", "default", "what it is"), rows, whole=("key", "type"), indent=2)


def _default(key: dict[str, Any]) -> Text:
    """Return what a key is where nobody says so, as TOML would have it."""
    import json

    from rich.text import Text

    from tracelet.cli.json_output import jsonable
    from tracelet.messages import plain

    if key["required"]:
        return Text("required", "yellow")
    if key["default"] is None:
        return Text("")
    return Text(plain(json.dumps(jsonable(key["default"]), ensure_ascii=False)))
