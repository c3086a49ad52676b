"""Copies of nested values that are fit for display."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.secrets.keys import is_secret_key
from tracelet.secrets.redaction import MASK, redact
from tracelet.secrets.values import Secret


def mask(values: Any) -> Any:
    """Return a copy of nested values that is fit for display: secrets masked, attrs instances as dicts."""
    return _masked(values, frozenset())


def _masked(values: Any, above: frozenset[int]) -> Any:
    if isinstance(values, Secret):
        return MASK
    if isinstance(values, str):
        return redact(values)
    if id(values) in above:
        return "..."
    above = above | {id(values)}
    if isinstance(values, Mapping):
        return {key: _masked_item(key, value, above) for key, value in values.items()}
    if isinstance(values, (list, tuple, set, frozenset)):
        return [_masked(value, above) for value in values]
    fields = getattr(type(values), "__attrs_attrs__", ())
    shown = {
        field.name: MASK
        if field.metadata.get("secret")
        else _masked_item(field.name, getattr(values, field.name, None), above)
        for field in fields
    }
    return shown or values


def _masked_item(key: object, value: Any, above: frozenset[int]) -> Any:
    if is_secret_key(key) and value is not None and not isinstance(value, bool):
        return MASK
    return _masked(value, above)
