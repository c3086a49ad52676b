"""The types of annotations, and their names in TOML and JSON."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Annotated, Any, Final, Literal

from tracelet.messages import one_of

PRIMITIVES: Final[Mapping[Any, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def words_for(kind: Any) -> str:
    """Return the name of a type in messages: that of TOML and JSON if there is one."""
    if kind in PRIMITIVES:
        return PRIMITIVES[kind]
    if is_union(kind):
        return " or ".join(dict.fromkeys(map(words_for, typing.get_args(kind))))
    if is_literal(kind):
        return one_of(typing.get_args(kind))
    if typing.get_origin(kind) is Annotated:
        return words_for(typing.get_args(kind)[0])
    if is_enum(kind):
        return one_of(member.value for member in kind)
    if is_sequence(kind):
        return "array"
    if is_mapping(kind) or hasattr(kind, "__attrs_attrs__"):
        return "object"
    return "a value" if kind in (None, Any) else f"{getattr(kind, '__name__', kind)}"


def is_enum(kind: Any) -> bool:
    """Return whether a type is an enumeration."""
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def is_literal(kind: Any) -> bool:
    """Return whether a type is a choice of values, ``Literal[...]``."""
    origin: Any = typing.get_origin(kind)
    return origin is Literal


def is_union(kind: Any) -> bool:
    """Return whether a type is one of several, ``A | B``."""
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def origin_of(kind: Any) -> Any:
    """Return a type without its arguments: ``list`` of ``list[int]``."""
    return typing.get_origin(kind) or kind


def is_sequence(kind: Any) -> bool:
    """Return whether a type is written as an array."""
    return origin_of(kind) in (list, tuple, set, frozenset, Sequence, MutableSequence, Collection, Iterable)


def is_mapping(kind: Any) -> bool:
    """Return whether a type is written as a table of any keys."""
    return origin_of(kind) in (dict, Mapping, MutableMapping)
