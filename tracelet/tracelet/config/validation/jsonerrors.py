"""The errors of jsonschema in the words of this house, without the values of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, Final

from tracelet.messages import found, joined, misfit, missing, nearest_choice, one_of, unknown_key
from tracelet.secrets import redact

Place = tuple[Any, ...]

_EXPECTED: Final[Mapping[str, Callable[[Any], str]]] = {
    "type": lambda wanted: wanted if isinstance(wanted, str) else " or ".join(wanted),
    "enum": one_of,
    "const": repr,
    "minimum": lambda wanted: f"at least {wanted}",
    "maximum": lambda wanted: f"at most {wanted}",
    "exclusiveMinimum": lambda wanted: f"more than {wanted}",
    "exclusiveMaximum": lambda wanted: f"less than {wanted}",
    "multipleOf": lambda wanted: f"a multiple of {wanted}",
    "minLength": lambda wanted: f"at least {wanted} characters",
    "maxLength": lambda wanted: f"at most {wanted} characters",
    "minItems": lambda wanted: f"at least {wanted} items",
    "maxItems": lambda wanted: f"at most {wanted} items",
    "minProperties": lambda wanted: f"at least {wanted} keys",
    "maxProperties": lambda wanted: f"at most {wanted} keys",
    "pattern": lambda wanted: f"a string that matches {wanted!r}",
    "format": lambda wanted: f"a string in the format {wanted!r}",
    "uniqueItems": lambda _: "items that differ",
}


def faults_in(error: Any, path: str, secrets: Set[Place]) -> Iterator[str]:
    """Put one error into words; of required and unknown keys each is a fault."""
    place = tuple(error.absolute_path)
    if error.validator == "required":
        yield from _required(error, joined(path, place))
    elif error.validator == "additionalProperties" and error.validator_value is False:
        yield from _additional(error, joined(path, place))
    elif error.context:
        yield from _branches(error, path, secrets)
    else:
        yield _said(error, joined(path, place), secret=_touches(place, secrets))


def _touches(place: Place, secrets: Set[Place]) -> bool:
    """Say whether a secret stands at a place, around it or within it."""
    return any(place[: len(each)] == each or each[: len(place)] == place for each in secrets)


def _required(error: Any, path: str) -> Iterator[str]:
    declared = error.schema.get("properties", {})
    for name in error.validator_value:
        if name not in error.instance:
            yield missing(f"{path}.{name}", _type(declared.get(name)))


def _additional(error: Any, path: str) -> Iterator[str]:
    declared = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    for name in error.instance:
        if name not in declared and not any(re.search(pattern, name) for pattern in patterns):
            yield unknown_key(f"{path}.{name}", name, declared)


def _type(schema: Any) -> str:
    given = schema.get("type", "a value") if isinstance(schema, Mapping) else "a value"
    return _EXPECTED["type"](given)


def _branches(error: Any, path: str, secrets: Set[Place]) -> Iterator[str]:
    """Tell of a value that fits none of several schemas: what any would take, or the nearest one's faults."""
    import jsonschema

    place = tuple(error.absolute_path)
    if all(each.validator == "type" and not each.relative_path for each in error.context):
        expected = " or ".join(dict.fromkeys(_type(each.schema) for each in error.context))
        yield misfit(joined(path, place), expected, error.instance, secret=_touches(place, secrets))
        return
    nearest = jsonschema.exceptions.best_match([error])
    if nearest is error:
        nearest = error.context[0]
    yield from faults_in(nearest, path, secrets)


def _said(error: Any, path: str, *, secret: bool) -> str:
    phrase = _EXPECTED.get(error.validator)
    if phrase is not None:
        hint = nearest_choice(error.instance, error.validator_value) if error.validator == "enum" else ""
        expected = phrase(error.validator_value)
        return misfit(path, expected, error.instance, secret=secret) + ("" if secret else hint)
    if secret and error.validator != "dependentRequired":  # whose message names keys only
        return f"{path}: does not satisfy {error.validator!r}, found {found(error.instance, secret=True)}"
    return f"{path}: {redact(error.message)}"
