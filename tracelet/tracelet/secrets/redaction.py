"""Keeping secrets out of texts: those registered here, and those that show by their form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from tracelet_hookspecs import MASK, USERINFO, is_ordinary, is_secret, mask_text, userinfo_of

if TYPE_CHECKING:
    import logging

SHORTEST: Final = 4  # characters; replacing shorter values would garble any text and hide nothing

_ORDINARY: Final = frozenset({"true", "false", "none", "null"})
_PIECES: Final = re.compile(r"[@/?#:'\"]")
_QUERY: Final = re.compile(r"[?&]([\w.-]{1,100})=([^&#\s]+)")


class _Registry:
    """The values to keep out of texts. No lock is needed: each step of a dict is atomic."""

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
    """Have :func:`redact` hide ``value`` from now on. Very short and ordinary values are ignored."""
    if isinstance(value, bool) or value is None:
        return
    text = str(value)
    if len(text.strip()) >= SHORTEST and text.lower() not in _ORDINARY:
        _registry.add(text)


def register_url_secrets(text: str, *, whole: bool = False) -> None:
    """Register the passwords and tokens of the URLs in a text.

    So they are found in messages of code that took the URL apart, a wrongly quoted one at the wrong place.
    ``whole`` says that the URL itself is a secret (a webhook): then its path is registered as well.
    """
    if "://" not in text:
        return
    from urllib.parse import unquote

    for match in USERINFO.finditer(text):
        user, colon, password = userinfo_of(match).partition(":")
        if not colon and is_ordinary(user):
            continue
        for secret in dict.fromkeys((password or user, unquote(password or user))):
            register_secret(secret)
            for piece in _PIECES.split(secret):
                if not is_ordinary(piece):
                    register_secret(piece)
    for name, value in _QUERY.findall(text):
        if is_secret(name, unquote(value)):
            register_secret(value)
            register_secret(unquote(value))
    if whole:
        path = text.partition("://")[2].partition("/")[2]
        for part in (path, *path.split("/")):
            if not is_ordinary(part):
                register_secret(part)


def redact(text: str, *, also: Iterable[object] = (), by_form: bool = True) -> str:
    """Return ``text`` with every secret replaced by ``***``: registered ones, and those that show by their form.

    Values in ``also`` are replaced too, however short they are. Without ``by_form`` only known values are.
    """
    for pattern in (_registry.pattern(), _pattern_of(str(value) for value in also)):
        if pattern is not None:
            text = _replace(pattern, text)
    return mask_text(text) if by_form else text


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
    """Return the spellings in which ``value`` may occur: plain, escaped, in a URL, line by line."""
    import json
    from urllib.parse import quote, quote_plus

    data = value.encode("utf-8", "backslashreplace")
    quoted = {quote(data, safe=""), quote(data), quote_plus(data)}
    quoted |= {re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), form) for form in quoted}
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(data)[2:-1]}
    lines = {line.strip() for line in value.splitlines() if len(line.strip()) >= 2 * SHORTEST}
    return {value, repr(value)[1:-1], *escaped, *quoted, *lines}


def redact_record(record: logging.LogRecord) -> bool:
    """Redact a log record in place. For ``addFilter`` of a handler or logger; every record is kept."""
    try:
        message = record.getMessage()
    except Exception:  # a record whose arguments do not fit its message is kept as well
        message = f"{record.msg} {record.args!r}"
    record.msg, record.args = redact(message), None
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = format_exception(record.exc_info[1]).rstrip("\n")
    return True


class MaskedTraceback(Exception):
    """Replaces an exception whose text holds a secret, in a chain of exceptions. Its own text is masked."""


def fit_to_chain(error: BaseException) -> BaseException:
    """Return what another exception can have as its cause, so that no traceback shows a secret."""
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    masked = redact(text)
    return error if masked == text else MaskedTraceback("\n" + masked)


def format_exception(error: BaseException) -> str:
    """Return the traceback of ``error`` as text, with secrets replaced."""
    import traceback

    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)))
