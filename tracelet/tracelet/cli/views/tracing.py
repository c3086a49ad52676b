"""``--trace-config``: where configuration and plugins come from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tracelet.cli.views.formatting import shorten_path
from tracelet.cli.views.plugin_tables import describe_plugins, format_plugin_rows
from tracelet.cli.views.screen import Screen
from tracelet.host.projectfile import FILE_NAME

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.host.plugins import PluginManager


def trace_sources(config: Config) -> None:
    """Print on stderr which sources of configuration were used."""
    screen = Screen(sys.stderr)
    screen.field("root", str(config.root), width=14)
    screen.field("data", str(config.dir), width=14)
    screen.field("project", config.project, width=14)
    for at, source in enumerate(config.sources):
        screen.field("" if at else "configuration", source, width=14)
    if not config.sources:
        screen.field("configuration", "none: defaults only", width=14)
    for label, names in (("activated", config.plugins), ("blocked", sorted(config.blocked))):
        if names:
            screen.field(label, ", ".join(names), width=14)
    autoload = (
        f"entry points, {FILE_NAME}, plugin paths" if config.autoload else "off (built-in plugins only)"
    )
    screen.field("autoload", autoload, width=14)
    for at, path in enumerate(config.plugin_paths):
        screen.field("" if at else "plugin paths", shorten_path(path), width=14)


def trace_plugins(manager: PluginManager) -> None:
    """Print on stderr every plugin with its origin and state; those in use are loaded."""
    listed = describe_plugins(manager)
    screen = Screen(sys.stderr)
    screen.table(
        ("name", "version", "type", "state", "origin"),
        format_plugin_rows(screen, listed["plugins"]),
        whole=("name",),
    )
    for problem in listed["problems"]:
        screen.problem(problem)


def print_plugins(screen: Screen, manager: PluginManager) -> None:
    """Print the current state of every plugin of a running host."""
    rows = [
        (info.name, info.metadata.version or screen.dash, info.state.name.lower(), info.origin)
        for info in manager.plugins.values()
    ]
    screen.table(("name", "version", "state", "origin"), rows, whole=("name", "version", "state"), indent=2)
