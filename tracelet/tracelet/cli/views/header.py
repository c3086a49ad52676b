"""What ``tracelet run`` prints before the program: the project, the run and the active plugins."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from rich.text import Text

import tracelet
from tracelet.cli.views.formatting import shorten_path
from tracelet.cli.views.screen import join_parts
from tracelet.config.variables import slips
from tracelet_hookspecs import PluginInfo, PluginState

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Part, Screen
    from tracelet.config import Config
    from tracelet.host.plugins import PluginManager
    from tracelet.run import Run


def print_header(
    screen: Screen, run: Run, config: Config, *, name: str | None = None, trace: bool = False
) -> None:
    """Print the header. ``name`` is the run's name if the user chose one; the program may still choose another."""
    screen.rule(("tracelet run", "bold"))
    about = ("tracelet " + tracelet.__version__, f"Python {platform.python_version()}", sys.platform)
    screen.line(f" {screen.dot} ".join(about))
    screen.field("root", shorten_path(config.root))
    screen.field("config", _describe_config_file(config))
    if config.mode == "disabled":
        screen.field("run", ("disabled: nothing is recorded", "yellow"))
    else:
        screen.field("run", *_describe_run(screen, run, name))
        screen.field("folder", shorten_path(run.dir))
    if config.mode == "offline":
        screen.field(
            "mode", ("offline: backends receive their points once the mode is online again", "yellow")
        )
    _print_plugins(screen, run, config, trace=trace)
    screen.rule()
    screen.flush()


def _describe_run(screen: Screen, run: Run, name: str | None) -> list[Part]:
    """Return the run's id, which stays, and its name only if it is not one that tracelet made up."""
    named: list[Part] = [(name, "bold"), f" {screen.dot} "] if name else []
    return [*named, (run.id, "cyan" if name else "bold"), (f" {screen.dot} project {run.project}", "dim")]


def _describe_config_file(config: Config) -> str:
    if config.file is None:
        return "no file, defaults only" if not config.sources else ", ".join(config.sources)
    return shorten_path(config.file) if config.file.parent != config.root else config.file.name


def _print_plugins(screen: Screen, run: Run, config: Config, *, trace: bool) -> None:
    manager = run.plugins.manager
    if manager is None:
        failures = run.plugins.failures()
    else:
        screen.field("plugins", _describe_active_plugins(screen, manager))
        failures = run.plugins.failures()
        for line in _collect_header_lines(run, config):
            screen.line(line)
    if trace and manager is not None:
        from tracelet.cli.views.tracing import print_plugins

        print_plugins(screen, manager)
    if not run.plugins.ready.is_set():
        screen.problem("some plugins are still starting; the program starts without waiting for them")
    for failure in dict.fromkeys([*slips(os.environ), *failures]):
        screen.problem(failure)


def _collect_header_lines(run: Run, config: Config) -> list[str]:
    """Return the lines of the plugins' ``report_header`` hooks."""
    return run.plugins.report("report_header", config=config.masked())


def _describe_active_plugins(screen: Screen, manager: PluginManager) -> Text:
    active = [info for info in manager.plugins.values() if info.state is PluginState.ACTIVE]
    if not active:
        return Text("none", "dim")
    names: list[Text] = []
    named: set[str] = set()
    for info in active:
        origin = "" if info.origin in named else _describe_origin(info)
        names.append(join_parts(info.name, _describe_version(info), (origin, "dim")))
        named.add(info.origin)  # the first of several plugins in a file names the file
    return Text(", ").join(names)


def _describe_version(info: PluginInfo) -> str:
    return "" if info.metadata.version in ("", "0") else f" {info.metadata.version}"


def _describe_origin(info: PluginInfo) -> str:
    """Return where a plugin comes from in a word, or nothing for those that ship with tracelet."""
    origin = info.origin
    if origin.startswith("entry point of "):
        distribution = origin.removeprefix("entry point of ").partition(" ")[0]
        return "" if distribution == "tracelet" else f" ({distribution})"
    if origin.endswith(f"{info.name}.py"):
        return ""  # the plugin is the file and has its name
    return f" ({shorten_path(origin)})"
