"""The variables ``TRACELET_*``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.config import settings
from tracelet.config.interpolation import EnvStr
from tracelet.config.project import absolute
from tracelet.layout import SHIELD
from tracelet.messages import closest

VARIABLES: Final[Mapping[str, tuple[str, settings.Check]]] = {
    "TRACELET_DIR": ("dir", settings.folder),
    "TRACELET_PROJECT": ("project", settings.text),
    "TRACELET_RUN_ID": ("run_id", settings.run_id),
    "TRACELET_RESUME": ("resume", settings.boolean),
    "TRACELET_MODE": ("mode", settings.one_of(*settings.MODES)),
    "TRACELET_STRICT_PLUGINS": ("strict", settings.strictness),
    "TRACELET_QUIET": ("quiet", settings.boolean),
    "TRACELET_RANKS": ("ranks", settings.recording_ranks),
    "TRACELET_AUTOMAGIC": ("automagic", settings.boolean),
    "TRACELET_DISABLE_PLUGIN_AUTOLOAD": ("no_autoload", settings.boolean),
}
#: Variables that are read in other places, or differently.
OTHERS: Final = (
    *("TRACELET_PLUGINS", "TRACELET_PLUGIN_PATH", "TRACELET_DEBUG", "TRACELET_SAFE_DIRECTORIES"),
    "TRACELET_LAKE_CACHE",
    SHIELD,
)
_PREFIX: Final = "TRACELET_"
_NEAR: Final = 0.75  # similarity without the prefix; a plugin may have variables of its own


def slips(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable whose name is similar to a known one."""
    known = [name.removeprefix(_PREFIX) for name in (*VARIABLES, *OTHERS)]
    found = []
    for variable in sorted(environ):
        rest = variable.removeprefix(_PREFIX)
        if rest != variable and rest not in known and (meant := closest(rest, known, cutoff=_NEAR)):
            found.append(f"environment: {variable} is unknown (did you mean '{_PREFIX}{meant}'?)")
    return found


def read_environment(environ: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    """Return the settings in variables, by variable; an empty variable is not set."""
    return {
        variable: check(variable, EnvStr(environ[variable]), faults)
        for variable, (_, check) in VARIABLES.items()
        if environ.get(variable)
    }


def named_plugins(environ: Mapping[str, str], faults: list[str]) -> list[str]:
    """Return the plugins in ``TRACELET_PLUGINS``, separated by commas."""
    names = [name.strip() for name in environ.get("TRACELET_PLUGINS", "").split(",")]
    return settings.plugin_names("TRACELET_PLUGINS", [name for name in names if name], faults)


def plugin_path(environ: Mapping[str, str]) -> list[Path]:
    """Return the files and folders in ``TRACELET_PLUGIN_PATH``, separated as in ``PATH``."""
    named = environ.get("TRACELET_PLUGIN_PATH", "").split(os.pathsep)
    return [absolute(each.strip()) for each in named if each.strip()]
