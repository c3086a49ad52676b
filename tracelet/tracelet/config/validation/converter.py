"""A strict cattrs converter: no value changes its type, and every fault has its path."""

from __future__ import annotations

import datetime
import enum
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.config.interpolation import from_environment, plain
from tracelet.config.validation.annotations import (
    PRIMITIVES,
    is_enum,
    is_literal,
    is_mapping,
    is_sequence,
    is_union,
    origin_of,
    words_for,
)

Structure = Callable[[Any, Any], Any]  # (value, type) -> the value as that type


class Fault(NamedTuple):
    """A value that does not fit, with its path. If ``secret``, the value must not be shown."""

    steps: tuple[Any, ...]
    expected: str = ""
    value: Any = None
    text: str = ""
    secret: bool = False

    def within(self, step: Any, *, secret: bool = False) -> Fault:
        """Return the fault as seen from one level up."""
        return self._replace(steps=(step, *self.steps), secret=self.secret or secret)


class FaultsError(ValueError):
    """Raised by a hook, with every fault of its value."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__(f"{len(faults)} faults")


class Attempt(NamedTuple):
    """The result of structuring one value."""

    value: Any
    faults: list[Fault]


def attempt(action: Callable[..., Any], *args: Any) -> Attempt:
    """Run one step of structuring; whatever it raises becomes faults."""
    try:
        return Attempt(action(*args), [])
    except Exception as error:  # hooks of cattrs and a plugin's types can raise anything
        return Attempt(None, _faults_of(error))


def _faults_of(error: BaseException) -> list[Fault]:
    if isinstance(error, FaultsError):
        return error.faults
    inner = getattr(error, "exceptions", None)
    if not inner:
        return [Fault((), text=f"{type(error).__name__}: {error}")]
    return [fault for each in inner for fault in _faults_at_member(each)]


def _faults_at_member(error: BaseException) -> list[Fault]:
    """Return the faults of one member of cattrs' group of errors, which notes an index or a field's name."""
    faults = _faults_of(error)
    for note in getattr(error, "__notes__", ()):
        step = getattr(note, "index", getattr(note, "name", None))
        if step is not None:
            faults = [fault.within(step) for fault in faults]
    return faults


def strict_converter(instance: Callable[[Any, Any, Any], Any]) -> Any:
    """Return a converter that turns no string into a number, no number into a string, no string into a list.

    ``instance(cls, value, converter)`` makes instances of attrs classes.
    """
    import attrs
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    add = converter.register_structure_hook_factory
    for kind, hook in _HOOKS.items():
        converter.register_structure_hook(kind, hook)
    add(is_literal, lambda kind: _literal)
    add(is_sequence, lambda kind: _sequence_hook(converter.structure))
    add(is_mapping, lambda kind: _mapping_hook(converter.structure))
    add(is_union, lambda kind: _union_hook(converter.structure))
    add(attrs.has, lambda kind: lambda value, cls: instance(cls, value, converter))
    return converter


def _mismatch(kind: Any, value: Any) -> FaultsError:
    return FaultsError([Fault((), words_for(kind), value)])


def _primitive(value: Any, kind: Any) -> Any:
    """Accept a value of a basic type, for that type or one derived from it (cattrs asks for these too)."""
    if is_enum(kind):
        return _enum_member(value, kind)
    base = next(each for each in kind.__mro__ if each in PRIMITIVES)
    value = from_environment(value, PRIMITIVES[base])
    accepted = (int, float) if base is float else base
    if not isinstance(value, accepted) or (isinstance(value, bool) and base is not bool):
        raise _mismatch(base, value)
    if kind is not base or kind is float:
        return kind(value)
    return plain(value)


def _moment(value: Any, kind: Any) -> Any:
    """Accept a date or time, which TOML has, or its ISO 8601 text."""
    if type(value) is kind:
        return value
    try:
        return kind.fromisoformat(value)
    except (TypeError, ValueError):
        raise _mismatch(kind, value) from None


def _path(value: Any, kind: Any) -> Path:
    if not isinstance(value, (str, Path)):
        raise FaultsError([Fault((), "string", value)])
    return Path(plain(value))


def _enum_member(value: Any, kind: Any) -> Any:
    for member in kind:
        if value is member or (type(member.value) is type(plain(value)) and member.value == value):
            return member
    raise _mismatch(kind, value)


def _literal(value: Any, kind: Any) -> Any:
    for choice in typing.get_args(kind):
        given = from_environment(value, PRIMITIVES.get(type(choice), ""))
        if choice == given and isinstance(choice, bool) == isinstance(given, bool):
            return choice
    raise _mismatch(kind, value)


def _sequence_hook(structure: Structure) -> Structure:
    def hook(value: Any, kind: Any) -> Any:
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise _mismatch(kind, value)
        made = [attempt(structure, each, of) for each, of in _items(list(value), kind)]
        _raise_all(fault.within(at) for at, each in enumerate(made) for fault in each.faults)
        origin = origin_of(kind)
        return (origin if origin in (tuple, set, frozenset) else list)(each.value for each in made)

    return hook


def _items(values: list[Any], kind: Any) -> Iterable[tuple[Any, Any]]:
    """Pair items with their types. Raises for a tuple of the wrong length."""
    of = typing.get_args(kind)
    if origin_of(kind) is not tuple or of[1:] == (...,) or not of:
        return [(value, of[0] if of else Any) for value in values]
    if len(values) != len(of):
        raise FaultsError([Fault((), f"an array of {len(of)} items", values)])
    return zip(values, of, strict=True)


def _mapping_hook(structure: Structure) -> Structure:
    def hook(value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _mismatch(kind, value)
        of_key, of_value = typing.get_args(kind) or (Any, Any)
        made = {key: attempt(structure, each, of_value) for key, each in value.items()}
        _raise_all(fault.within(key) for key, each in made.items() for fault in each.faults)
        return {structure(key, of_key): each.value for key, each in made.items()}

    return hook


def _raise_all(faults: Iterable[Fault]) -> None:
    found = list(faults)
    if found:
        raise FaultsError(found)


def _union_hook(structure: Structure) -> Structure:
    """Return a hook that prefers the member with the value's type, else the first that accepts the value."""

    def hook(value: Any, kind: Any) -> Any:
        members = sorted(typing.get_args(kind), key=lambda member: type(value) is not origin_of(member))
        tried = [attempt(structure, value, member) for member in members]
        for each in tried:
            if not each.faults:
                return each.value
        deep = [each.faults for each in tried if any(fault.steps for fault in each.faults)]
        raise FaultsError(min(deep, key=len)) if deep else _mismatch(kind, value)

    return hook


_HOOKS: Final[Mapping[Any, Structure]] = {
    **dict.fromkeys(PRIMITIVES, _primitive),
    **dict.fromkeys((datetime.datetime, datetime.date, datetime.time), _moment),
    enum.Enum: _enum_member,
    Path: _path,
}
