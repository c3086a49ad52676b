"""What is put into pluggy's registry for a plugin: the plugin itself whenever possible, else a proxy.

pluggy hashes and compares plugins, lists their attributes with ``dir`` and accepts plain functions only. A plugin that
does not support this (a dataclass that compares by value, a proxy, an object whose ``__dir__`` raises, one that is
both a wrapper and an implementation of the same hook) is represented by a :class:`RegistrationProxy`, which holds its
bound hook implementations and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Final

import tracelet_hookspecs as contract
from tracelet.host.discovery import (
    DYNAMIC_HOOKS,
    Implementation,
    attributes,
    dynamic_attribute,
    has_lifecycle,
    is_class,
    is_module,
    own_attributes,
    plain_options,
)

WRAPPERS_SUFFIX: Final = " (wrappers)"  # marks the second registration of a plugin, for its wrappers


class RegistrationProxy:
    """Represents a plugin in the registry that cannot be registered itself.

    It exists because pluggy calls ``hash``, ``==``, ``dir`` and ``getattr`` on whatever is registered: any of them may
    run the plugin's code, raise, or take two equal plugins for one. The proxy compares by identity, lists exactly the
    hooks found by static inspection, and never asks the plugin.
    """

    __slots__ = ("__dict__", "_options", "_plugin")

    def __init__(
        self, plugin: object, functions: Iterable[tuple[str, Callable[..., Any], dict[str, Any]]]
    ) -> None:
        self._plugin = plugin
        self._options = {}
        for attribute, function, options in functions:
            self._options[attribute] = options
            self.__dict__[attribute] = function

    def __dir__(self) -> list[str]:
        return list(self._options)

    def __repr__(self) -> str:
        return f"<registration of a {type(self._plugin).__name__}>"


def plugin_of(registered: Any) -> Any:
    """Return the plugin that an object in the registry represents."""
    return registered._plugin if type(registered) is RegistrationProxy else registered


def options_of(proxy: RegistrationProxy, attribute: str) -> dict[str, Any] | None:
    """Return the options of the hook implementation that a proxy holds under this name."""
    return proxy._options.get(attribute)


def registrations(plugin: object, name: str, found: list[Implementation]) -> Iterator[tuple[str, object]]:
    """Yield what to register for a plugin with these implementations, and under which names."""
    extra = list(_dynamic_hooks(plugin, {one.hook for one in found}))
    both = {one.hook for one in found if one.wraps} & {one.hook for one in found if not one.wraps}
    if not extra and not both and _can_be_registered(plugin):
        yield name, plugin
        return
    bound = [(one, bind(plugin, one)) for one in found]
    plain = [(one.attribute, function, one.options) for one, function in bound if not (both and one.wraps)]
    yield name, RegistrationProxy(plugin, [*plain, *extra])
    if both:
        wrappers = ((one.attribute, function, one.options) for one, function in bound if one.wraps)
        yield name + WRAPPERS_SUFFIX, RegistrationProxy(plugin, wrappers)


def _can_be_registered(plugin: object) -> bool:
    known = attributes(plugin)
    if is_module(plugin):
        return type(plugin) is ModuleType and "__dir__" not in known
    if is_class(plugin):
        return type(plugin) is type
    return all(known.get(name) is getattr(object, name) for name in ("__eq__", "__hash__", "__dir__"))


def bind(plugin: object, one: Implementation) -> Callable[..., Any]:
    """Bind a function as attribute access on the plugin would."""
    if is_module(plugin) or not hasattr(one.function, "__get__"):
        return one.function  # type: ignore[no-any-return]
    own = {} if is_class(plugin) else own_attributes(plugin)
    if one.attribute in own:
        return own[one.attribute]  # type: ignore[no-any-return]
    to = (None, plugin) if is_class(plugin) else (plugin, type(plugin))
    return one.function.__get__(*to)  # type: ignore[no-any-return]


def _dynamic_hooks(plugin: object, known_hooks: set[str]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield the hooks that a plugin with a lifecycle provides without a method."""
    if is_module(plugin) or is_class(plugin) or not has_lifecycle(plugin):
        return
    known = attributes(plugin)
    for hook in DYNAMIC_HOOKS:
        target = dynamic_attribute(plugin, hook, known) if hook not in known_hooks else None
        if target is not None:
            yield hook, _delegate(hook, target), plain_options()


def _delegate(hook: str, target: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with the hook's own arguments that calls a target with the required ones."""

    @functools.wraps(getattr(contract.specs, hook))  # pluggy reads the signature of what is wrapped
    def function(*required: Any, **offered: Any) -> Any:
        return target(*required)

    return function
