"""Entry points of the group ``tracelet.plugins``. Listing them imports none of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from typing import Any, Final

from tracelet.host.discovery.candidate import Candidate, broken_candidate, describe
from tracelet_hookspecs import PROJECT_NAME, PluginInfo, PluginMetadata

log = logging.getLogger("tracelet.plugins")

GROUP: Final = "tracelet.plugins"
#: Names of built-in plugins that are on by default. Only entries of tracelet's own distribution count.
DEFAULTS_GROUP: Final = "tracelet.defaults"


def entry_point_plugins() -> Iterator[Candidate]:
    """Yield one plugin per entry point. Until it is loaded, its distribution's metadata describe it."""
    try:
        defaults = {
            point.name
            for point in metadata.entry_points(group=DEFAULTS_GROUP)
            if _distribution(point) == PROJECT_NAME
        }
        points = [(_distribution(point), point) for point in metadata.entry_points(group=GROUP)]
    except Exception as error:  # a damaged distribution spoils the whole list; the other sources remain
        log.warning("the entry points of the installed distributions cannot be read: %s", describe(error))
        return
    # By name, tracelet's own first: the order in which folders list distributions differs between machines.
    for owner, point in sorted(points, key=lambda each: (each[0] != PROJECT_NAME, each[1].name, each[0])):
        own = owner == PROJECT_NAME
        try:
            yield _candidate(point, builtin=own, default=own and point.name in defaults)
        except Exception as error:  # whatever is wrong with this distribution, the others are listed
            origin = f"entry point {point.name} = {point.value}"
            fault = f"plugin {point.name!r} ({origin}): {describe(error)}"
            yield broken_candidate(point.name, origin, fault, load=partial(_load, point))


def _distribution(point: metadata.EntryPoint) -> str:
    try:
        return str(point.dist.name) if point.dist is not None else ""
    except Exception:  # its metadata are damaged, which is reported when they are needed
        return ""


def _load(point: metadata.EntryPoint) -> object:
    _check(point)
    return point.load()


def _check(point: metadata.EntryPoint) -> None:
    if point.pattern.match(point.value) is None:
        raise ValueError(f"expected module or module:attribute, found {point.value!r}")


def _candidate(point: metadata.EntryPoint, *, builtin: bool, default: bool) -> Candidate:
    _check(point)
    about: Any = point.dist.metadata if point.dist is not None else {}
    version = point.dist.version or "" if point.dist is not None else ""
    info = PluginInfo(
        PluginMetadata.from_outside(
            point.name,
            version,
            _text(about, "Summary"),
            _text(about, "Author") or _text(about, "Author-Email"),
        ),
        module_path=point.module,
        class_name=point.attr or "",
        origin=f"entry point of {_text(about, 'Name') or 'an unnamed distribution'} {version}".rstrip(),
    )
    info.metadata.entry_point = f"{point.module}.{point.attr}" if point.attr else point.module
    return Candidate(info, load=point.load, default=default, builtin=builtin)


def _text(about: Any, key: str) -> str:
    value = about.get(key)
    return str(value) if value else ""
