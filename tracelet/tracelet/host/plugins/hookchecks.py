"""Whether a plugin's hook implementations fit the hookspecs, told before pluggy would raise at the first misfit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, MethodType
from typing import Any, Final, NamedTuple

from tracelet.host.discovery import Implementation, attributes, implementations, is_class, is_module
from tracelet.host.plugins.registry import Registry
from tracelet.messages import closest


def hook_faults(plugin: Any, registry: Registry, *, complete: bool = True) -> Iterator[str]:
    """Yield hook implementations that no hookspec knows, and arguments that theirs does not offer.

    ``complete`` says that all hookspecs are there; without it, unknown hooks are let pass.
    """
    names = registry.hook_names()
    for one in implementations(plugin):
        if one.hook in names:
            yield from _argument_faults(one, plugin, registry)
            yield from _kind_faults(one)
        elif complete and not one.options.get("optionalhook"):
            yield f"unknown hook {one.hook!r}{_meant(one.hook, names)}"


def hook_doubts(plugin: Any, registry: Registry) -> Iterator[str]:
    """Yield arguments that nothing is ever given for, where another one that the hook has is not taken.

    ``log_metric(self, name, value, step=None)`` is legal, and never hears of an iteration.
    """
    names = registry.hook_names()
    for one in implementations(plugin):
        spec = registry.caller(one.hook).spec if one.hook in names else None
        if spec is None:
            continue
        taken = _arguments(one, plugin)
        never = [name for name in taken.optional if name not in (*spec.argnames, *spec.kwargnames)]
        never += taken.optional_keywords
        missed = [name for name in spec.argnames if name not in taken.required + taken.optional]
        if never and missed:
            yield (
                f"hook {one.hook}: nothing is ever given for {', '.join(never)}, and {', '.join(missed)} is not"
                f" taken; it may take {', '.join((*spec.argnames, *spec.kwargnames))}, by position"
            )


def _argument_faults(one: Implementation, plugin: Any, registry: Registry) -> Iterator[str]:
    offered = _offered(one.hook, registry)
    arguments = _arguments(one, plugin)
    for argument in arguments.required:
        if argument not in offered:
            yield f"hook {one.hook}: unknown argument {argument!r}{_may_take(argument, offered)}"
    for argument in arguments.required_keywords:
        yield f"hook {one.hook}: argument {argument!r} can only be given by keyword; remove the * before it"


def _offered(hook: str, registry: Registry) -> list[str]:
    spec = registry.caller(hook).spec
    return [*spec.argnames, *spec.kwargnames] if spec is not None else []


class _Arguments(NamedTuple):
    """The arguments of an implementation: those that a call must give and those with a default."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    required_keywords: tuple[str, ...] = ()
    optional_keywords: tuple[str, ...] = ()


_NONE: Final = _Arguments()


def _arguments(one: Implementation, plugin: Any) -> _Arguments:
    inner = inspect.unwrap(getattr(one.function, "__func__", one.function))
    code = getattr(inner, "__code__", None)
    if not isinstance(code, CodeType):
        return _NONE
    names = code.co_varnames[: code.co_argcount]
    first_optional = len(names) - len(inner.__defaults__ or ())
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    given = inner.__kwdefaults__ or {}
    return _Arguments(
        names[1 if _takes_self(one, plugin) else 0 : first_optional],
        names[first_optional:],
        tuple(name for name in keywords if name not in given),
        tuple(name for name in keywords if name in given),
    )


def _takes_self(one: Implementation, plugin: Any) -> bool:
    """Whether the first argument is the object or class itself, which pluggy's call does not give."""
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
    if one.options.get("wrapper") and one.options.get("hookwrapper"):
        yield f"hook {one.hook}: wrapper=True and hookwrapper=True exclude each other"


def _may_take(argument: str, offered: list[str]) -> str:
    return f"{_meant(argument, offered)}; it may take {', '.join(offered) or 'none'}"


def _meant(name: str, names: list[str]) -> str:
    meant = closest(name, names, cutoff=0.5)
    return f"; did you mean {meant!r}?" if meant else ""
