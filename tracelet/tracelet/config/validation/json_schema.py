"""JSON Schema, checked by jsonschema, with defaults filled in and unknown keys reported.

jsonschema's errors are reworded like all others here, without the values of secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, Final

from tracelet.config.validation.json_defaults import KeyPath, Walk, parts_of
from tracelet.messages import (
    describe_value,
    did_you_mean,
    join_path,
    mismatch,
    missing_key,
    one_of,
    suggest_choice,
    unknown_key,
)
from tracelet.secrets import redact

TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
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


def faults_of(schema: Mapping[str, Any], path: str) -> list[str]:
    """Return what is wrong with the schema itself, by its draft (2020-12 by default)."""
    draft = _draft(schema)
    errors = draft(draft.META_SCHEMA, format_checker=draft.FORMAT_CHECKER).iter_errors(schema)
    return list(dict.fromkeys(fault for error in errors for fault in _schema_faults(error, path)))


def _schema_faults(error: Any, path: str) -> Iterator[str]:
    steps = list(error.absolute_path)
    if steps and steps[-1] == "type" and isinstance(error.instance, str):
        yield f"{join_path(path, steps)}: unknown type {error.instance!r}{did_you_mean(error.instance, TYPES)}"
    else:
        yield from faults_in(error, path, frozenset())


def _draft(schema: Mapping[str, Any]) -> Any:
    import jsonschema

    return jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)


def keys(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys declared at the top level."""
    named = [part.schema.get("properties", {}) for part in parts_of(schema, schema)]
    return frozenset(str(name) for names in named if isinstance(names, Mapping) for name in names)


def check(schema: Mapping[str, Any], values: Mapping[str, Any], path: str, faults: list[str]) -> Any:
    """Return ``values`` with defaults filled in; what does not fit is added to ``faults``."""
    walk = Walk(schema)
    filled = walk.visit([schema], values, (), secret=False)
    found = {unknown_key(join_path(path, steps), steps[-1], known): None for steps, known in walk.unknown}
    try:
        for error in _checker(schema).iter_errors(filled):
            found.update(dict.fromkeys(faults_in(error, path, frozenset(walk.secrets))))
    except Exception as error:  # a reference to nothing, for example, is found only when it is followed
        found[f"{path}: the plugin's config_schema cannot be applied: {type(error).__name__}: {error}"] = None
    faults.extend(found)
    return filled


def _checker(schema: Mapping[str, Any]) -> Any:
    import referencing

    draft = _draft(schema)
    # An empty registry: a reference to another document is an error, not a download.
    return draft(schema, registry=referencing.Registry(), format_checker=draft.FORMAT_CHECKER)


def faults_in(error: Any, path: str, secrets: Set[KeyPath]) -> Iterator[str]:
    """Yield the messages for one error: one for each required or unknown key."""
    steps = tuple(error.absolute_path)
    if error.validator == "required":
        yield from _required(error, join_path(path, steps))
    elif error.validator == "additionalProperties" and error.validator_value is False:
        yield from _additional(error, join_path(path, steps))
    elif error.context:
        yield from _branches(error, path, secrets)
    else:
        yield _said(error, join_path(path, steps), secret=_touches(steps, secrets))


def _touches(steps: KeyPath, secrets: Set[KeyPath]) -> bool:
    """Return whether there is a secret at a path, around it or within it."""
    return any(steps[: len(each)] == each or each[: len(steps)] == steps for each in secrets)


def _required(error: Any, path: str) -> Iterator[str]:
    declared = error.schema.get("properties", {})
    for name in error.validator_value:
        if name not in error.instance:
            yield missing_key(f"{path}.{name}", _type(declared.get(name)))


def _additional(error: Any, path: str) -> Iterator[str]:
    declared = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    for name in error.instance:
        if name not in declared and not any(re.search(pattern, name) for pattern in patterns):
            yield unknown_key(f"{path}.{name}", name, declared)


def _type(schema: Any) -> str:
    given = schema.get("type", "a value") if isinstance(schema, Mapping) else "a value"
    return _EXPECTED["type"](given)


def _branches(error: Any, path: str, secrets: Set[KeyPath]) -> Iterator[str]:
    """Yield the messages for a value that fits none of several schemas: all types, or the closest schema's faults."""
    import jsonschema

    steps = tuple(error.absolute_path)
    if all(each.validator == "type" and not each.relative_path for each in error.context):
        expected = " or ".join(dict.fromkeys(_type(each.schema) for each in error.context))
        yield mismatch(join_path(path, steps), expected, error.instance, secret=_touches(steps, secrets))
        return
    nearest = jsonschema.exceptions.best_match([error])
    if nearest is error:
        nearest = error.context[0]
    yield from faults_in(nearest, path, secrets)


def _said(error: Any, path: str, *, secret: bool) -> str:
    phrase = _EXPECTED.get(error.validator)
    if phrase is not None:
        hint = suggest_choice(error.instance, error.validator_value) if error.validator == "enum" else ""
        expected = phrase(error.validator_value)
        return mismatch(path, expected, error.instance, secret=secret) + ("" if secret else hint)
    if secret and error.validator != "dependentRequired":  # whose message names keys only
        return f"{path}: does not satisfy {error.validator!r}, found {describe_value(error.instance, secret=True)}"
    return f"{path}: {redact(error.message)}"
