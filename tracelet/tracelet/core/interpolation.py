"""``${NAME}`` and ``${NAME:-default}`` in configured strings; ``$${`` stands for a plain ``${``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tracelet.core.secrets import SecretStr

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


class EnvStr(str):
    """A string that came whole from a variable, so that it may stand for a number or a boolean."""

    __slots__ = ()


class _Fault(ValueError):
    """A reference that cannot be resolved."""


def interpolate(values: Any, environ: Mapping[str, str], path: str, faults: list[str]) -> Any:
    """Return a copy of nested values with every reference resolved; what cannot be is added to ``faults``."""
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
    except _Fault as fault:
        faults.append(f"{path}: {fault}")
        return values


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """Resolve the references of one string. Raises ``ValueError`` for one that is unset or malformed."""
    parts: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        if start > at and text[start - 1] == "$":
            parts.append(text[at : start - 1] + "${")
            at = start + 2
            continue
        end = _closing(text, start)
        parts += [text[at:start], _value(text[start + 2 : end], environ)]
        if start == 0 and end == len(text) - 1:
            return EnvStr(parts[-1])
        at = end + 1
    return "".join([*parts, text[at:]])


def _closing(text: str, start: int) -> int:
    """Return where the reference that opens at ``start`` closes; defaults may hold references."""
    depth, at = 1, start + 2
    while depth:
        if at >= len(text):
            raise _Fault(f"expected '}}' after {text[start:]!r}; a plain '${{' is written '$${{'")
        if text.startswith("${", at):
            depth, at = depth + 1, at + 1
        elif text[at] == "}":
            depth -= 1
        at += 1
    return at - 1


def _value(reference: str, environ: Mapping[str, str]) -> str:
    name, separator, default = reference.partition(":-")
    if not _NAME.fullmatch(name):
        raise _Fault(
            f"expected ${{NAME}} or ${{NAME:-default}}, found '${{{reference}}}';"
            " a plain '${' is written '$${'"
        )
    value = environ.get(name, "")
    if value or (name in environ and not separator):
        return value
    if not separator:
        raise _Fault(f"environment variable {name} is not set; set it, or give a default: ${{{name}:-...}}")
    return resolve(default, environ)


def as_boolean(text: str) -> bool | None:
    """Return what a word such as ``yes`` or ``0`` says, or ``None`` where it says neither."""
    return _WORDS.get(text.strip().lower())


def from_environment(value: Any, wanted: str) -> Any:
    """Return a string that came from a variable as the ``wanted`` type, where it can be read as one."""
    if not isinstance(value, (EnvStr, SecretStr)):
        return value
    try:
        if wanted == "integer":
            return int(value)
        if wanted == "number":
            return int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    except ValueError:
        return value
    said = as_boolean(value) if wanted == "boolean" else None
    return value if said is None else said


def plain(values: Any) -> Any:
    """Return a copy of nested values in which what came from the environment is an ordinary string."""
    if isinstance(values, Mapping):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [plain(value) for value in values]
    return "".join(values) if isinstance(values, EnvStr) else values
