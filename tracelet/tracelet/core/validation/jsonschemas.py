"""JSON Schema, checked by jsonschema, with defaults filled in and unknown keys reported."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tracelet.core.interpolation import from_environment
from tracelet.core.secrets import is_secret_key, redact, seal
from tracelet.core.wording import closest, did_you_mean, misfit

_BRANCHES: Final = ("anyOf", "oneOf")
_OPEN: Final = ("additionalProperties", "unevaluatedProperties")


def faults_of(schema: Mapping[str, Any], path: str) -> list[str]:
    """Return what is wrong with the schema itself, by its own draft."""
    import jsonschema

    checker = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    errors = checker(checker.META_SCHEMA).iter_errors(schema)
    return [f"{_join(path, error.absolute_path)}: {_said(error, error.instance, False)}" for error in errors]


def keys(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys declared at the schema's top."""
    return frozenset(name for part in _parts(schema, schema) for name in part.get("properties", {}))


def check(schema: Mapping[str, Any], values: Mapping[str, Any], path: str, faults: list[str]) -> Any:
    """Return ``values`` with defaults filled in; what does not fit is added to ``faults``."""
    import jsonschema

    walk = _Walk(schema)
    filled = walk.visit([schema], values, (), secret=False)
    checker = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    for error in sorted(
        checker(schema).iter_errors(filled), key=lambda error: list(map(str, error.absolute_path))
    ):
        for fault in _faults(error, path, walk.secrets):
            if fault not in faults:
                faults.append(fault)
    faults += [f"{_join(path, place)}: unknown key{hint}" for place, hint in walk.unknown]
    return filled


class _Walk:
    """One pass over values and schema together: seals secrets, reads variables, fills defaults."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.secrets: set[tuple[Any, ...]] = set()
        self.unknown: list[tuple[tuple[Any, ...], str]] = []

    def visit(self, schemas: Iterable[Any], value: Any, place: tuple[Any, ...], *, secret: bool) -> Any:
        parts = [part for schema in schemas for part in _parts(schema, self.root)]
        secret = secret or any(map(_is_secret, parts)) or bool(place and is_secret_key(place[-1]))
        if secret:
            self.secrets.add(place)
        value = seal(value, secret=secret)
        if isinstance(value, Mapping):
            return self._table(parts, value, place, secret=secret)
        if isinstance(value, list):
            return [
                self.visit(_items(parts, at), each, (*place, at), secret=secret)
                for at, each in enumerate(value)
            ]
        for wanted in _types(parts):
            value = from_environment(value, wanted)
        return value

    def _table(
        self,
        parts: list[Mapping[str, Any]],
        given: Mapping[str, Any],
        place: tuple[Any, ...],
        *,
        secret: bool,
    ) -> dict[str, Any]:
        values = {**given}
        declared: dict[str, list[Any]] = {}
        patterns: dict[str, list[Any]] = {}
        for part in parts:
            for name, schema in part.get("properties", {}).items():
                declared.setdefault(name, []).append(schema)
            for pattern, schema in part.get("patternProperties", {}).items():
                patterns.setdefault(pattern, []).append(schema)
        for name, default in self._defaults(parts):
            values.setdefault(name, copy.deepcopy(default))
        closed = bool(declared) and not any(keyword in part for part in parts for keyword in _OPEN)
        for name, value in values.items():
            schemas = declared.get(name, []) + _matching(patterns, name)
            if closed and not schemas:
                self.unknown.append(((*place, name), did_you_mean(name, declared)))
            values[name] = self.visit(schemas, value, (*place, name), secret=secret)
        return values

    def _defaults(self, parts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
        for part in parts:
            if part.get("__branch__"):
                continue
            for name, schema in part.get("properties", {}).items():
                for each in _parts(schema, self.root):
                    if "default" in each:
                        yield name, each["default"]
                    elif (nested := self._nested(each)) is not None:
                        yield name, nested

    def _nested(self, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a table that only defaults fill, unless a key without one is required there."""
        filled = dict(self._defaults([schema])) if "properties" in schema else {}
        return filled if filled and filled.keys() >= set(schema.get("required", ())) else None


def _parts(
    schema: Any, root: Mapping[str, Any], seen: frozenset[int] = frozenset()
) -> list[Mapping[str, Any]]:
    """Return a schema and those it is made of: by reference, by ``allOf``, by branches (marked as such)."""
    if not isinstance(schema, Mapping) or id(schema) in seen:
        return []
    seen = seen | {id(schema)}
    parts = [schema]
    for each in [_target(schema.get("$ref"), root), *schema.get("allOf", ())]:
        parts += _parts(each, root, seen)
    branches = [each for keyword in _BRANCHES for each in schema.get(keyword, ())]
    branches += [schema.get("then"), schema.get("else"), *schema.get("dependentSchemas", {}).values()]
    for each in branches:
        parts += [{**part, "__branch__": True} for part in _parts(each, root, seen)]
    return parts


def _target(reference: Any, root: Mapping[str, Any]) -> Any:
    """Return what a reference within the same schema points to."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    target: Any = root
    for step in reference[1:].split("/")[1:]:
        target = (
            target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        )
    return target


def _matching(patterns: Mapping[str, list[Any]], name: str) -> list[Any]:
    return [schema for pattern, schemas in patterns.items() if re.search(pattern, name) for schema in schemas]


def _items(parts: Iterable[Mapping[str, Any]], at: int) -> list[Any]:
    found: list[Any] = []
    for part in parts:
        prefix = part.get("prefixItems", ())
        found.append(prefix[at] if at < len(prefix) else part.get("items"))
    return found


def _types(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    stated: list[str] = []
    for part in parts:
        given = part.get("type", ())
        stated += [given] if isinstance(given, str) else given
    return [] if "string" in stated else stated


def _is_secret(part: Mapping[str, Any]) -> bool:
    return bool(part.get("secret") or part.get("writeOnly") or part.get("format") == "password")


def _join(path: str, place: Iterable[Any]) -> str:
    return path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)


def _faults(error: Any, path: str, secrets: set[tuple[Any, ...]]) -> Iterator[str]:
    """Put one error of jsonschema into our words; a required or an unknown key is a fault each."""
    place = tuple(error.absolute_path)
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                expected = _expected(error.schema.get("properties", {}).get(name, {}))
                yield f"{_join(path, (*place, name))}: expected {expected}, found nothing (required)"
    elif error.validator == "additionalProperties" and error.validator_value is False:
        declared = error.schema.get("properties", {})
        for name in error.instance:
            if name not in declared and not _matching(
                {p: [1] for p in error.schema.get("patternProperties", {})}, name
            ):
                yield f"{_join(path, (*place, name))}: unknown key{did_you_mean(name, declared)}"
    elif error.context:
        yield _branches(error, path, secrets)
    else:
        secret = any(place[:length] in secrets for length in range(len(place) + 1))
        yield f"{_join(path, place)}: {_said(error, error.instance, secret)}"


def _expected(schema: Any) -> str:
    given = schema.get("type", "a value") if isinstance(schema, Mapping) else "a value"
    return given if isinstance(given, str) else " or ".join(given)


def _branches(error: Any, path: str, secrets: set[tuple[Any, ...]]) -> str:
    """Tell of a value that fits none of several schemas: what any would take, or the nearest one's fault."""
    import jsonschema

    place = tuple(error.absolute_path)
    if all(each.validator == "type" and tuple(each.absolute_path) == place for each in error.context):
        expected = " or ".join(dict.fromkeys(_expected(each.schema) for each in error.context))
        return misfit(_join(path, place), expected, error.instance, secret=place in secrets)
    best = jsonschema.exceptions.best_match([error])
    return (
        next(iter(_faults(best, path, secrets)))
        if best is not error
        else f"{_join(path, place)}: fits no branch"
    )


def _said(error: Any, value: Any, secret: bool) -> str:
    wanted = error.validator_value
    phrase = {
        "type": lambda: wanted if isinstance(wanted, str) else " or ".join(wanted),
        "enum": lambda: "one of " + ", ".join(map(repr, wanted)),
        "const": lambda: repr(wanted),
        "minimum": lambda: f"at least {wanted}",
        "maximum": lambda: f"at most {wanted}",
        "exclusiveMinimum": lambda: f"more than {wanted}",
        "exclusiveMaximum": lambda: f"less than {wanted}",
        "multipleOf": lambda: f"a multiple of {wanted}",
        "minLength": lambda: f"at least {wanted} characters",
        "maxLength": lambda: f"at most {wanted} characters",
        "minItems": lambda: f"at least {wanted} items",
        "maxItems": lambda: f"at most {wanted} items",
        "pattern": lambda: f"a string that matches {wanted!r}",
        "format": lambda: f"a string in the format {wanted!r}",
        "uniqueItems": lambda: "items that differ",
    }.get(error.validator)
    if phrase is None:
        return f"does not satisfy {error.validator!r}" if secret else redact(error.message)
    near = closest(value, map(str, wanted)) if error.validator == "enum" and isinstance(value, str) else None
    hint = f" (did you mean {near!r}?)" if near and not secret else ""
    return misfit("", phrase(), value, secret=secret).removeprefix(": ") + hint
