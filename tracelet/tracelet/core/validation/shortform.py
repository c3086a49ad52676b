"""The short form: ``{"timeout": {"type": "number", "required": True, "default": 30}}``."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Mapping
from typing import Any, Final

from tracelet.core.interpolation import from_environment
from tracelet.core.secrets import is_secret_key, seal
from tracelet.core.wording import closest, did_you_mean, found, misfit

TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, (list, tuple)),
    "object": lambda value: isinstance(value, Mapping),
}
_MEANT: Final = {
    "str": "string", "text": "string", "int": "integer", "float": "number", "double": "number",
    "bool": "boolean", "list": "array", "tuple": "array", "dict": "object", "table": "object",
}
_KEYWORDS: Final = frozenset(
    (
        *("type", "required", "default", "secret", "choices", "enum", "minimum", "maximum", "min", "max"),
        *("description", "properties", "items"),
    )
)
_NOTHING: Final = object()


def check(
    schema: Mapping[str, Any], values: Mapping[str, Any], path: str, faults: list[str]
) -> dict[str, Any]:
    """Return ``values`` with defaults filled in; what does not fit is added to ``faults``."""
    return _table(schema, values, path, faults, secret=False)


def _table(
    schema: Mapping[str, Any], values: Mapping[str, Any], path: str, faults: list[str], *, secret: bool
) -> dict[str, Any]:
    for key in values:
        if key not in schema:
            faults.append(f"{path}.{key}: unknown key{did_you_mean(key, schema)}")
    checked: dict[str, Any] = {}
    for key, field in schema.items():
        hidden = secret or bool(field.get("secret")) or is_secret_key(key)
        value = _given(field, values.get(key, _NOTHING))
        if value is not _NOTHING:
            checked[key] = _value(field, value, f"{path}.{key}", faults, secret=hidden)
        elif field.get("required"):
            faults.append(f"{path}.{key}: expected {_expected(field)}, found nothing (required)")
    return checked


def _given(field: Mapping[str, Any], value: Any) -> Any:
    """Return the value, or the default in place of none; a table that only defaults fill is filled."""
    if value is not _NOTHING:
        return value
    if "default" in field:
        return copy.deepcopy(field["default"])
    nested = field.get("properties")
    if not nested or field.get("required"):
        return _NOTHING
    within = {key: _given(each, _NOTHING) for key, each in nested.items()}
    lacking = any(nested[key].get("required") for key, each in within.items() if each is _NOTHING)
    filled = {key: each for key, each in within.items() if each is not _NOTHING}
    return filled if filled and not lacking else _NOTHING


def _value(field: Mapping[str, Any], value: Any, path: str, faults: list[str], *, secret: bool) -> Any:
    value = seal(value, secret=secret)
    if (
        value is None
        and field.get("default") is None
        and not (field.get("required") and "default" not in field)
    ):
        return None
    types = _types(field)
    for each in types:
        value = from_environment(value, each)
    if types and not any(TYPES[each](value) for each in types):
        faults.append(misfit(path, _expected(field), value, secret=secret))
        return value
    _check_limits(field, value, path, faults, secret=secret)
    if isinstance(value, Mapping) and "properties" in field:
        return _table(field["properties"], value, path, faults, secret=secret)
    if isinstance(value, (list, tuple)) and "items" in field:
        item = field["items"]
        return [_value(item, each, f"{path}[{at}]", faults, secret=secret) for at, each in enumerate(value)]
    return value


def _types(field: Mapping[str, Any]) -> list[str]:
    given = field.get("type", [])
    return [given] if isinstance(given, str) else list(given)


def _expected(field: Mapping[str, Any]) -> str:
    return " or ".join(_types(field)) or "a value"


def _check_limits(
    field: Mapping[str, Any], value: Any, path: str, faults: list[str], *, secret: bool
) -> None:
    choices = field.get("choices", field.get("enum"))
    if choices is not None and value not in choices:
        near = closest(value, map(str, choices)) if isinstance(value, str) and not secret else None
        hint = f" (did you mean {near!r}?)" if near else ""
        faults.append(misfit(path, "one of " + ", ".join(map(repr, choices)), value, secret=secret) + hint)
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return
    low, high = field.get("minimum", field.get("min")), field.get("maximum", field.get("max"))
    if low is not None and not value >= low:
        faults.append(misfit(path, f"at least {low}", value, secret=secret))
    if high is not None and not value <= high:
        faults.append(misfit(path, f"at most {high}", value, secret=secret))


def faults_of(schema: Mapping[str, Any], path: str) -> list[str]:
    """Return what is wrong with the schema itself."""
    faults: list[str] = []
    for key, field in schema.items():
        faults += _field_faults(field, f"{path}.{key}")
    return faults


def _field_faults(field: Any, path: str) -> list[str]:
    if not isinstance(field, Mapping):
        return [f'{path}: expected a table such as {{"type": "string"}}, found {found(field)}']
    faults = [_type_fault(each, f"{path}.type") for each in _stated_types(field)]
    for keyword in field:
        near = closest(keyword, _KEYWORDS)
        if keyword not in _KEYWORDS and near and len(near) > 3:
            faults.append(f"{path}.{keyword}: unknown keyword (did you mean {near!r}?)")
    if isinstance(field.get("properties", {}), Mapping):
        faults += faults_of(field.get("properties", {}), f"{path}.properties")
    else:
        faults.append(misfit(f"{path}.properties", "a table", field["properties"]))
    return [fault for fault in faults if fault] + (
        _field_faults(field["items"], f"{path}.items") if "items" in field else []
    )


def _stated_types(field: Mapping[str, Any]) -> list[Any]:
    given = field.get("type", [])
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _type_fault(given: Any, path: str) -> str:
    name = given.__name__ if isinstance(given, type) else given
    if isinstance(given, str) and given in TYPES:
        return ""
    meant = _MEANT.get(name) if isinstance(name, str) else None
    hint = f" (did you mean {meant!r}?)" if meant else did_you_mean(name, TYPES)
    return f"{path}: unknown type {name!r}{hint}"
