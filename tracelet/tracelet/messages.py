"""The words of error messages: what was found, and which known name was probably meant."""

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
    """Return the known name that ``name`` was probably meant to be; case and ``-`` or ``_`` do not matter.

    ``cutoff`` is the least similarity, from 0 to 1, as ``difflib`` measures it.
    """
    from difflib import get_close_matches

    folded = {_fold(each): str(each) for each in known}
    matches = get_close_matches(_fold(name), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def _fold(name: object) -> str:
    return str(name).lower().replace("-", "_")


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return the end of a message about an unknown name: the closest known one, else all of them."""
    names = sorted(map(str, known))
    meant = closest(name, names)
    if meant is not None:
        return f" (did you mean {meant!r}?)"
    more = ", ..." if len(names) > MOST else ""
    return "; known: " + ", ".join(names[:MOST]) + more if names else ""


def plain(text: str) -> str:
    """Return text that a terminal takes for nothing else: control characters are escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def one_of(choices: Iterable[object]) -> str:
    """Return what was expected where only some values are allowed."""
    return "one of " + ", ".join(map(repr, choices))


def suggest_choice(value: object, choices: Iterable[object]) -> str:
    """Return the end of a message about a value that is none of the choices: the closest one, if any."""
    near = closest(value, choices) if isinstance(value, str) else None
    return f" (did you mean {near!r}?)" if near else ""


def type_name(value: Any) -> str:
    """Return the name that TOML and JSON have for the type of ``value``."""
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
    try:
        text = redact(repr(mask(value)))
    except Exception:  # an object of a program's own may fail to describe itself; its type is told anyway
        return "a value"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def mismatch(path: str, expected: str, value: Any, *, secret: bool = False) -> str:
    """Say that what stands at ``path`` does not fit: ``timeout: expected number, found 'abc' (string)``."""
    return f"{path}: expected {expected}, found {describe_value(value, secret=secret)}"


def missing_key(path: str, expected: str) -> str:
    """Say that nothing stands at ``path`` though something must."""
    return f"{path}: expected {expected}, found nothing (required)"


def unknown_key(path: str, key: object, known: Iterable[object]) -> str:
    """Say that ``path`` ends in a key that nobody knows."""
    return f"{path}: unknown key{did_you_mean(key, known)}"


def join_path(path: str, place: Iterable[object]) -> str:
    """Return a path with the steps to a place in it: ``plugins.mlflow.servers[0].port``."""
    return path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
