"""What stands in pluggy's registry for a plugin: itself, wherever that is possible.

pluggy hashes and compares plugins, lists their attributes with ``dir`` and takes plain functions only. A plugin that
does not bear that (a dataclass, a proxy, one that is a wrapper and an implementation of the same hook) has
another object stand there in its place, which holds its bound hook implementations and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Final

import tracelet_hookspecs as contract
from tracelet.host.discovery import (
    ASKED_FOR,
    Implementation,
    attributes,
    dynamic,
    has_lifecycle,
    is_class,
    is_module,
    own_attributes,
    plain_options,
)

WRAPPERS_OF: Final = " (wrappers)"  # marks the second seat of a plugin, for its wrappers


class RegistrationProxy:
    """Stands in the registry for a plugin that cannot stand there itself."""

    __slots__ = ("__dict__", "_of", "_options")

    def __init__(
        self, plugin: object, functions: Iterable[tuple[str, Callable[..., Any], dict[str, Any]]]
    ) -> None:
        self._of = plugin
        self._options = {}
        for attribute, function, options in functions:
            self._options[attribute] = options
            self.__dict__[attribute] = function

    def __dir__(self) -> list[str]:
        return list(self._options)

    def __repr__(self) -> str:
        return f"<seat of a {type(self._of).__name__}>"


def plugin_of(seated: Any) -> Any:
    """Return the plugin that an object in the registry stands for."""
    return seated._of if type(seated) is RegistrationProxy else seated


def options_of(seat: RegistrationProxy, attribute: str) -> dict[str, Any] | None:
    """Return the options of the hook implementation that a seat holds under this name."""
    return seat._options.get(attribute)


def seats(plugin: object, name: str, found: list[Implementation]) -> Iterator[tuple[str, object]]:
    """Yield what to register for a plugin with these implementations, and under which names."""
    extra = list(_dynamic(plugin, {one.hook for one in found}))
    both = {one.hook for one in found if one.wraps} & {one.hook for one in found if not one.wraps}
    if not extra and not both and _can_stand_itself(plugin):
        yield name, plugin
        return
    bound = [(one, bind(plugin, one)) for one in found]
    plain = [(one.attribute, function, one.options) for one, function in bound if not (both and one.wraps)]
    yield name, RegistrationProxy(plugin, [*plain, *extra])
    if both:
        wrappers = ((one.attribute, function, one.options) for one, function in bound if one.wraps)
        yield name + WRAPPERS_OF, RegistrationProxy(plugin, wrappers)


def _can_stand_itself(plugin: object) -> bool:
    known = attributes(plugin)
    if is_module(plugin):
        return type(plugin) is ModuleType and "__dir__" not in known
    if is_class(plugin):
        return type(plugin) is type
    return all(known.get(name) is getattr(object, name) for name in ("__eq__", "__hash__", "__dir__"))


def bind(plugin: object, one: Implementation) -> Callable[..., Any]:
    """Bind a function as looking it up on the plugin would."""
    if is_module(plugin) or not hasattr(one.function, "__get__"):
        return one.function  # type: ignore[no-any-return]
    own = {} if is_class(plugin) else own_attributes(plugin)
    if one.attribute in own:
        return own[one.attribute]  # type: ignore[no-any-return]
    to = (None, plugin) if is_class(plugin) else (plugin, type(plugin))
    return one.function.__get__(*to)  # type: ignore[no-any-return]


def _dynamic(plugin: object, there: set[str]) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Yield the hooks that a plugin with a lifecycle answers for without a method."""
    if is_module(plugin) or is_class(plugin) or not has_lifecycle(plugin):
        return
    known = attributes(plugin)
    for hook in ASKED_FOR:
        target = dynamic(plugin, hook, known) if hook not in there else None
        if target is not None:
            yield hook, _delegate(hook, target), plain_options()


def _delegate(hook: str, target: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with the hook's own arguments that calls a target with those that it must have."""

    @functools.wraps(getattr(contract.specs, hook))  # pluggy reads the signature of what is wrapped
    def function(*required: Any, **offered: Any) -> Any:
        return target(*required)

    return function
