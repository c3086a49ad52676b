"""Copies of nested values for display, and for what a run records: secrets masked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tracelet.secrets.redaction import redact
from tracelet.secrets.sealing import PartlySecretStr, Secret
from tracelet_hookspecs import MASK, Suspicion, is_ordinary, is_secret_value, mask_arguments, suspicion

_PLAIN = (str, bytes, int, float)
_NAME = re.compile(r"[\w. /-]{1,100}")
_PAIRS = (("name", "value"), ("key", "value"), ("Name", "Value"), ("Key", "Value"))
_readable: list[str] = []  # patterns of names that the user's configuration declares to be no secrets
_reported: set[str] = set()


def mask(values: Any) -> Any:
    """Return a copy of nested values for display: secrets masked, attrs instances as dicts."""
    return _mask(values, Suspicion.NONE, frozenset())


def _mask(values: Any, level: Suspicion, above: frozenset[int], *, strict: bool = True) -> Any:
    if isinstance(values, PartlySecretStr) and level < Suspicion.TEXT:
        return redact(values.shown)
    if isinstance(values, Secret) or is_secret_value(values, level, strict=strict):
        return MASK
    if isinstance(values, str):
        return redact(values)
    if id(values) in above:
        return "..."
    above = above | {id(values)}
    if isinstance(values, Mapping):
        hidden = _value_of_pair(values)
        return {
            key: MASK if key == hidden else _mask_item(key, value, level, above, strict=strict)
            for key, value in values.items()
        }
    if isinstance(values, (list, tuple, set, frozenset)):
        if isinstance(values, (list, tuple)) and len(values) == 2 and _is_secret_pair(*values):
            return [values[0], MASK]
        items = (
            mask_command_line(values) if isinstance(values, (list, tuple)) and _is_command(values) else values
        )
        return [_mask(value, level, above, strict=strict) for value in items]
    fields = getattr(type(values), "__attrs_attrs__", ())
    shown = {
        field.name: MASK
        if field.metadata.get("secret")
        else _mask_item(field.name, getattr(values, field.name, None), level, above, strict=strict)
        for field in fields
    }
    return shown or values


def _value_of_pair(values: Mapping[Any, Any]) -> str | None:
    """Return the key whose value is a secret in ``{"name": "HF_TOKEN", "value": ...}``."""
    for name, value in _PAIRS:
        if name in values and value in values and _is_secret_pair(values[name], values[value]):
            return value
    return None


def _is_secret_pair(name: object, value: object) -> bool:
    """Return whether these are a name and a secret, and not two words of a list (``["token", "label"]``)."""
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and _NAME.fullmatch(name) is not None
        and not is_declared_readable(name)
        and is_secret_value(value, min(suspicion(name), Suspicion.TEXT))
        and not is_ordinary(value)
    )


def _mask_item(key: object, value: Any, level: Suspicion, above: frozenset[int], *, strict: bool) -> Any:
    if key == "packages" and isinstance(value, Mapping):
        return {name: _mask(each, Suspicion.NONE, above, strict=strict) for name, each in value.items()}
    level = Suspicion.NONE if is_declared_readable(key) else max(level, suspicion(key))
    if level >= Suspicion.TEXT and value is not None and not isinstance(value, _PLAIN):
        return MASK  # a table, a list or an object under the name of a secret
    return _mask(value, level, above, strict=strict)


def set_readable_names(patterns: Iterable[str]) -> None:
    """Declare names that are no secrets whatever they are called: the setting ``not_secret``."""
    _readable[:] = patterns


def is_declared_readable(name: object) -> bool:
    """Return whether ``not_secret`` names this."""
    if not _readable or not isinstance(name, str):
        return False
    from fnmatch import fnmatchcase

    return any(fnmatchcase(name, pattern) for pattern in _readable)


class Masked(NamedTuple):
    """Values as a run records them, and the names of those that were changed."""

    values: dict[str, Any]
    hidden: list[str]


def mask_recorded(values: Mapping[str, Any]) -> Masked:
    """Return parameters or tags as a run records them. A name in ``not_secret`` keeps its value."""
    shown = {key: _recorded(key, value) for key, value in values.items()}
    for keys in _command_lines(values):
        words = mask_command_line([values[key] for key in keys])
        shown.update({key: word for key, word in zip(keys, words, strict=True) if MASK in word})
    return Masked(shown, [key for key, value in shown.items() if _differs(value, values[key])])


def _command_lines(values: Mapping[str, Any]) -> list[list[str]]:
    """Return the keys of the lists among flat values (``cmd/0``, ``cmd/1``) that are command lines."""
    lists: dict[str, list[str]] = {}
    for key, value in values.items():
        prefix, slash, index = key.rpartition("/")
        if slash and index.isdigit() and isinstance(value, str) and not is_declared_readable(key):
            lists.setdefault(prefix, []).append(key)
    return [keys for keys in lists.values() if _is_command([values[key] for key in keys])]


def _is_command(values: Sequence[Any]) -> bool:
    """Say whether a list looks like a command line: texts, of which one is an option."""
    return all(isinstance(value, str) for value in values) and any(value.startswith("-") for value in values)


def _recorded(key: str, value: Any) -> Any:
    if not is_declared_readable(key):
        return _mask_item(key, value, Suspicion.NONE, frozenset(), strict=False)
    return redact(value, by_form=False) if isinstance(value, str) else value


def _differs(shown: Any, value: Any) -> bool:
    return isinstance(shown, (str, list, dict)) and MASK in repr(shown) and MASK not in repr(value)


def report_masked(hidden: Sequence[str], what: str = "parameter") -> None:
    """Report masked names, each once per process, with the way to keep their values."""
    names = [name for name in hidden if name not in _reported]
    if not names:
        return
    from tracelet.logs import get_logger

    _reported.update(names)
    several = len(names) > 1
    get_logger("tracelet.secrets").warning(
        '%s %s recorded as "%s", because %s; to record %s, set not_secret = [%s] in tracelet.toml',
        f"{what}s" if several else what,
        ", ".join(map(repr, names)) + (" are" if several else " is"),
        MASK,
        "they look like secrets" if several else "it looks like a secret",
        "their values" if several else "its value",
        ", ".join(f'"{name}"' for name in names),
    )


def mask_command_line(arguments: Sequence[str]) -> list[str]:
    """Return a command line as a run records it: secret options, headers, URLs and known secrets masked."""
    return mask_arguments(arguments, mask=redact)
