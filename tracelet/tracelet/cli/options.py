"""Options that many commands share. They may precede or follow the command's name, as with pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tracelet.errors import UsageError

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.host.plugins import PluginManager
    from tracelet.store import RunRecord, Store

F = TypeVar("F", bound=Callable[..., Any])


class GlobalOptions:
    """The values of the shared options, no matter where on the command line they were given."""

    def __init__(self) -> None:
        self.plugins: list[str] = []
        self.dir: str | None = None
        self.project: str | None = None
        self.strict = False
        self.json = False
        self.trace_config = False

    @property
    def is_lake(self) -> bool:
        """Whether --dir names a lake, which can only be read."""
        from tracelet.store.locating import refers_to_lake

        return self.dir is not None and refers_to_lake(self.dir)

    def config(self, program: Path | None = None, **more: Any) -> Config:
        """Load the configuration of a program's project, or of the current folder's, with these options on top."""
        if self.is_lake:
            raise UsageError(
                f"--dir {self.dir}: a lake can only be read, by runs, show, compare, export, plot, watch and ui; this"
                " command needs a data folder"
            )
        given = {"dir": self.dir, "project": self.project, "strict": self.strict or None, **more}
        command_line = {key: value for key, value in given.items() if value is not None}
        if program is None:
            from tracelet.config import load_config

            config = load_config(command_line=command_line, cli_plugins=self.plugins)
        else:
            from tracelet.config import program_config

            config = program_config(program, {}, command_line=command_line, cli_plugins=self.plugins)
        if self.trace_config:
            from tracelet.cli.views.tracing import trace_sources

            trace_sources(config)
        return config

    def manager(self, config: Config | None = None) -> PluginManager:
        """Return a manager that has searched every source of plugins.

        Modules in the current folder can be named too, as they can in a program there. Installed modules win.
        """
        from tracelet.cli.diagnostics import silence_logging
        from tracelet.host.plugins import PluginManager

        silence_logging()
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        manager = PluginManager(config=config or self._without_lake().config())
        manager.discover_plugins()
        return manager

    def store(self) -> Store:
        """Open the store that the configuration names, and print what the library logs about its runs."""
        from tracelet.cli.diagnostics import install_log_printer
        from tracelet.errors import StoreError
        from tracelet.store import open_store

        if self.is_lake:
            return self._open_lake(str(self.dir))
        folder = self.config().dir
        if not folder.exists():
            raise StoreError(
                f"nothing has been recorded in {folder}; 'tracelet run SCRIPT' does so, --dir names another folder"
            )
        install_log_printer().print_held()
        return _with_progress(open_store(folder))

    def _open_lake(self, url: str) -> Store:
        """Open a lake, with the options of the plugin that writes to it, if the configuration has one."""
        from tracelet.store import open_store

        return _with_progress(open_store(url, storage_options=self._without_lake().storage_options(url)))

    def storage_options(self, url: str) -> Mapping[str, Any] | None:
        """Return ``storage_options`` of the plugin whose ``url`` this is, ``None`` if there is none."""
        for table in self.config().tables.values():
            if str(table.get("url", "")).rstrip("/") == url.rstrip("/") and table.get("storage_options"):
                return dict(table["storage_options"])
        return None

    def _without_lake(self) -> GlobalOptions:
        """Return these options for what has nothing to do with the runs."""
        if not self.is_lake:
            return self
        other = GlobalOptions()
        other.__dict__.update({**self.__dict__, "dir": None})
        return other

    def store_of(self, record: RunRecord) -> Store:
        """Return the store that a run belongs to, which is another one if the run was given by its path."""
        from tracelet.layout import RUNS_FOLDER
        from tracelet.store import open_store

        if self.is_lake:
            return self.store()
        runs = record.dir.parent
        return open_store(runs.parent if runs.name == RUNS_FOLDER else record.dir)

    def find_run(self, key: str) -> RunRecord:
        """Return a run of the store, or the run whose folder the key is the path of, wherever that is."""
        path = Path(key).expanduser()
        if os.sep in key and path.is_dir():
            from tracelet.store import open_store

            return open_store(path).run()
        return self.store().run(key)


def _with_progress(store: Store) -> Store:
    from tracelet.cli.views.progress import index_progress

    if (progress := index_progress()) is not None:
        store.report_progress(progress)
    return store


def global_options(ctx: click.Context | None = None) -> GlobalOptions:
    """Return the shared options of this invocation of the command line."""
    ctx = click.get_current_context() if ctx is None else ctx
    found: GlobalOptions = ctx.find_root().ensure_object(GlobalOptions)
    return found


def _store_as(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            setattr(global_options(ctx), attribute, value)

    return callback


def _add_plugins(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> None:
    global_options(ctx).plugins.extend(value)


def plugin_options(command: F) -> F:
    """Add ``-p``, ``--strict-plugins`` and ``--trace-config``."""
    command = click.option(
        "-p",
        "plugins",
        multiple=True,
        metavar="NAME",
        expose_value=False,
        callback=_add_plugins,
        help="Activate a plugin, given by name or module; no:NAME blocks one. Repeatable.",
    )(command)
    command = click.option(
        "--strict-plugins",
        is_flag=True,
        expose_value=False,
        callback=_store_as("strict"),
        help="Stop the program if a plugin fails.",
    )(command)
    return click.option(
        "--trace-config",
        is_flag=True,
        expose_value=False,
        callback=_store_as("trace_config"),
        help="Show where configuration and plugins come from.",
    )(command)


def dir_option(command: F) -> F:
    """Add ``--dir``."""
    return click.option(
        "--dir",
        metavar="DIR",
        expose_value=False,
        callback=_store_as("dir"),
        help="Data folder, instead of .tracelet at the project root. To read: also the URL of a lake.",
    )(command)


def project_option(command: F) -> F:
    """Add ``--project``."""
    return click.option(
        "--project",
        metavar="NAME",
        expose_value=False,
        callback=_store_as("project"),
        help="Project name.",
    )(command)


def parse_tags(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Parse repeated ``KEY=VALUE`` or ``KEY`` arguments. For use as an option's callback."""
    return parse_pairs(ctx, param, tuple(each if "=" in each else f"{each}=" for each in value))


def parse_pairs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Parse repeated ``KEY=VALUE`` arguments. For use as an option's callback."""
    parsed: dict[str, str] = {}
    for each in value:
        key, equals, text = each.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"expected KEY=VALUE, found {each!r}", ctx=ctx, param=param)
        parsed[key.strip()] = text
    return parsed
