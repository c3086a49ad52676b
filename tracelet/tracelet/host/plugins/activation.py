"""From a configuration to plugins: where to look, which to activate, with what configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.config import PluginOptions, user_config_dir
from tracelet.config.validation import declared_keys, validate
from tracelet.errors import PluginError
from tracelet.host.plugins.searching import Sources
from tracelet.host.plugins.steps import Steps
from tracelet_hookspecs import PluginInfo

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.host.plugins.catalog import Catalog

log = logging.getLogger("tracelet.plugins")


def sources(config: Config, paths: list[Path], program: Path | None) -> Sources:
    """Return where a configuration says to look for plugins."""
    return Sources(
        names=list(config.plugins),
        blocked=config.blocked,
        autoload=config.autoload,
        root=config.root,
        script_dir=program.parent if program is not None else Path.cwd(),
        program=program,
        paths=[
            *paths,
            *(path for path in config.plugin_paths if path.exists() or path != _own_folder()),
        ],
    )


def _own_folder() -> Path | None:
    """Return the user's plugin folder, which need not be there."""
    user = user_config_dir(os.environ)
    return user / "plugins" if user is not None else None


def plugin_config(config: Config | None, info: PluginInfo) -> tuple[PluginOptions, Mapping[str, Any]]:
    """Split a plugin's table into the host's keys and its own. Raises ``ConfigError`` for a table with faults."""
    if config is None:
        return PluginOptions(), {}
    schema = info.metadata.config_schema
    return config.plugin_config(
        info.name,
        declared_keys(schema),
        check=lambda own: validate(schema, own, path=f"plugins.{info.name}"),
    )


def select_plugins(config: Config, catalog: Catalog) -> dict[str, bool]:
    """Return the plugins that are to run, and of each whether somebody asked for it (or it is on by default)."""
    # A module that was asked for stands for what it holds, which is activated under names of its own.
    held = catalog.modules - catalog.plugins.keys()
    names = {name: True for name in config.plugins if name not in held}
    for name, one in catalog.found.items():
        if one.activate:
            names[name] = True
        elif one.default:
            names.setdefault(name, False)
    return {
        name: asked
        for name, asked in names.items()
        if name not in config.blocked and name not in config.disabled
    }


def is_available(name: str, steps: Steps) -> bool:
    """Ask a plugin that is on by default whether there is anything here for it to do.

    It says so by ``is_available()``, which returns true or the reason why not.
    """
    if not steps.load(name):
        return False
    handle = steps.handle(name)

    def ask() -> object:
        function = getattr(handle.info.instance, "is_available", None)
        return function() if callable(function) else True

    try:
        answer = handle.submit(ask, step="is_available")
    except PluginError as error:
        steps.fail(name, "is_available", error)
        return False
    handle.info.unavailable = None if answer is True else str(answer or "it has nothing to do")
    if answer is not True:
        log.debug("plugin %r is not available here: %s", name, answer)
    return answer is True
