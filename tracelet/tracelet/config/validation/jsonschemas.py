"""JSON Schema, checked by jsonschema, with defaults filled in and unknown keys reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracelet.config.validation.jsonerrors import faults_in
from tracelet.config.validation.jsonwalk import Walk, parts_of
from tracelet.messages import did_you_mean, joined, unknown_key

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def faults_of(schema: Mapping[str, Any], path: str) -> list[str]:
    """Return what is wrong with the schema itself, by the draft that it names (2020-12 if none)."""
    draft = _draft(schema)
    errors = draft(draft.META_SCHEMA, format_checker=draft.FORMAT_CHECKER).iter_errors(schema)
    return list(dict.fromkeys(fault for error in errors for fault in _schema_faults(error, path)))


def _schema_faults(error: Any, path: str) -> Iterator[str]:
    place = list(error.absolute_path)
    if place and place[-1] == "type" and isinstance(error.instance, str):
        yield f"{joined(path, place)}: unknown type {error.instance!r}{did_you_mean(error.instance, TYPES)}"
    else:
        yield from faults_in(error, path, frozenset())


def _draft(schema: Mapping[str, Any]) -> Any:
    import jsonschema

    return jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)


def keys(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys declared at the schema's top."""
    named = [part.schema.get("properties", {}) for part in parts_of(schema, schema)]
    return frozenset(str(name) for names in named if isinstance(names, Mapping) for name in names)


def check(schema: Mapping[str, Any], values: Mapping[str, Any], path: str, faults: list[str]) -> Any:
    """Return ``values`` with defaults filled in; what does not fit is added to ``faults``."""
    walk = Walk(schema)
    filled = walk.visit([schema], values, (), secret=False)
    found = {unknown_key(joined(path, place), place[-1], known): None for place, known in walk.unknown}
    try:
        for error in _checker(schema).iter_errors(filled):
            found.update(dict.fromkeys(faults_in(error, path, frozenset(walk.secrets))))
    except Exception as error:  # a reference to nowhere, say, which shows only when it is followed
        found[f"{path}: the plugin's config_schema cannot be applied: {type(error).__name__}: {error}"] = None
    faults.extend(found)
    return filled


def _checker(schema: Mapping[str, Any]) -> Any:
    import referencing

    draft = _draft(schema)
    # A registry of its own, so that a reference to another document is an error and no request.
    return draft(schema, registry=referencing.Registry(), format_checker=draft.FORMAT_CHECKER)
