"""The words of error messages: what was found, and which known name was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracelet.core.secrets import mask, redact

LONGEST: Final = 80  # characters of a value that a message shows


def closest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that ``name`` was probably meant to be; case and ``-`` or ``_`` do not matter."""
    from difflib import get_close_matches

    folded = {_fold(each): each for each in known}
    matches = get_close_matches(_fold(str(name)), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the closest known one, else all of them."""
    known = list(known)
    meant = closest(name, known)
    if meant is not None:
        return f" (did you mean {meant!r}?)"
    return "; known: " + ", ".join(sorted(known)) if known else ""


def kind(value: Any) -> str:
    """Return the name that TOML and JSON have for the type of ``value``."""
    if isinstance(value, bool):
        return "boolean"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return "null" if value is None else type(value).__name__


_KINDS: Final[tuple[tuple[Any, str], ...]] = (
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (Mapping, "object"),
    ((list, tuple), "array"),
)


def found(value: Any, *, secret: bool = False) -> str:
    """Describe a value for a message: ``'abc' (string)``; a secret is masked."""
    return f"{'***' if secret else _shown(value)} ({kind(value)})" if value is not None else "null"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = redact(repr(mask(value)))
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def misfit(path: str, expected: str, value: Any, *, secret: bool = False) -> str:
    """Say that what stands at ``path`` does not fit: ``timeout: expected number, found 'abc' (string)``."""
    return f"{path}: expected {expected}, found {found(value, secret=secret)}"
