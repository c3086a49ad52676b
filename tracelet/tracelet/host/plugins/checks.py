"""What must be right about a plugin before it is initialized: lifecycle, metadata, hooks, dependencies.

Every fault is reported, not only the first.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata as distributions
from types import CodeType, MethodType
from typing import Any, Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from tracelet.config import is_plugin_name
from tracelet.config.validation import check_schema
from tracelet.host.answers import interval_of, text_of, type_name
from tracelet.host.discovery import (
    Implementation,
    attributes,
    has_lifecycle,
    implementations,
    is_class,
    is_module,
    missing_methods,
)
from tracelet.host.plugins.registry import Registry
from tracelet.messages import closest
from tracelet_hookspecs import BACKEND_HOOKS, PluginInfo, PluginMetadata


def plugin_faults(
    plugin: Any,
    info: PluginInfo,
    registry: Registry,
    known: Mapping[str, PluginInfo],
    host_version: str,
    switched_off: Mapping[str, str],
    found: Sequence[Implementation],
) -> Iterator[str]:
    """Yield everything that keeps a plugin from being valid.

    ``switched_off`` maps plugins to how they were; ``found`` are the plugin's hook implementations.
    """
    if has_lifecycle(plugin) and (missing := missing_methods(plugin)):
        yield f"lacks {', '.join(f'{name}()' for name in missing)}; add the missing methods"
    yield from metadata_faults(info.metadata, host_version)
    yield from hook_faults(plugin, registry, found, complete=not adds_hookspecs(found))
    yield from interval_faults(plugin)
    yield from dependency_faults(info, known, switched_off)


def interval_faults(plugin: Any) -> Iterator[str]:
    """Yield what is wrong with a collector's interval. A property is not evaluated here."""
    known = attributes(plugin)
    interval = known.get("_collection_interval")
    if "collect" not in known or "__get__" in attributes(type(interval)):
        return
    try:
        interval_of(interval)
    except ValueError as error:
        yield f"_collection_interval: {error}"


# -- metadata ------------------------------------------------------------------------------------------


def metadata_faults(metadata: PluginMetadata, host_version: str) -> Iterator[str]:
    """Yield what is wrong with a plugin's name, version, required host version and schema."""
    if not isinstance(metadata.name, str) or not metadata.name.strip():
        yield f"metadata name: expected a non-empty string, found {metadata.name!r}"
    elif not is_plugin_name(metadata.name):
        expected = (
            "printable text without a comma, not beginning with '-' or 'no:', without spaces at its ends"
        )
        yield f"metadata name: expected {expected}, found {metadata.name!r}"
    if not _is_version(metadata.version):
        yield f"metadata version: expected a PEP 440 version such as '1.0', found {metadata.version!r}"
    if type(metadata.mapping) is not dict:
        yield f"metadata mapping: expected a dict of texts, found {type_name(metadata.mapping)}"
    yield from _host_version_faults(metadata.requires_tracelet, host_version)
    yield from (f"metadata {fault}" for fault in check_schema(metadata.config_schema))


def _is_version(version: Any) -> bool:
    try:
        Version(version)
    except (InvalidVersion, TypeError):
        return False
    return True


def _host_version_faults(wanted: Any, host_version: str) -> Iterator[str]:
    try:
        accepted = SpecifierSet(wanted or "").contains(host_version, prereleases=True)
    except (InvalidSpecifier, TypeError, AttributeError):
        yield f"metadata requires_tracelet: expected a version specifier such as '>=0.1', found {wanted!r}"
        return
    if not accepted:
        remedy = "upgrade tracelet, or install another version of the plugin"
        yield f"needs tracelet {wanted}, found {host_version}; {remedy}"


# -- hooks ---------------------------------------------------------------------------------------------


def hooks_of(plugin: Any) -> frozenset[str]:
    """Return the hooks that a plugin implements, other than as a wrapper."""
    return frozenset(one.hook for one in implementations(plugin) if not one.wraps)


def adds_hookspecs(found: Iterable[Implementation]) -> bool:
    """Return whether a plugin brings hookspecs of its own, which are unknown until it is registered."""
    return any(one.hook == "addhooks" for one in found)


def hook_faults(
    plugin: Any, registry: Registry, found: Iterable[Implementation], *, complete: bool = True
) -> Iterator[str]:
    """Yield hook implementations that no hookspec matches, and arguments that their hookspec does not have.

    pluggy would raise at the first one. ``complete`` means that all hookspecs are known; otherwise unknown hooks
    are accepted.
    """
    names = registry.hook_names()
    for one in found:
        if not one.is_function:
            actual = f"an object of type {type_name(one.function)}"
            remedy = "put @tracelet.hookimpl on a function that calls it"
            yield f"hook {one.hook}: expected a function, found {actual}; {remedy}"
        elif one.hook in names:
            yield from _argument_faults(one, plugin, registry)
            yield from _kind_faults(one)
        elif complete and not one.options.get("optionalhook"):
            yield f"unknown hook {one.hook!r}{_suggest(one.hook, names)}"


def hook_warnings(plugin: Any, registry: Registry, found: Iterable[Implementation]) -> Iterator[str]:
    """Yield arguments that are never passed, if the hook has another argument that the implementation leaves out.

    ``log_metric(self, name, value, step=None)`` is legal, but never receives an iteration.
    """
    names = registry.hook_names()
    for one in found:
        spec = registry.caller(one.hook).spec if one.hook in names else None
        if spec is None:
            continue
        accepted = _arguments(one, plugin)
        offered = (*spec.argnames, *spec.kwargnames)
        never = [name for name in accepted.optional if name not in offered] + [*accepted.optional_keywords]
        missed = [name for name in spec.argnames if name not in accepted.required + accepted.optional]
        if never and missed:
            yield from (_never_passed(one.hook, name, missed, offered) for name in never)


def deprecation_warnings(plugin: Any, registry: Registry, found: Iterable[Implementation]) -> Iterator[str]:
    """Yield the deprecated hooks that a plugin implements, and the deprecated arguments that it names."""
    for one in found:
        warnings = registry.deprecations(one.hook)
        if warnings.hook is not None:
            yield text_of(warnings.hook)
        if not warnings.arguments:
            continue
        accepted = _arguments(one, plugin)
        used = {*accepted.required, *accepted.optional}
        yield from (text_of(warning) for name, warning in warnings.arguments.items() if name in used)


def _never_passed(hook: str, argument: str, missed: list[str], offered: Iterable[str]) -> str:
    if argument in offered:
        return f"hook {hook}: argument {argument!r} is keyword-only and never passed; remove the * before it"
    meant = closest(argument, missed, cutoff=0.0) or missed[0]
    available = ", ".join(offered)
    return (
        f"hook {hook}: argument {argument!r} is never passed; did you mean {meant!r}?"
        f" Available arguments, passed by position: {available}"
    )


def _argument_faults(one: Implementation, plugin: Any, registry: Registry) -> Iterator[str]:
    offered = _offered(one.hook, registry)
    arguments = _arguments(one, plugin)
    if _lacks_self(one, plugin):
        yield f"hook {one.hook}: {one.attribute}() has no 'self'; add it as the first argument"
        return
    for argument in arguments.required:
        if argument not in offered:
            available = ", ".join(offered) or "none"
            yield (
                f"hook {one.hook}: unknown argument {argument!r}{_suggest(argument, offered)};"
                f" available arguments: {available}"
            )
    for argument in arguments.required_keywords:
        yield f"hook {one.hook}: argument {argument!r} is keyword-only and never passed; remove the * before it"
    if one.hook in BACKEND_HOOKS and not (arguments.required or arguments.optional) and _takes_any(one):
        yield (
            f"hook {one.hook}: *args and **kwargs never receive anything; name the arguments: {', '.join(offered)}"
            " (a decorator does that with functools.wraps)"
        )


def _takes_any(one: Implementation) -> bool:
    code = getattr(inspect.unwrap(getattr(one.function, "__func__", one.function)), "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS))


def _offered(hook: str, registry: Registry) -> list[str]:
    spec = registry.caller(hook).spec
    return [*spec.argnames, *spec.kwargnames] if spec is not None else []


class _Arguments(NamedTuple):
    """The arguments of an implementation: those that a call must pass and those with a default."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    required_keywords: tuple[str, ...] = ()
    optional_keywords: tuple[str, ...] = ()


#: Hooks whose answer is iterated over, so that a generator function works.
_ITERATED_HOOKS: Final = ("process_metric", "import_runs", "ui_panels", "report_header", "report_summary")
_NO_ARGUMENTS: Final = _Arguments()


def _arguments(one: Implementation, plugin: Any) -> _Arguments:
    inner = inspect.unwrap(getattr(one.function, "__func__", one.function))
    code = getattr(inner, "__code__", None)
    if not isinstance(code, CodeType):
        return _NO_ARGUMENTS
    names = code.co_varnames[: code.co_argcount]
    first_optional = len(names) - len(inner.__defaults__ or ())
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    defaults = inner.__kwdefaults__ or {}
    return _Arguments(
        names[1 if _takes_self(one, plugin) else 0 : first_optional],
        names[first_optional:],
        tuple(name for name in keywords if name not in defaults),
        tuple(name for name in keywords if name in defaults),
    )


def _lacks_self(one: Implementation, plugin: Any) -> bool:
    """Return whether a method takes no argument at all, not even the object."""
    code = getattr(inspect.unwrap(one.function), "__code__", None)
    if not isinstance(code, CodeType) or not inspect.isfunction(one.function) or not _takes_self(one, plugin):
        return False
    return code.co_argcount == 0 and not code.co_flags & inspect.CO_VARARGS


def _takes_self(one: Implementation, plugin: Any) -> bool:
    """Return whether the first argument is the object or class itself, which pluggy does not pass."""
    if isinstance(one.function, (classmethod, MethodType)):
        return True
    if isinstance(one.function, staticmethod) or is_module(plugin):
        return False
    return is_class(plugin) or one.function is attributes(type(plugin)).get(one.attribute)


def _kind_faults(one: Implementation) -> Iterator[str]:
    inner = inspect.unwrap(getattr(one.function, "__func__", one.function))
    if one.wraps and not inspect.isgeneratorfunction(inner):
        yield f"hook {one.hook}: a wrapper must be a generator function with one yield"
    elif inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        yield f"hook {one.hook}: an async function is never awaited; make it a plain one that calls asyncio.run()"
    elif not one.wraps and one.hook not in _ITERATED_HOOKS and inspect.isgeneratorfunction(inner):
        yield (
            f"hook {one.hook}: a generator function never runs, since nobody iterates over it; remove the yield, or"
            " make it a wrapper with @tracelet.hookimpl(wrapper=True)"
        )
    if one.options.get("wrapper") and one.options.get("hookwrapper"):
        yield f"hook {one.hook}: wrapper=True and hookwrapper=True exclude each other"


# -- dependencies: other plugins, and requirements on distributions (PEP 508) ----------------------------


def plugin_dependencies(info: PluginInfo, known: Mapping[str, PluginInfo]) -> list[str]:
    """Return the plugins that a plugin depends on, without its requirements on distributions."""
    needs = (_needed_plugin(dependency, info, known) for dependency in _listed(info))
    return [name for name in needs if name is not None]


def dependency_faults(
    info: PluginInfo, known: Mapping[str, PluginInfo], switched_off: Mapping[str, str]
) -> Iterator[str]:
    """Yield the dependencies that are not met."""
    listed = info.metadata.dependencies
    if listed and not isinstance(listed, (list, tuple, set, frozenset)):
        yield f"metadata dependencies: expected a list of strings, found {listed!r}"
    for dependency in _listed(info):
        if not isinstance(dependency, str):
            yield f"dependency {dependency!r}: expected a string"
        elif dependency in switched_off and dependency not in known:
            yield f"needs {dependency!r}, which is switched off ({switched_off[dependency]})"
        else:
            yield from _faults_of(dependency, info, known)


def _listed(info: PluginInfo) -> list[Any]:
    listed = info.metadata.dependencies
    return list(listed) if isinstance(listed, (list, tuple, set, frozenset)) else []


def _needed_plugin(dependency: Any, info: PluginInfo, known: Mapping[str, PluginInfo]) -> str | None:
    """Return the plugin that a dependency names, or ``None`` if it is a requirement on a distribution.

    A bare name means the plugin of that name, if there is one. A plugin named after the library that it needs does
    not need itself, if that library is installed. A requirement with a version means a distribution, unless only a
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
    plugin = _needed_plugin(text, info, known)
    if plugin is not None and known[plugin] is info:
        yield f"needs {text!r}, which is itself; if the library is meant, run: pip install {text}"
    elif plugin == text:
        return
    elif requirement is None:
        yield f"dependency {text!r}: expected a plugin's name or a PEP 508 requirement{_suggest(text, known)}"
    elif requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        found = known[plugin].metadata.version if plugin is not None else _installed(requirement.name)
        yield from _unmet(requirement, text, found, known)


def _unmet(
    requirement: Requirement, text: str, found: str | None, known: Mapping[str, PluginInfo]
) -> Iterator[str]:
    if found is None:
        remedy = f"; run: pip install '{requirement}'" if requirement.specifier else _suggest(text, known)
        yield f"needs {text!r}, found neither such a plugin nor such a distribution{remedy}"
    elif not _satisfies(found, requirement):
        yield f"needs {text!r}, found {found}; run: pip install '{requirement}'"


def _satisfies(found: str, requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(found, prereleases=True)
    except (InvalidVersion, TypeError):
        return False  # the other plugin's version is wrong, which is reported as its own fault


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _installed(distribution: str) -> str | None:
    try:
        return distributions.version(distribution)
    except (distributions.PackageNotFoundError, ValueError):
        return None


def _suggest(name: str, names: Iterable[str]) -> str:
    meant = closest(name, names, cutoff=0.5)
    return f"; did you mean {meant!r}?" if meant else ""
