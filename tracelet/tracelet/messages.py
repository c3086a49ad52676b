"""The wording of error messages: what was expected, what was found, and which known name was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracelet.secrets import MASK, mask, redact

LONGEST: Final = 80  # characters of a value that a message shows
MOST: Final = 15  # names that a message lists

_KINDS: Final[tuple[tuple[Any, str], ...]] = (
    (bool, "boolean"),
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (Mapping, "object"),
    ((list, tuple), "array"),
)


def closest(name: object, known: Iterable[object], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that ``name`` was probably meant to be, if any. Case, ``-`` and ``_`` do not matter.

    ``cutoff`` is the lowest similarity that counts, from 0 to 1, as ``difflib`` measures it.
    """
    from difflib import get_close_matches

    folded = {_fold(each): str(each) for each in known}
    matches = get_close_matches(_fold(name), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def _fold(name: object) -> str:
    return str(name).lower().replace("-", "_")


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return the end of a message about an unknown name: the closest known name, otherwise all of them."""
    names = sorted(map(str, known))
    meant = closest(name, names)
    if meant is not None:
        return f" (did you mean {meant!r}?)"
    names = [plain(name) if len(name) <= LONGEST else f"{plain(name[: LONGEST - 3])}..." for name in names]
    more = ", ..." if len(names) > MOST else ""
    return "; known: " + ", ".join(names[:MOST]) + more if names else ""


def plain(text: str) -> str:
    """Return text that is safe for a terminal: control characters are escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def one_of(choices: Iterable[object]) -> str:
    """Return what was expected if only some values are allowed."""
    return "one of " + ", ".join(map(repr, choices))


def suggest_choice(value: object, choices: Iterable[object]) -> str:
    """Return the end of a message about a value that is not one of the choices: the closest one, if any."""
    near = closest(value, choices) if isinstance(value, str) else None
    return f" (did you mean {near!r}?)" if near else ""


def type_name(value: Any) -> str:
    """Return the name of a value's type in TOML and JSON."""
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return "null" if value is None else type(value).__name__


def describe_value(value: Any, *, secret: bool = False) -> str:
    """Describe a value for a message: ``'abc' (string)``; a secret is masked."""
    if value is None:
        return "null"
    return f"{MASK if secret else _shown(value)} ({type_name(value)})"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if _is_date_or_time(value):
        return str(value.isoformat())
    try:
        text = redact(repr(mask(value)))
    except Exception:  # the repr of any object can fail; the type is reported anyway
        return "a value"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _is_date_or_time(value: Any) -> bool:
    return type(value).__module__ == "datetime" and hasattr(value, "isoformat")


def mismatch(path: str, expected: str, value: Any, *, secret: bool = False) -> str:
    """Report a value that does not fit: ``timeout: expected number, found 'abc' (string)``."""
    remedy = "" if secret else _remedy(expected, value)
    return f"{path}: expected {expected}, found {describe_value(value, secret=secret)}{remedy}"


def _remedy(expected: str, value: Any) -> str:
    """Return how to write a value that TOML takes for another type than the one that was meant."""
    if expected == "string" and _is_date_or_time(value):
        return f'; to make it a string, put it in quotes: "{value.isoformat()}"'
    if expected == "integer" and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    return ""


def missing_key(path: str, expected: str) -> str:
    """Report that a required key is missing."""
    return f"{path}: expected {expected}, found nothing (required)"


def unknown_key(path: str, key: object, known: Iterable[object]) -> str:
    """Report a path whose last key is unknown."""
    return f"{path}: unknown key{did_you_mean(key, known)}"


def join_path(path: str, steps: Iterable[object]) -> str:
    """Return a path with further steps: ``plugins.mlflow.servers[0].port``."""
    return path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
