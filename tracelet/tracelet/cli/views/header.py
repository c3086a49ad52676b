"""What ``tracelet run`` prints before the program: where it is, and which plugins are at work."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from rich.text import Text

import tracelet
from tracelet.cli.views.plugins import near
from tracelet.cli.views.screen import joined
from tracelet.config.variables import slips
from tracelet_hookspecs import PluginInfo, PluginState

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.config import Config
    from tracelet.host.plugins import PluginManager
    from tracelet.run import Run


def print_header(screen: Screen, run: Run, config: Config, *, trace: bool = False) -> None:
    """Print the header."""
    dot = f" {screen.dot} "
    screen.rule(("tracelet run", "bold"))
    about = ("tracelet " + tracelet.__version__, f"Python {platform.python_version()}", sys.platform)
    screen.line(dot.join(about))
    screen.field("root", near(config.root))
    screen.field("config", _config_file(config))
    if config.mode == "disabled":
        screen.field("run", ("disabled: nothing is recorded", "yellow"))
    else:
        screen.field("run", (run.name, "bold"), (f"{dot}project {run.project}", "dim"))
        screen.field("folder", near(run.dir))
    if config.mode == "offline":
        screen.field("mode", ("offline: backends get their points when it is online again", "yellow"))
    _print_plugins(screen, run, config, trace=trace)
    screen.rule()
    screen.flush()


def _config_file(config: Config) -> str:
    if config.file is None:
        return "no file, defaults only" if not config.sources else ", ".join(config.sources)
    return near(config.file) if config.file.parent != config.root else config.file.name


def _print_plugins(screen: Screen, run: Run, config: Config, *, trace: bool) -> None:
    manager = run.plugins.manager
    if manager is None:
        failures = run.plugins.failures()
    else:
        screen.field("plugins", _plugins_at_work(screen, manager))
        failures = run.plugins.failures()
        for line in _lines_of_plugins(run, config):
            screen.line(line)
    if trace and manager is not None:
        from tracelet.cli.views.tracing import print_plugins

        print_plugins(screen, manager)
    if not run.plugins.ready.is_set():
        screen.problem("some plugins are still starting; the program starts without waiting for them")
    for failure in dict.fromkeys([*slips(os.environ), *failures]):
        screen.problem(failure)


def _lines_of_plugins(run: Run, config: Config) -> list[str]:
    """Return what the plugins' ``report_header`` hooks say."""
    from tracelet.run.run_plugins import report_lines

    return report_lines(run.plugins.call_hook("report_header", config=config.masked()))


def _plugins_at_work(screen: Screen, manager: PluginManager) -> Text:
    working = [info for info in manager.plugins.values() if info.state is PluginState.ACTIVE]
    if not working:
        return Text("none", "dim")
    names: list[Text] = []
    told: set[str] = set()
    for info in working:
        origin = "" if info.origin in told else _origin(info)
        names.append(joined(info.name, _version(info), (origin, "dim")))
        told.add(info.origin)  # of several plugins in one file, the first has it
    return Text(", ").join(names)


def _version(info: PluginInfo) -> str:
    return "" if info.metadata.version in ("", "0") else f" {info.metadata.version}"


def _origin(info: PluginInfo) -> str:
    """Say in a word where a plugin comes from; those that ship with tracelet need none."""
    origin = info.origin
    if origin.startswith("entry point of "):
        distribution = origin.removeprefix("entry point of ").partition(" ")[0]
        return "" if distribution == "tracelet" else f" ({distribution})"
    if origin.endswith(f"{info.name}.py"):
        return ""  # the plugin is the file, and is called after it
    return f" ({near(origin)})"
