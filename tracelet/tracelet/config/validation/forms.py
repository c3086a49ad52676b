"""The three forms of a ``config_schema``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tracelet.config.interpolation import plain
from tracelet.config.validation import attrs_schema, json_schema, short_form
from tracelet.errors import ConfigError
from tracelet.messages import describe_value, mismatch
from tracelet.secrets import seal

_JSON_KEYWORDS: Final = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "enum", "const", "definitions", "title"),
        *("description", "default", "examples", "minProperties", "maxProperties", "dependentRequired"),
        *("dependentSchemas", "dependencies", "unevaluatedProperties", "$schema", "$id", "$ref", "$defs"),
        *("$comment", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary"),
    )
)


def validate(schema: Any, values: Any, *, path: str = "config") -> Any:
    """Return the configuration that a plugin gets: ``values`` checked, with defaults filled in.

    ``schema`` is the short form, a JSON Schema, an attrs class (the result is an instance of it) or ``None``
    (anything goes). The result shares no table or list with ``values`` or the schema. Raises
    :class:`ConfigError` with every fault, each as ``path.key: expected ..., found ...``; values of
    secrets are not shown.
    """
    if faults := check_schema(schema):
        raise ConfigError(faults, source=f"{path}: the plugin's config_schema is malformed")
    if attrs_schema.is_attrs_class(schema) and isinstance(values, schema):
        return values
    if values is not None and not isinstance(values, Mapping):
        raise ConfigError([mismatch(path, "object", values)])
    result = _checked(schema, {str(key): value for key, value in (values or {}).items()}, path, faults)
    if faults:
        raise ConfigError(faults)
    return result


def _checked(schema: Any, values: dict[str, Any], path: str, faults: list[str]) -> Any:
    if not schema:
        return plain(seal(values))
    if attrs_schema.is_attrs_class(schema):
        return attrs_schema.structure(schema, values, path, faults)
    if is_json_schema(schema):
        return plain(json_schema.check(schema, values, path, faults))
    return plain(short_form.check(schema, values, path, faults))


def check_schema(schema: Any) -> list[str]:
    """Return what is wrong with a schema itself, which the plugin's author has to fix."""
    path = "config_schema"
    if schema is None:
        return []
    if attrs_schema.is_attrs_class(schema):
        return attrs_schema.faults_of(schema, path)
    if not isinstance(schema, Mapping):
        wanted = "the short form, a JSON Schema or an attrs class"
        shown = f"{schema.__name__} (class)" if isinstance(schema, type) else describe_value(schema)
        return [f"{path}: expected {wanted}, found {shown}"]
    faults = (
        json_schema.faults_of(schema, path) if is_json_schema(schema) else short_form.faults_of(schema, path)
    )
    return faults or list(_faults_of_defaults(schema, path))


def _faults_of_defaults(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield defaults that the schema itself refuses: the plugin's fault, not that of the user's table."""
    fields = schema.get("properties", {}) if is_json_schema(schema) else schema
    for name, field in fields.items():
        if isinstance(field, Mapping) and field.get("default") is not None:
            own: list[str] = []
            plain_field = {
                key: value for key, value in field.items() if key != "required" or value is not True
            }
            one = {"properties": {name: field}} if is_json_schema(schema) else {name: plain_field}
            _checked(one, {str(name): field["default"]}, path, own)
            yield from (fault.replace(f"{path}.{name}", f"{path}.{name}.default", 1) for fault in own)


def declared_keys(schema: Any) -> frozenset[str]:
    """Return the top-level keys that a schema declares; none if it is malformed."""
    if attrs_schema.is_attrs_class(schema):
        return attrs_schema.keys(schema)
    if not isinstance(schema, Mapping):
        return frozenset()
    return json_schema.keys(schema) if is_json_schema(schema) else frozenset(map(str, schema))


def is_json_schema(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema is a JSON Schema. Keys of the short form can be named ``type`` or ``properties``."""
    return any(key in _JSON_KEYWORDS and not _is_field(key, value) for key, value in schema.items())


def _is_field(key: str, value: Any) -> bool:
    """Return whether a value describes a key of the short form, rather than being a keyword's argument."""
    return isinstance(value, Mapping) and (key == "type" or isinstance(value.get("type"), (str, list)))
