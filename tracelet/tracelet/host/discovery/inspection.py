"""What a plugin object offers, found without running any of its code.

Attributes are looked up statically: a property is not evaluated, ``__getattr__`` is not asked. Only the few
names in :data:`DYNAMIC_HOOKS` may be provided dynamically (by a proxy, a ``partialmethod``, a mock).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, Final, NamedTuple

import tracelet_hookspecs as contract

LIFECYCLE: Final = ("get_metadata", "initialize", "start", "stop", "get_status")
#: Hooks that a plugin with a lifecycle may also provide dynamically: those that the base classes require.
DYNAMIC_HOOKS: Final = (*LIFECYCLE[1:], "log_metric", "log_params", "log_artifact", "collect")
OWN_HOOKS: Final = frozenset(
    name for name, value in vars(contract.specs).items() if hasattr(value, contract.PROJECT_NAME + "_spec")
)

_HOOKABLE: Final = (FunctionType, MethodType, staticmethod, classmethod)
#: What every class has plenty of. These types take no attributes, so the decorator cannot have been at them.
_NEVER_HOOKS: Final = frozenset(
    {
        *(BuiltinFunctionType, ClassMethodDescriptorType, GetSetDescriptorType, MethodDescriptorType),
        *(WrapperDescriptorType, str, int, float, bool, tuple, list, dict, type(None)),
    }
)
_MARK: Final = contract.PROJECT_NAME + "_impl"  # where the decorator puts its options
_ABSENT: Final = object()
_ABSTRACT: Final = 1 << 20  # Py_TPFLAGS_IS_ABSTRACT
# Taken from type itself, because a metaclass may define attributes of these names in code.
_MRO: Final[Callable[[Any], tuple[type, ...]]] = type.__dict__["__mro__"].__get__
_DICT: Final[Callable[[Any], dict[str, Any]]] = type.__dict__["__dict__"].__get__


class Implementation(NamedTuple):
    """One hook implementation of a plugin: the attribute's name, the hook, the function as it is stored."""

    attribute: str
    hook: str
    function: Any
    options: dict[str, Any]

    @property
    def is_function(self) -> bool:
        """Whether it is a function or method, which pluggy requires."""
        return issubclass(type(self.function), _HOOKABLE)

    @property
    def wraps(self) -> bool:
        """Whether it wraps the implementations of other plugins."""
        return bool(self.options.get("wrapper") or self.options.get("hookwrapper"))


def is_class(value: object) -> bool:
    """Return whether a value is a class. A proxy is not asked for its target."""
    return issubclass(type(value), type)


def is_module(value: object) -> bool:
    """Return whether a value is a module. A proxy is not asked for its target."""
    return issubclass(type(value), ModuleType)


def bases(cls: object) -> tuple[type, ...]:
    """Return a class and its bases, in the order of attribute lookup."""
    return _MRO(cls)


def class_dict(cls: object) -> dict[str, Any]:
    """Return the attributes stored on a class itself."""
    return _DICT(cls)


def class_name(cls: object) -> str:
    """Return the name of a class, as Python itself keeps it."""
    name: str = type.__dict__["__name__"].__get__(cls)
    return name


def is_abstract(cls: object) -> bool:
    """Return whether a class has abstract methods."""
    return bool(type.__dict__["__flags__"].__get__(cls) & _ABSTRACT)


def attributes(plugin: object) -> dict[str, Any]:
    """Return a plugin's attributes as stored in its module, its class and bases, and on the object itself."""
    if is_module(plugin):
        return dict(vars(plugin))
    found: dict[str, Any] = {}
    for cls in reversed(_MRO(plugin if is_class(plugin) else type(plugin))):
        found.update(_DICT(cls))
    return found if is_class(plugin) else {**found, **own_attributes(plugin)}


def own_attributes(plugin: object) -> dict[str, Any]:
    """Return the attributes stored on an object itself rather than on its class."""
    try:
        own = object.__getattribute__(plugin, "__dict__")
    except AttributeError:
        return {}  # an object with slots only
    return own if isinstance(own, dict) else {}


def implementations(plugin: object) -> Iterator[Implementation]:
    """Yield all hook implementations: decorated ones, and the contract's hooks among a lifecycle's methods."""
    known = attributes(plugin)
    seen = set()
    for one in _decorated(known):
        seen.add(one.attribute)
        yield one
    if _has_lifecycle(plugin, known):
        for name in sorted(OWN_HOOKS - seen):
            if issubclass(type(known.get(name)), _HOOKABLE):
                yield Implementation(name, name, known[name], plain_options())


def plain_options() -> dict[str, Any]:
    """Return the options of an implementation without a decorator."""
    off = ("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast")
    return {**dict.fromkeys(off, False), "specname": None}


def hook_functions(plugin: object) -> Iterator[tuple[str, Any]]:
    """Yield the decorated hook implementations of a class, object or module."""
    for one in _decorated(attributes(plugin)):
        yield one.attribute, one.function


def forgotten_decorator(module: ModuleType) -> str:
    """Return which function of a module without plugins was probably meant to be a hook implementation."""
    own = {name: value for name, value in vars(module).items() if type(value) is FunctionType}
    bare = sorted(name for name in OWN_HOOKS & own.keys() if own[name].__module__ == module.__name__)
    return f"{bare[0]}() is not a hook implementation; put @tracelet.hookimpl above it" if bare else ""


def is_decorated(function: Any) -> bool:
    """Return whether a function is decorated as a hook implementation."""
    return _options(function) is not None


def _decorated(known: dict[str, Any]) -> Iterator[Implementation]:
    for name, value in known.items():
        kind = type(value)
        if kind in _NEVER_HOOKS:
            continue
        if issubclass(kind, _HOOKABLE):
            options = _options(value) or _options(getattr(value, "__func__", None))
        else:  # a partial or another object that is called: no implementation, but one was meant
            options = _instance_dict(value).get(_MARK)
        if type(options) is dict:
            yield Implementation(name, options.get("specname") or name, value, options)


def _instance_dict(value: object) -> dict[str, Any]:
    """Return the attributes stored on any object, unless its class computes ``__dict__`` in Python."""
    for cls in _MRO(type(value)):
        descriptor = _DICT(cls).get("__dict__")
        if descriptor is not None:
            found = descriptor.__get__(value) if type(descriptor) is GetSetDescriptorType else None
            return found if type(found) is dict else {}
    return {}


def _options(function: Any) -> dict[str, Any] | None:
    options = getattr(function, _MARK, None)
    return options if type(options) is dict else None


def has_lifecycle(plugin: object) -> bool:
    """Return whether a plugin has the lifecycle, so that its methods need no decorator."""
    return _has_lifecycle(plugin, attributes(plugin))


def _has_lifecycle(plugin: object, known: dict[str, Any]) -> bool:
    if is_module(plugin):
        return False
    if "get_metadata" in known or dynamic_attribute(plugin, "get_metadata", known) is not None:
        return True
    return next(_decorated(known), None) is None


def dynamic_attribute(plugin: object, name: str, known: dict[str, Any]) -> Callable[..., Any] | None:
    """Return a callable attribute that is not a plain method, or ``None``.

    This runs the plugin's code: its ``__getattr__``, or the descriptor of this name. None of their errors escape.
    """
    static = known.get(name, _ABSENT)
    if issubclass(type(static), _HOOKABLE) or (
        static is _ABSENT and not _has_dynamic_attributes(plugin, known)
    ):
        return None
    try:
        value = getattr(plugin, name)
    except BaseException:  # whatever was raised, there is nothing to call
        return None
    return value if callable(value) else None


def _has_dynamic_attributes(plugin: object, known: dict[str, Any]) -> bool:
    if is_class(plugin):
        return False  # a metaclass that computes attributes is not asked
    return "__getattr__" in known or known.get("__getattribute__") is not object.__getattribute__


def missing_methods(plugin: object) -> list[str]:
    """Return the lifecycle methods that a plugin lacks, and its abstract methods."""
    known = attributes(plugin)
    abstract = getattr(plugin if is_class(plugin) else type(plugin), "__abstractmethods__", ())
    missing = [name for name in LIFECYCLE if not _has(plugin, name, known)]
    return sorted({*abstract, *missing}, key=lambda name: ([*LIFECYCLE, name].index(name), name))


def _has(plugin: object, name: str, known: dict[str, Any]) -> bool:
    return issubclass(type(known.get(name)), _HOOKABLE) or dynamic_attribute(plugin, name, known) is not None
