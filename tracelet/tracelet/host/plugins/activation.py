"""From a configuration to plugins: where to search, which to activate, and the configuration of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.config import PluginOptions, user_config_dir
from tracelet.config.validation import declared_keys, validate
from tracelet.errors import PluginError
from tracelet.host.answers import text_of
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.plugins.plugin_table import PluginTable
from tracelet.host.plugins.searching import Sources
from tracelet.logs import get_logger
from tracelet_hookspecs import PluginInfo

if TYPE_CHECKING:
    from tracelet.config import Config

log = get_logger("tracelet.plugins")


def _current_folder(config: Config) -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was deleted
        return config.root


def sources(config: Config, paths: list[Path], program: Path | None) -> Sources:
    """Return where a configuration says to search for plugins."""
    return Sources(
        names=list(config.plugins),
        blocked=config.blocked,
        disabled=config.disabled,
        tables=frozenset(config.tables),
        autoload=config.autoload,
        under_run=config.under_run,
        root=config.root,
        script_dir=program.parent if program is not None else _current_folder(config),
        program=program,
        paths=[
            *paths,
            *(path for path in config.plugin_paths if path.exists() or path != _own_folder()),
        ],
    )


def _own_folder() -> Path | None:
    """Return the user's plugin folder, which need not exist."""
    user = user_config_dir(os.environ)
    return user / "plugins" if user is not None else None


def plugin_config(
    config: Config | None, info: PluginInfo, names: Iterable[str] = ()
) -> tuple[PluginOptions, Mapping[str, Any]]:
    """Split a plugin's table into the host's keys and its own. Raises ``ConfigError`` for a table with faults.

    ``names`` are all names that mean the plugin: the first that has a table counts.
    """
    if config is None:
        return PluginOptions(), {}
    schema = info.metadata.config_schema
    name = next((name for name in names if name in config.tables), info.name)
    return config.plugin_config(
        name,
        declared_keys(schema),
        check=lambda own: validate(schema, own, path=f"plugins.{name}"),
    )


def select_plugins(config: Config, table: PluginTable) -> dict[str, bool]:
    """Return the plugins to activate, and for each whether it was requested (otherwise it is on by default)."""
    # A requested module means the plugins in it, which are activated under their own names.
    held = table.modules - table.plugins.keys() - table.aliases.keys()
    names = {table.real_name(name): True for name in config.plugins if name not in held}
    for name, one in table.candidates.items():
        if one.activate or (one.automagic and config.automagic):
            names[name] = True
        elif one.default:
            names.setdefault(name, False)
    return {
        name: asked
        for name, asked in names.items()
        if name not in table.switched_off and not config.is_off(name)
    }


def is_available(name: str, lifecycle: Lifecycle) -> bool:
    """Ask a plugin that is on by default whether it has anything to do on this machine.

    Its ``is_available()`` returns true, or the reason why not.
    """
    if not lifecycle.load(name):
        return False
    handle = lifecycle.table.handle(name)

    def reason(answer: object) -> str | None:
        return None if answer is True else text_of(answer or "it has nothing to do")

    try:
        unavailable = handle.ask("is_available", convert=reason, default=None)
    except PluginError as error:
        lifecycle.fail(name, "is_available", error)
        return False
    handle.info.unavailable = unavailable
    if unavailable is not None:
        handle.worker.retire()
        log.debug("plugin %r is not available here: %s", name, unavailable)
    return unavailable is None
