"""Plugins that a program registers itself: a class, an instance or a module at hand."""

from __future__ import annotations

from typing import Any

import attrs

from tracelet.errors import UsageError
from tracelet.host import discovery
from tracelet.host.discovery import Found
from tracelet.host.plugins.catalog import Catalog
from tracelet.host.plugins.hosting import PluginTable
from tracelet.host.plugins.steps import Steps
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

ORIGIN = "by hand"


def register(plugin: Any, name: str | None, hosting: PluginTable, steps: Steps) -> PluginInfo:
    """Take in a plugin, or all that a module holds, loaded. Returns the first."""
    infos = [
        _take_in(found, hosting.catalog, steps) for found in _held(plugin, name, hosting.deadline("import"))
    ]
    return infos[0]


def _held(plugin: Any, name: str | None, deadline: float) -> list[Found]:
    if not discovery.is_module(plugin):
        return [_named(discovery.of_object(plugin, ORIGIN, deadline, name=name or "", activate=True), name)]
    found = list(discovery.contents(plugin, plugin.__name__, ORIGIN, deadline, activate=True))
    if not found:
        raise UsageError(
            f"module {plugin.__name__}: expected hook implementations or plugin classes, found neither; decorate a"
            " function with @tracelet.hookimpl, or subclass a base class"
        )
    return [_named(found[0], name), *found[1:]]


def _named(found: Found, name: str | None) -> Found:
    """Give a plugin the name that it is registered under. Its own metadata object may be shared, and is let be."""
    if name:
        found.info.metadata = attrs.evolve(found.info.metadata, name=name)
    return found


def _take_in(found: Found, catalog: Catalog, steps: Steps) -> PluginInfo:
    info, plugin = found.info, found.load() if found.load is not None else None
    holder = catalog.plugins.get(info.name)
    if holder is not None:
        if holder.instance is plugin:
            return holder
        raise UsageError(
            f"plugin name {info.name!r} is taken by the one from {holder.origin}; register this one"
            f" ({plugin!r}) with another name="
        )
    catalog.add(found)
    if info.state is not S.ERROR:
        info.instance = plugin
        steps.load(info.name)
    return info
