"""Keeping known secrets out of any text: messages and tracebacks of code that knows nothing of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import logging

MASK: Final = "***"
SHORTEST: Final = 4  # characters; replacing shorter values would garble any text and hide nothing

_ORDINARY: Final = frozenset({"true", "false", "none", "null"})
_USERINFO: Final = r"(?<=://)([^\s/:@'\"]*):([^\s/@'\"]+)@"


class _Registry:
    """The values to keep out of texts. Adding and looking take no lock: a dict's own steps are atomic."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._pattern: tuple[int, re.Pattern[str] | None] = (0, None)

    def add(self, value: str) -> None:
        self._values.setdefault(value)

    def pattern(self) -> re.Pattern[str] | None:
        size, pattern = self._pattern
        if size != len(self._values):
            values = list(self._values)
            pattern = _pattern_of(values)
            self._pattern = len(values), pattern
        return pattern


_registry = _Registry()


def register_secret(value: Any) -> None:
    """Have :func:`redact` hide ``value`` from now on. Very short and ordinary values are let be."""
    if isinstance(value, bool) or value is None:
        return
    text = str(value)
    if len(text.strip()) >= SHORTEST and text.lower() not in _ORDINARY:
        _registry.add(text)


def register_userinfo(text: str) -> None:
    """Remember the passwords of the URLs in a text."""
    if "://" in text and "@" in text:
        from urllib.parse import unquote

        for _, password in re.findall(_USERINFO, text):
            register_secret(unquote(password))


def redact(text: str, *, also: Iterable[object] = ()) -> str:
    """Return ``text`` with every known secret replaced by ``***``, as is the password in a URL.

    Values in ``also`` are replaced too, however short they are.
    """
    for pattern in (_registry.pattern(), _pattern_of(str(value) for value in also)):
        if pattern is not None:
            text = _replace(pattern, text)
    return re.sub(_USERINFO, rf"\1:{MASK}@", text) if "://" in text else text


def _replace(pattern: re.Pattern[str], text: str) -> str:
    """Replace every match, overlapping ones together, so that no end of a secret stays behind."""
    kept: list[str] = []
    end = -1
    for match in pattern.finditer(text):
        if match.start() > end:
            kept += [text[max(end, 0) : match.start()], MASK]
        end = max(end, match.end(1))
    return "".join([*kept, text[max(end, 0) :]])


def _pattern_of(values: Iterable[str]) -> re.Pattern[str] | None:
    forms = {form for value in values for form in _forms(value) if form}
    if not forms:
        return None
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("(?=(" + "|".join(map(re.escape, longest_first)) + "))")


def _forms(value: str) -> set[str]:
    """Return the spellings in which ``value`` turns up: as it is, escaped, in a URL, line by line."""
    import json
    from urllib.parse import quote, quote_plus

    data = value.encode("utf-8", "backslashreplace")
    quoted = {quote(data, safe=""), quote(data), quote_plus(data)}
    quoted |= {re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), form) for form in quoted}
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(data)[2:-1]}
    lines = {line.strip() for line in value.splitlines() if len(line.strip()) >= 2 * SHORTEST}
    return {value, repr(value)[1:-1], *escaped, *quoted, *lines}


def redact_record(record: logging.LogRecord) -> bool:
    """Redact a log record in place. For ``handler.addFilter`` or ``logger.addFilter``; keeps every record."""
    try:
        message = record.getMessage()
    except Exception:  # a record whose arguments do not fit is shown as it is, not dropped
        message = f"{record.msg} {record.args!r}"
    record.msg, record.args = redact(message), None
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = format_exception(record.exc_info[1]).rstrip("\n")
    return True


class MaskedTraceback(Exception):
    """Stands in a chain of exceptions for one whose text holds a secret: the text, with the secret masked."""


def fit_to_chain(error: BaseException) -> BaseException:
    """Return what another exception may name as its cause, so that no traceback shows a secret."""
    import traceback

    told = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    masked = redact(told)
    return error if masked == told else MaskedTraceback("\n" + masked)


def format_exception(error: BaseException) -> str:
    """Return the traceback of ``error`` as text, with secrets replaced."""
    import traceback

    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)))
