"""Options that many commands share, before or after the command's name, as pytest takes them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.host.plugins import PluginManager
    from tracelet.store import Store

F = TypeVar("F", bound=Callable[..., Any])


class Choices:
    """What the user chose on the command line, wherever the options stood."""

    def __init__(self) -> None:
        self.plugins: list[str] = []
        self.dir: str | None = None
        self.project: str | None = None
        self.strict = False
        self.json = False
        self.trace_config = False

    def config(self, program: Path | None = None, **more: Any) -> Config:
        """Load the configuration, of the current folder's project or a program's, with these choices on top."""
        given = {"dir": self.dir, "project": self.project, "strict": self.strict or None, **more}
        chosen = {key: value for key, value in given.items() if value is not None}
        if program is None:
            from tracelet.config import load_config

            config = load_config(command_line=chosen, cli_plugins=self.plugins)
        else:
            from tracelet.config import program_config

            config = program_config(program, {}, command_line=chosen, cli_plugins=self.plugins)
        if self.trace_config:
            from tracelet.cli.views.tracing import trace_sources

            trace_sources(config)
        return config

    def manager(self, config: Config | None = None) -> PluginManager:
        """Return a manager that has looked into every source of plugins.

        Modules beside the user can be named, as for a program that stands there; they hide no installed ones.
        """
        from tracelet.cli.telling import hush
        from tracelet.host.plugins import PluginManager

        hush()
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        manager = PluginManager(config=config or self.config())
        manager.discover_plugins()
        return manager

    def store(self) -> Store:
        """Open the store that the configuration names."""
        from tracelet.errors import StoreError
        from tracelet.store import open_store

        folder = self.config().dir
        if not folder.exists():
            raise StoreError(
                f"nothing has been recorded in {folder}; tracelet run SCRIPT does, --dir names another"
            )
        return open_store(folder)


def choices(ctx: click.Context | None = None) -> Choices:
    """Return the choices of this invocation of the command line."""
    ctx = click.get_current_context() if ctx is None else ctx
    found: Choices = ctx.find_root().ensure_object(Choices)
    return found


def _keep(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            setattr(choices(ctx), attribute, value)

    return callback


def _add_plugins(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> None:
    choices(ctx).plugins.extend(value)


def plugin_options(command: F) -> F:
    """Add ``-p``, ``--strict-plugins`` and ``--trace-config``."""
    command = click.option(
        "-p",
        "plugins",
        multiple=True,
        metavar="NAME",
        expose_value=False,
        callback=_add_plugins,
        help="Activate a plugin (a name, a module); no:NAME blocks one. May be repeated.",
    )(command)
    command = click.option(
        "--strict-plugins",
        is_flag=True,
        expose_value=False,
        callback=_keep("strict"),
        help="Let a plugin that fails stop the program.",
    )(command)
    return click.option(
        "--trace-config",
        is_flag=True,
        expose_value=False,
        callback=_keep("trace_config"),
        help="Show where configuration and plugins come from.",
    )(command)


def place_options(command: F) -> F:
    """Add ``--dir``."""
    return click.option(
        "--dir",
        metavar="DIR",
        expose_value=False,
        callback=_keep("dir"),
        help="Where the data live, in place of .tracelet at the project's root.",
    )(command)


def project_option(command: F) -> F:
    """Add ``--project``."""
    return click.option(
        "--project",
        metavar="NAME",
        expose_value=False,
        callback=_keep("project"),
        help="The project.",
    )(command)


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option(
        "--json", is_flag=True, expose_value=False, callback=_keep("json"), help="Print JSON."
    )(command)


def pairs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Take ``key=value``, repeated, apart. For use as an option's callback."""
    taken: dict[str, str] = {}
    for each in value:
        key, equals, text = each.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"expected KEY=VALUE, found {each!r}", ctx=ctx, param=param)
        taken[key.strip()] = text
    return taken
