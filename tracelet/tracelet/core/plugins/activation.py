"""From a configuration to plugins: where to look, which to activate, with what configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.core.plugins.catalog import Sources

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.core.discovery import Found


def sources(config: Config, paths: list[Path], program: Path | None, import_deadline: float) -> Sources:
    """Return where a configuration says to look for plugins."""
    return Sources(
        names=list(config.plugins),
        blocked=config.blocked,
        autoload=config.autoload,
        root=config.root,
        script_dir=program.parent if program is not None else Path.cwd(),
        program=program,
        paths=[*paths, *config.plugin_paths],
        import_deadline=import_deadline,
    )


def plugin_config(config: Config | None, name: str) -> Mapping[str, Any]:
    """Return a plugin's own part of its table, the host's keys taken out."""
    return config.plugin_config(name)[1] if config is not None else {}


def chosen(config: Config, found: Mapping[str, Found]) -> dict[str, bool]:
    """Return the plugins that are to run, and of each whether somebody asked for it (or it is on by default)."""
    names = dict.fromkeys([*config.plugins, *config.tables], True)
    for name, one in found.items():
        if one.activate:
            names[name] = True
        elif one.default:
            names.setdefault(name, False)
    return {
        name: asked
        for name, asked in names.items()
        if name not in config.blocked and config.plugin_config(name)[0].enabled is not False
    }
