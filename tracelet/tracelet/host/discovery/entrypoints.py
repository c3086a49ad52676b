"""Entry points of the group ``tracelet.plugins``. Listing them imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tracelet.errors import PluginError
from tracelet.host.discovery.candidate import Candidate, broken_candidate, describe
from tracelet.host.discovery.modules import attribute_of, single_plugin
from tracelet_hookspecs import PROJECT_NAME, PluginInfo, PluginMetadata

GROUP: Final = "tracelet.plugins"
#: Names of built-in plugins that are on by default. Only entries of tracelet's own distribution count.
DEFAULTS_GROUP: Final = "tracelet.defaults"
#: Those that are on by default only in a program that `tracelet run` runs.
RUN_DEFAULTS_GROUP: Final = "tracelet.defaults.run"
#: Names of framework plugins that `automagic` activates together. Those of every distribution count.
AUTOMAGIC_GROUP: Final = "tracelet.automagic"

_GROUPS: Final = (GROUP, DEFAULTS_GROUP, RUN_DEFAULTS_GROUP, AUTOMAGIC_GROUP)
_FILE: Final = "entry_points.txt"


def entry_point_plugins(report: Callable[[str], None], *, under_run: bool = False) -> Iterator[Candidate]:
    """Yield one plugin per entry point. Until it is loaded, its distribution's metadata describe it.

    A damaged distribution is reported and skipped; the others are listed. ``under_run`` means that more of tracelet's
    own are on by default.
    """
    groups = (DEFAULTS_GROUP, RUN_DEFAULTS_GROUP) if under_run else (DEFAULTS_GROUP,)
    owners = list(_distributions(report))
    defaults = {
        point.name for owner, points in owners if owner.own for point in points if point.group in groups
    }
    found = [(owner, point) for owner, points in owners for point in points if point.group == GROUP]
    automagic = {
        (owner.name, point.name)
        for owner, points in owners
        for point in points
        if point.group == AUTOMAGIC_GROUP
    }
    # By name, tracelet's own first: the order in which folders list distributions differs between machines.
    for owner, point in sorted(found, key=lambda each: (not each[0].own, each[1].name, each[0].name)):
        try:
            candidate = _candidate(owner, point, default=owner.own and point.name in defaults)
            candidate.automagic = (owner.name, point.name) in automagic
            yield candidate
        except Exception as error:  # whatever is wrong with this entry, the others are listed
            origin = f"entry point {point.name} = {point.value} of {owner.label}"
            fault = f"plugin {point.name!r} ({origin}): {describe(error)}"
            yield broken_candidate(point.name, origin, fault, load=partial(_load, owner, point))


class _Owner:
    """A distribution with entry points of ours. Damaged metadata does not affect them."""

    def __init__(self, distribution: metadata.Distribution) -> None:
        about = _read(lambda: distribution.metadata)
        self.name = _text(about, "Name")
        self.version = _text(about, "Version")
        self.summary = _text(about, "Summary")
        self.author = _text(about, "Author") or _text(about, "Author-Email")
        self.own = canonicalize_name(self.name) == PROJECT_NAME
        self.requires: list[str] = _read(lambda: distribution.requires) or []

    @property
    def label(self) -> str:
        """The name and version for messages."""
        return f"{self.name or 'an unnamed distribution'} {self.version}".rstrip()


def _distributions(report: Callable[[str], None]) -> Iterator[tuple[_Owner, list[metadata.EntryPoint]]]:
    """Yield the installed distributions that have entry points of ours.

    Each distribution's file is read by itself: one that cannot be parsed must not hide the plugins of the others.
    Files that do not mention our groups are not parsed at all.
    """
    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text(_FILE) or ""
            if PROJECT_NAME + "." not in text:
                continue
            points = [point for point in distribution.entry_points if point.group in _GROUPS]
        except Exception as error:
            report(f"distribution {_location(distribution)}: its {_FILE} cannot be read: {describe(error)}")
            continue
        owner = _Owner(distribution)
        name = canonicalize_name(owner.name)
        if points and not (name and (name in seen or _is_shadowed(owner, text))):
            seen.add(name)
            yield owner, points


def _is_shadowed(owner: _Owner, text: str) -> bool:
    """Return whether a distribution of the same name comes earlier on the path, so that Python imports that one."""
    first = _read(lambda: metadata.distribution(owner.name))
    return first is not None and _read(lambda: first.read_text(_FILE)) != text


def _location(distribution: metadata.Distribution) -> str:
    name = _text(_read(lambda: distribution.metadata), "Name")
    folder = str(_read(lambda: distribution.locate_file("")) or "")
    path = str(getattr(distribution, "_path", "") or folder)  # for the message only
    return f"{name} ({path})" if name else path


def _read(ask: Callable[[], Any]) -> Any:
    """Return an answer about a distribution, or ``None`` if its files are damaged."""
    try:
        return ask()
    except Exception:
        return None


def _load(owner: _Owner, point: metadata.EntryPoint) -> object:
    """Import what an entry point names. Raises :class:`PluginError` that names the distribution."""
    _check(point)
    who = f"plugin {point.name!r} (entry point of {owner.label})"
    _check_required_host(owner, who)
    try:
        module = importlib.import_module(point.module)
    except ModuleNotFoundError as error:
        if not error.name or (point.module != error.name and not point.module.startswith(f"{error.name}.")):
            raise
        message = f"{who}: it names {point.value!r}, but there is no module {error.name!r}"
        raise PluginError(
            f"{message}; reinstall {owner.name or 'the distribution'}", plugin=point.name, step="import"
        ) from error
    label = f"{who}: it names {point.value!r}"
    return single_plugin(attribute_of(module, point.attr or "", f"{label}, but "), label)


def _check_required_host(owner: _Owner, who: str) -> None:
    """Raise for a distribution that requires another tracelet: the import would fail in a way that says less."""
    for text in owner.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) != PROJECT_NAME:
            continue
        installed = _read(lambda: metadata.version(PROJECT_NAME))
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and installed and not requirement.specifier.contains(installed, prereleases=True):
            raise PluginError(
                f"{who}: needs {PROJECT_NAME}{requirement.specifier}, found {installed}; upgrade {PROJECT_NAME}, or"
                f" install another version of {owner.name}",
                step="import",
            )


def _check(point: metadata.EntryPoint) -> None:
    if point.pattern.match(point.value) is None:
        raise ValueError(f"expected module or module:attribute, found {point.value!r}")


def _candidate(owner: _Owner, point: metadata.EntryPoint, *, default: bool) -> Candidate:
    _check(point)
    info = PluginInfo(
        PluginMetadata.from_outside(point.name, owner.version, owner.summary, owner.author),
        module_path=point.module,
        class_name=point.attr or "",
        origin=f"entry point of {owner.label}",
    )
    info.metadata.entry_point = f"{point.module}.{point.attr}" if point.attr else point.module
    return Candidate(
        info,
        load=partial(_load, owner, point),
        default=default,
        builtin=owner.own,
        identity=(point.module, point.attr or ""),
    )


def _text(about: Any, key: str) -> str:
    value = about.get(key) if about is not None else None
    return str(value) if value else ""
