"""What discovery yields: a plugin's description and the way to load it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from tracelet_hookspecs import PluginInfo, PluginMetadata, PluginState


@attrs.define(eq=False)
class Found:
    """One plugin that a source has.

    ``load`` returns the plugin's class, object or module; it is called on the plugin's own thread, and only
    when the plugin is wanted. ``activate`` says that the source itself asks for it, ``default`` that it
    is on unless switched off, ``builtin`` that it ships with the host.
    """

    info: PluginInfo
    load: Callable[[], Any] | None = None
    activate: bool = False
    default: bool = False
    builtin: bool = False


def broken(name: str, origin: str, error: str, *, module_path: str = "", activate: bool = False) -> Found:
    """Describe a plugin that could not even be looked at."""
    info = PluginInfo(PluginMetadata.from_outside(name), module_path=module_path, origin=origin)
    info.state = PluginState.ERROR
    info.error = error
    return Found(info, activate=activate)
