"""What jsonschema does not do: defaults, secrets, unknown keys, and strings from the environment."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tracelet.config.interpolation import from_environment
from tracelet.secrets import holds_secret, seal

KeyPath = tuple[Any, ...]

_OPEN: Final = ("additionalProperties", "unevaluatedProperties")
_NOWHERE: Final = frozenset[int]()


class Part(NamedTuple):
    """A schema that applies to a value, certainly or in one of several branches."""

    schema: Mapping[str, Any]
    certain: bool


def parts_of(
    schema: Any, root: Mapping[str, Any], *, certain: bool = True, above: frozenset[int] = _NOWHERE
) -> list[Part]:
    """Return a schema and the schemas in it: by ``$ref``, ``allOf``, or branches such as ``anyOf``."""
    if not isinstance(schema, Mapping) or id(schema) in above:
        return []
    above = above | {id(schema)}
    branches = [each for keyword in ("anyOf", "oneOf") for each in schema.get(keyword, ())]
    branches += [schema.get("then"), schema.get("else"), *schema.get("dependentSchemas", {}).values()]
    parts = [Part(schema, certain)]
    for each in (_target(schema.get("$ref"), root), *schema.get("allOf", ())):
        parts += parts_of(each, root, certain=certain, above=above)
    for each in branches:
        parts += parts_of(each, root, certain=False, above=above)
    return parts


def _target(reference: Any, root: Mapping[str, Any]) -> Any:
    """Return the target of a reference within the same schema."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    target: Any = root
    for step in reference[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        target = target.get(step) if isinstance(target, Mapping) else None
    return target


class Walk:
    """One pass over values and schema together. Collects the paths of secrets and unknown keys."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.secrets: set[KeyPath] = set()
        self.unknown: list[tuple[KeyPath, list[str]]] = []

    def visit(self, schemas: Iterable[Any], value: Any, steps: KeyPath, *, secret: bool) -> Any:
        """Return a copy of the value at a path, with defaults filled in."""
        parts = [part for schema in schemas for part in parts_of(schema, self.root)]
        secret = secret or any(_is_secret(part.schema) for part in parts)
        secret = secret or bool(steps and holds_secret(steps[-1], value))
        if secret:
            self.secrets.add(steps)
        value = seal(value, secret=secret)
        if isinstance(value, Mapping):
            return self._table(parts, value, steps, secret=secret)
        if isinstance(value, (list, tuple)):
            return [
                self.visit(_items(parts, at), each, (*steps, at), secret=secret)
                for at, each in enumerate(value)
            ]
        for wanted in _types(parts):
            value = from_environment(value, wanted)
        return value

    def _table(
        self, parts: list[Part], given: Mapping[str, Any], steps: KeyPath, *, secret: bool
    ) -> dict[str, Any]:
        declared = _collected(parts, "properties")
        patterns = _collected(parts, "patternProperties")
        closed = declared and not any(keyword in part.schema for part in parts for keyword in _OPEN)
        values = {**self._defaults(parts, _NOWHERE), **given}
        for name, value in values.items():
            matching = [
                each for pattern in patterns if re.search(pattern, name) for each in patterns[pattern]
            ]
            schemas = [*declared.get(name, ()), *matching]
            if closed and not schemas:
                self.unknown.append(((*steps, name), list(declared)))
            rest = [part.schema.get("additionalProperties") for part in parts]
            values[name] = self.visit(schemas or rest, value, (*steps, name), secret=secret)
        return values

    def _defaults(self, parts: Iterable[Part], above: frozenset[int]) -> dict[str, Any]:
        """Return the defaults of optional keys. Those in branches are left out: a branch may not apply."""
        defaults: dict[str, Any] = {}
        for part in parts:
            if part.certain and id(part.schema) not in above:
                for name, schema in part.schema.get("properties", {}).items():
                    for default in self._default_of(schema, above | {id(part.schema)}):
                        defaults.setdefault(name, default)
        return defaults

    def _default_of(self, schema: Any, above: frozenset[int]) -> Iterator[Any]:
        parts = [part for part in parts_of(schema, self.root) if part.certain]
        yield from (copy.deepcopy(part.schema["default"]) for part in parts if "default" in part.schema)
        required = {name for part in parts for name in part.schema.get("required", ())}
        nested = self._defaults(parts, above)
        if nested and nested.keys() >= required:
            yield nested


def _collected(parts: Iterable[Part], keyword: str) -> dict[str, list[Any]]:
    collected: dict[str, list[Any]] = {}
    for part in parts:
        for name, schema in part.schema.get(keyword, {}).items():
            collected.setdefault(name, []).append(schema)
    return collected


def _items(parts: Iterable[Part], at: int) -> list[Any]:
    """Return the schemas for the item at an index; in older drafts ``items`` can be a list."""
    schemas: list[Any] = []
    for part in parts:
        items = part.schema.get("items")
        listed = items if isinstance(items, list) else part.schema.get("prefixItems", ())
        rest = part.schema.get("additionalItems") if isinstance(items, list) else items
        schemas.append(listed[at] if at < len(listed) else rest)
    return schemas


def _types(parts: Iterable[Part]) -> list[str]:
    stated: list[str] = []
    for part in parts:
        given = part.schema.get("type", ())
        stated += [given] if isinstance(given, str) else given
    return [] if "string" in stated else stated


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("secret") or schema.get("writeOnly") or schema.get("format") == "password")
