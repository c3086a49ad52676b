"""``${NAME}`` and ``${NAME:-default}`` in configured strings; ``$${`` is a plain ``${``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tracelet.secrets import SecretStr, is_secret, register_secret, seal

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_INTEGER: Final = r"[+-]?[0-9]+"
_WORDS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


class EnvStr(str):
    """A string that is the whole value of a variable, and can mean a number or a boolean."""

    __slots__ = ()


class UnresolvedError(ValueError):
    """A reference that is malformed, or names a variable that is not set."""


def interpolate(values: Any, environ: Mapping[str, str], path: str, faults: list[str]) -> Any:
    """Return a copy of nested values with every reference resolved; faults are added to ``faults``."""
    if isinstance(values, Mapping):
        return {
            key: interpolate(value, environ, f"{path}.{key}" if path else str(key), faults)
            for key, value in values.items()
        }
    if isinstance(values, list):
        return [interpolate(value, environ, f"{path}[{at}]", faults) for at, value in enumerate(values)]
    if not isinstance(values, str) or "${" not in values:
        return values
    try:
        return resolve(values, environ)
    except UnresolvedError as fault:
        faults.append(f"{path}: {fault}")
        return values


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """Resolve the references in a string. Raises ``ValueError`` if one is unset or malformed."""
    parts: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        if start > at and text[start - 1] == "$":
            parts.append(text[at : start - 1] + "${")
            at = start + 2
            continue
        end = _closing(text, start)
        parts += [text[at:start], _value(text[start + 2 : end], environ)]
        if text.startswith("@", end + 1) and "://" in text[:start]:
            register_secret(parts[-1])  # the password of a URL, which may not be quoted as one
        if start == 0 and end == len(text) - 1:
            return EnvStr(parts[-1])
        at = end + 1
    return "".join([*parts, text[at:]])


def _closing(text: str, start: int) -> int:
    """Return the position of the brace that closes the reference at ``start``; references can be nested."""
    depth, at = 0, start
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise UnresolvedError("expected '}' after '${'; a plain '${' is written '$${'")


def _value(reference: str, environ: Mapping[str, str]) -> str:
    name, separator, default = reference.partition(":-")
    if not re.fullmatch(_NAME, name):
        shown = re.match(r"\w*", name)  # no more of it: what follows may be a secret's default
        raise UnresolvedError(
            f"expected ${{NAME}} or ${{NAME:-default}}, found '${{{shown.group() if shown else ''}...';"
            " a plain '${' is written '$${'"
        )
    value = environ.get(name, "")
    if value or (name in environ and not separator):
        if is_secret(name, value):
            register_secret(value)
        return value
    if not separator:
        raise UnresolvedError(
            f"environment variable {name} is not set; set it, or give a default: ${{{name}:-...}}"
        )
    return resolve(default, environ)


def as_boolean(text: str) -> bool | None:
    """Return the meaning of a word such as ``yes`` or ``0``, or ``None`` if it has none."""
    return _WORDS.get(text.strip().lower())


def from_environment(value: Any, wanted: str) -> Any:
    """Return a string from a variable as the ``wanted`` type, if it can be converted."""
    if not isinstance(value, (EnvStr, SecretStr)):
        return value
    read = _read(value.strip(), wanted)
    return value if read is None else seal(read, secret=isinstance(value, SecretStr))


def _read(text: str, wanted: str) -> bool | int | float | None:
    if wanted == "boolean":
        return as_boolean(text)
    if wanted in ("integer", "number") and re.fullmatch(_INTEGER, text):
        return int(text)
    try:
        return float(text) if wanted == "number" else None
    except ValueError:
        return None


def plain(values: Any) -> Any:
    """Return a copy of nested values with ordinary strings in place of :class:`EnvStr`."""
    if isinstance(values, Mapping):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        copied = [plain(value) for value in values]
        return tuple(copied) if isinstance(values, tuple) else copied
    return str.__str__(values) if isinstance(values, EnvStr) else values
