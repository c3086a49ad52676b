"""What must hold of a plugin before it is initialized. Every fault is told at once."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

import tracelet_hookspecs as contract
from tracelet.core.discovery import LIFECYCLE, has_lifecycle, hook_functions
from tracelet.core.plugins.registry import OWN_HOOKS, Registry
from tracelet_hookspecs import PluginInfo


def faults(
    plugin: Any, info: PluginInfo, registry: Registry, known: Mapping[str, PluginInfo], host_version: str
) -> Iterator[str]:
    """Yield all that keeps a plugin from being valid."""
    yield from lifecycle_faults(plugin)
    yield from metadata_faults(info, host_version)
    if not hasattr(plugin, "addhooks"):  # else its hookspecs come first, and this is checked at registration
        yield from hook_faults(plugin, registry)
    yield from dependency_faults(info, known)


def lifecycle_faults(plugin: Any) -> Iterator[str]:
    """Yield the parts of the lifecycle that a plugin class lacks."""
    if not has_lifecycle(plugin):
        return
    if inspect.isabstract(plugin):
        missing = sorted(plugin.__abstractmethods__)
    else:
        missing = [name for name in LIFECYCLE if not callable(getattr(plugin, name, None))]
    if missing:
        yield f"lacks {', '.join(f'{name}()' for name in missing)}; add the missing methods"


def metadata_faults(info: PluginInfo, host_version: str) -> Iterator[str]:
    """Yield what is wrong with name, version and the host's version."""
    metadata = info.metadata
    if not isinstance(metadata.name, str) or not metadata.name.strip():
        yield f"metadata name: expected a non-empty string, found {metadata.name!r}"
    try:
        Version(metadata.version)
    except (InvalidVersion, TypeError):
        yield f"metadata version: expected a PEP 440 version such as '1.0', found {metadata.version!r}"
    yield from _host_version_faults(metadata.requires_tracelet, host_version)


def _host_version_faults(wanted: str, host_version: str) -> Iterator[str]:
    try:
        accepted = SpecifierSet(wanted).contains(host_version, prereleases=True)
    except InvalidSpecifier:
        yield f"metadata requires_tracelet: expected a version specifier such as '>=0.1', found {wanted!r}"
        return
    if not accepted:
        yield f"needs tracelet {wanted}, found {host_version}; run: pip install 'tracelet{wanted}'"


def hook_faults(plugin: Any, registry: Registry) -> Iterator[str]:
    """Yield hook implementations that no hookspec knows, and arguments that theirs does not offer."""
    names = registry.hook_names()
    decorated = dict(hook_functions(plugin))
    for name, function in decorated.items():
        options = getattr(function, contract.PROJECT_NAME + "_impl")
        hook = options.get("specname") or name
        if hook in names:
            yield from _argument_faults(hook, function, registry)
            yield from _wrapper_faults(name, function, options)
        elif not options.get("optionalhook"):
            yield f"unknown hook {hook!r}{_closest(hook, names)}"
    if has_lifecycle(plugin):
        for hook in sorted(OWN_HOOKS - decorated.keys()):
            function = inspect.getattr_static(plugin, hook, None)
            if function is not None:
                yield from _argument_faults(hook, function, registry)


def _argument_faults(hook: str, function: Any, registry: Registry) -> Iterator[str]:
    spec = registry.caller(hook).spec
    if spec is None:
        return
    offered = [*spec.argnames, *spec.kwargnames]
    for argument in _required_arguments(function):
        if argument not in offered:
            yield (
                f"hook {hook}: unknown argument {argument!r}{_closest(argument, offered)};"
                f" it may take {', '.join(offered) or 'none'}"
            )


def _required_arguments(function: Any) -> list[str]:
    is_static = isinstance(function, staticmethod)
    function = inspect.unwrap(getattr(function, "__func__", function))
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    bound = not is_static and "." in function.__qualname__.rsplit("<locals>.", 1)[-1]
    return names[1:] if bound else names


def _wrapper_faults(name: str, function: Any, options: Mapping[str, Any]) -> Iterator[str]:
    if options.get("wrapper") or options.get("hookwrapper"):
        inner = inspect.unwrap(getattr(function, "__func__", function))
        if not inspect.isgeneratorfunction(inner):
            yield f"hook {name}: a wrapper must be a generator function with one yield"


def dependency_faults(info: PluginInfo, known: Mapping[str, PluginInfo]) -> Iterator[str]:
    """Yield the dependencies that are not met, on other plugins and on distributions."""
    dependencies: Iterable[Any] = info.metadata.dependencies or ()
    for dependency in dependencies:
        if not isinstance(dependency, str):
            yield f"dependency {dependency!r}: expected a string"
        elif dependency not in known:
            yield from _requirement_faults(dependency, known)


def _requirement_faults(text: str, known: Mapping[str, PluginInfo]) -> Iterator[str]:
    from importlib import metadata

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        yield f"dependency {text!r}: expected a plugin's name or a PEP 508 requirement{_closest(text, known)}"
        return
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    if requirement.name in known:
        found = known[requirement.name].metadata.version
    else:
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"needs {text!r}, found neither such a plugin nor such a distribution{_closest(text, known)}"
            return
    if not requirement.specifier.contains(found, prereleases=True):
        yield f"needs {text!r}, found {found}; run: pip install '{requirement}'"


def plugin_dependencies(info: PluginInfo, known: Mapping[str, PluginInfo]) -> list[str]:
    """Return the plugins that a plugin depends on; requirements on distributions are left out."""
    names = []
    for dependency in info.metadata.dependencies or ():
        if dependency in known:
            names.append(dependency)
        else:
            try:
                name = Requirement(dependency).name
            except (InvalidRequirement, TypeError):
                continue
            if name in known:
                names.append(name)
    return names


def _closest(name: str, names: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
