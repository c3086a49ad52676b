"""The variables ``TRACELET_*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tracelet.config import settings
from tracelet.core.interpolation import EnvStr

VARIABLES: Final[Mapping[str, tuple[str, settings.Check]]] = {
    "TRACELET_DIR": ("dir", settings.text),
    "TRACELET_PROJECT": ("project", settings.text),
    "TRACELET_RUN_ID": ("run_id", settings.run_id),
    "TRACELET_RESUME": ("resume", settings.boolean),
    "TRACELET_MODE": ("mode", settings.one_of(*settings.MODES)),
    "TRACELET_STRICT_PLUGINS": ("strict", settings.boolean),
}


def read_environment(environ: Mapping[str, str], faults: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that variables give, and the names of these variables; an empty one is not set."""
    values: dict[str, Any] = {}
    names: list[str] = []
    for variable, (key, check) in VARIABLES.items():
        if environ.get(variable):
            values[key] = check(variable, EnvStr(environ[variable]), faults)
            names.append(variable)
    if wanted := [name.strip() for name in environ.get("TRACELET_PLUGINS", "").split(",") if name.strip()]:
        values["plugins"] = settings.plugin_names("TRACELET_PLUGINS", wanted, faults)
        names.append("TRACELET_PLUGINS")
    if off := environ.get("TRACELET_DISABLE_PLUGIN_AUTOLOAD"):
        values["autoload"] = not settings.boolean("TRACELET_DISABLE_PLUGIN_AUTOLOAD", EnvStr(off), faults)
        names.append("TRACELET_DISABLE_PLUGIN_AUTOLOAD")
    return values, names
