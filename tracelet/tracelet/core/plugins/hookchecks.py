"""Whether a plugin's hook implementations fit the hookspecs, told before pluggy would raise at the first misfit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, MethodType
from typing import Any

from tracelet.core.discovery import Implementation, attributes, implementations, is_class, is_module
from tracelet.core.plugins.registry import Registry
from tracelet.core.wording import closest


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


def _argument_faults(one: Implementation, plugin: Any, registry: Registry) -> Iterator[str]:
    spec = registry.caller(one.hook).spec
    if spec is None:
        return
    offered = [*spec.argnames, *spec.kwargnames]
    required, keyword_only = _arguments(one, plugin)
    for argument in required:
        if argument not in offered:
            yield (
                f"hook {one.hook}: unknown argument {argument!r}{_meant(argument, offered)};"
                f" it may take {', '.join(offered) or 'none'}"
            )
    for argument in keyword_only:
        yield f"hook {one.hook}: argument {argument!r} can only be given by keyword; remove the * before it"


def _arguments(one: Implementation, plugin: Any) -> tuple[list[str], list[str]]:
    """Return the arguments that a call must give: those by position, and those by keyword only."""
    inner = inspect.unwrap(getattr(one.function, "__func__", one.function))
    code = getattr(inner, "__code__", None)
    if not isinstance(code, CodeType):
        return [], []
    names = code.co_varnames[: code.co_argcount]
    required = names[: len(names) - len(inner.__defaults__ or ())]
    keyword_only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    given = inner.__kwdefaults__ or {}
    return (
        list(required[1 if _takes_self(one, plugin) else 0 :]),
        [name for name in keyword_only if name not in given],
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


def _meant(name: str, names: list[str]) -> str:
    meant = closest(name, names, cutoff=0.5)
    return f"; did you mean {meant!r}?" if meant else ""
