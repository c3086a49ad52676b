"""The short form: ``{"timeout": {"type": "number", "required": True, "default": 30}}``."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tracelet.config.interpolation import from_environment
from tracelet.messages import (
    closest,
    describe_value,
    did_you_mean,
    join_path,
    mismatch,
    missing_key,
    one_of,
    suggest_choice,
    unknown_key,
)
from tracelet.secrets import holds_secret, seal

TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, (list, tuple)),
    "object": lambda value: isinstance(value, Mapping),
}
_MEANT: Final = {
    **dict.fromkeys(("str", "text"), "string"),
    **dict.fromkeys(("float", "double", "real"), "number"),
    **dict.fromkeys(("list", "tuple"), "array"),
    **dict.fromkeys(("dict", "table", "mapping"), "object"),
    "int": "integer",
    "bool": "boolean",
}
_KEYWORDS: Final = frozenset(
    (
        *("type", "required", "default", "secret", "choices", "enum", "minimum", "maximum", "min", "max"),
        *("description", "properties", "items"),
    )
)
_SLIP: Final = 0.8  # a keyword at least this similar to a known one is a mistake; others are notes
_NOTHING: Final = object()


def check(
    schema: Mapping[str, Any], values: Mapping[str, Any], path: str, faults: list[str]
) -> dict[str, Any]:
    """Return ``values`` with defaults filled in; what does not fit is added to ``faults``."""
    return _Check(path, faults).table(schema, values, (), secret=False)


class _Check:
    """One pass over the values. ``secret`` means that the value is under a secret key."""

    def __init__(self, path: str, faults: list[str]) -> None:
        self.path = path
        self.faults = faults

    def table(
        self, schema: Mapping[str, Any], values: Mapping[str, Any], steps: tuple[Any, ...], *, secret: bool
    ) -> dict[str, Any]:
        """Check a table against its keys."""
        self.faults += [
            unknown_key(join_path(self.path, (*steps, key)), key, schema)
            for key in values
            if key not in schema
        ]
        checked: dict[str, Any] = {}
        for key, field in schema.items():
            value = _given(field, values.get(key, _NOTHING))
            hidden = secret or bool(field.get("secret")) or holds_secret(key, value)
            if value is not _NOTHING:
                checked[key] = self._value(field, value, (*steps, key), secret=hidden)
            elif field.get("required"):
                self.faults.append(missing_key(join_path(self.path, (*steps, key)), _expected(field)))
        return checked

    def _value(self, field: Mapping[str, Any], value: Any, steps: tuple[Any, ...], *, secret: bool) -> Any:
        value = _as_wanted(field, seal(value, secret=secret))
        if value is None and _may_be_null(field):
            return None
        types = _types(field)
        if types and not any(TYPES[each](value) for each in types):
            self._mismatch(steps, _expected(field), value, secret=secret)
            return value
        self._check_limits(field, value, steps, secret=secret)
        if isinstance(value, Mapping) and "properties" in field:
            return self.table(field["properties"], value, steps, secret=secret)
        if isinstance(value, (list, tuple)):
            item = {"required": True, **field.get("items", {})}
            return [self._value(item, each, (*steps, at), secret=secret) for at, each in enumerate(value)]
        return value

    def _check_limits(
        self, field: Mapping[str, Any], value: Any, steps: tuple[Any, ...], *, secret: bool
    ) -> None:
        choices = field.get("choices", field.get("enum"))
        if choices is not None and value not in choices:
            hint = "" if secret else suggest_choice(value, choices)
            self._mismatch(steps, one_of(choices), value, hint, secret=secret)
        if not TYPES["number"](value):
            return
        low, high = field.get("minimum", field.get("min")), field.get("maximum", field.get("max"))
        if low is not None and not value >= low:
            self._mismatch(steps, f"at least {low}", value, secret=secret)
        if high is not None and not value <= high:
            self._mismatch(steps, f"at most {high}", value, secret=secret)

    def _mismatch(
        self, steps: tuple[Any, ...], expected: str, value: Any, hint: str = "", *, secret: bool
    ) -> None:
        self.faults.append(mismatch(join_path(self.path, steps), expected, value, secret=secret) + hint)


def _given(field: Mapping[str, Any], value: Any) -> Any:
    """Return the value or the default; a missing table is filled with the defaults of its keys."""
    if value is not _NOTHING:
        return value
    if "default" in field:
        return copy.deepcopy(field["default"])
    nested: Mapping[str, Any] = field.get("properties", {})
    within = {key: _given(each, _NOTHING) for key, each in nested.items()}
    filled = {key: each for key, each in within.items() if each is not _NOTHING}
    lacking = any(each.get("required") for key, each in nested.items() if key not in filled)
    return filled if filled and not lacking else _NOTHING


def _as_wanted(field: Mapping[str, Any], value: Any) -> Any:
    """Convert a string from the environment to the number or boolean that is expected."""
    types = _types(field)
    for each in types if "string" not in types else ():
        value = from_environment(value, each)
    return value


def _may_be_null(field: Mapping[str, Any]) -> bool:
    return field.get("default") is None and ("default" in field or not field.get("required"))


def _types(field: Mapping[str, Any]) -> list[Any]:
    given = field.get("type", [])
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _expected(field: Mapping[str, Any]) -> str:
    return " or ".join(_types(field)) or "a value"


def faults_of(schema: Mapping[str, Any], path: str) -> list[str]:
    """Return what is wrong with the schema itself."""
    return [fault for key, field in schema.items() for fault in _field_faults(field, f"{path}.{key}")]


def _field_faults(field: Any, path: str) -> Iterator[str]:
    if not isinstance(field, Mapping):
        yield f'{path}: expected a table such as {{"type": "string"}}, found {describe_value(field)}'
        return
    yield from (_type_fault(each, f"{path}.type") for each in _types(field) if each not in TYPES)
    for keyword in field:
        near = closest(keyword, _KEYWORDS, cutoff=_SLIP)
        if keyword not in _KEYWORDS and near:
            yield f"{path}.{keyword}: unknown keyword (did you mean {near!r}?)"
    choices = field.get("choices", field.get("enum", ()))
    if isinstance(choices, (str, Mapping)) or not hasattr(choices, "__contains__"):
        yield mismatch(f"{path}.choices", "array", choices)
    nested = field.get("properties", {})
    if isinstance(nested, Mapping):
        yield from faults_of(nested, f"{path}.properties")
    else:
        yield mismatch(f"{path}.properties", "a table", nested)
    if "items" in field:
        yield from _field_faults(field["items"], f"{path}.items")


def _type_fault(given: Any, path: str) -> str:
    name = given.__name__ if isinstance(given, type) else str(given)
    meant = _MEANT.get(name)
    hint = f" (did you mean {meant!r}?)" if meant else did_you_mean(name, TYPES)
    return f"{path}: unknown type {name!r}{hint}"
