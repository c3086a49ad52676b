"""What a plugin depends on: other plugins, and requirements on distributions (PEP 508)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from tracelet.messages import closest
from tracelet_hookspecs import PluginInfo


def plugin_dependencies(info: PluginInfo, known: Mapping[str, PluginInfo]) -> list[str]:
    """Return the plugins that a plugin depends on; requirements on distributions are left out."""
    needs = (_plugin_meant(dependency, info, known) for dependency in _listed(info))
    return [name for name in needs if name is not None]


def dependency_faults(info: PluginInfo, known: Mapping[str, PluginInfo]) -> Iterator[str]:
    """Yield the dependencies that are not met."""
    listed = info.metadata.dependencies
    if listed and not isinstance(listed, (list, tuple, set, frozenset)):
        yield f"metadata dependencies: expected a list of strings, found {listed!r}"
    for dependency in _listed(info):
        if not isinstance(dependency, str):
            yield f"dependency {dependency!r}: expected a string"
        else:
            yield from _faults_of(dependency, info, known)


def _listed(info: PluginInfo) -> list[Any]:
    listed = info.metadata.dependencies
    return list(listed) if isinstance(listed, (list, tuple, set, frozenset)) else []


def _plugin_meant(dependency: Any, info: PluginInfo, known: Mapping[str, PluginInfo]) -> str | None:
    """Return the plugin that a dependency names, if it names one.

    A bare name is that of another plugin, where there is one. A plugin named after the library that it needs does
    not need itself, if there is such a library. A requirement with a version is one on a distribution, unless only a
    plugin has that name.
    """
    if not isinstance(dependency, str):
        return None
    if dependency in known:
        return dependency if known[dependency] is not info or _installed(dependency) is None else None
    requirement = _requirement(dependency)
    if requirement is None or requirement.name not in known or known[requirement.name] is info:
        return None
    return requirement.name if _installed(requirement.name) is None else None


def _faults_of(text: str, info: PluginInfo, known: Mapping[str, PluginInfo]) -> Iterator[str]:
    requirement = _requirement(text)
    plugin = _plugin_meant(text, info, known)
    if plugin is not None and known[plugin] is info:
        yield f"needs {text!r}, which is itself; if the library is meant, run: pip install {text}"
    elif plugin == text:
        return
    elif requirement is None:
        yield f"dependency {text!r}: expected a plugin's name or a PEP 508 requirement{_meant(text, known)}"
    elif requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        found = known[plugin].metadata.version if plugin is not None else _installed(requirement.name)
        yield from _unmet(requirement, text, found, known)


def _unmet(
    requirement: Requirement, text: str, found: str | None, known: Mapping[str, PluginInfo]
) -> Iterator[str]:
    if found is None:
        remedy = f"; run: pip install '{requirement}'" if requirement.specifier else _meant(text, known)
        yield f"needs {text!r}, found neither such a plugin nor such a distribution{remedy}"
    elif not _satisfies(found, requirement):
        yield f"needs {text!r}, found {found}; run: pip install '{requirement}'"


def _satisfies(found: str, requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(found, prereleases=True)
    except (InvalidVersion, TypeError):
        return False  # another plugin's version, which is that one's fault


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _meant(name: str, known: Mapping[str, PluginInfo]) -> str:
    meant = closest(name, known, cutoff=0.5)
    return f"; did you mean {meant!r}?" if meant else ""
