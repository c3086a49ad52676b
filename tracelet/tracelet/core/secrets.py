"""Secrets: a type that does not show itself, and the means to keep known values out of any text.

A secret is known by the name of its key (:func:`is_secret_key`) or by its schema. Its value is a
:class:`SecretStr`: a ``str`` like any other to the plugin that needs it, masked wherever it is displayed.
Every such value is remembered for the life of the process, so that :func:`redact` finds it in error
messages and tracebacks of code that knows nothing of all this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import logging

MASK: Final = "***"
SHORTEST: Final = 4  # characters; replacing shorter values would garble any text and hide nothing

_ORDINARY: Final = frozenset({"true", "false", "none", "null"})
_WORDS: Final = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"
_NAMING: Final = frozenset(
    (
        *("auth", "authorization", "bearer", "cookie", "cookies", "creds", "dsn", "jwt", "key", "keys"),
        *("pass", "pin", "pwd", "sas", "token", "tokens"),
    )
)
_CONTAINED: Final = ("password", "passwd", "passphrase", "secret", "credential", "apikey", "accesskey")
# A last word that says the value is about a secret (`token_url`, `key_file`) and none itself.
_ABOUT: Final = frozenset(
    (
        *("algorithm", "column", "count", "dir", "expiry", "field", "file", "filename", "format", "id"),
        *("length", "limit", "method", "mode", "name", "names", "path", "prefix", "provider", "size"),
        *("timeout", "ttl", "type", "types", "uri", "url"),
    )
)
_QUALIFIED: Final = frozenset(
    ("foreign", "max", "min", "num", "partition", "primary", "public", "sort", "total")
)
_USERINFO: Final = r"(?<=://)([^\s/:@'\"]*):([^\s/@'\"]+)@"


class SecretStr(str):
    """A string that does not show itself: ``repr`` is masked, the value is what it always was.

    Creating one registers its value with :func:`redact`. Copies and pickles keep the value (a plugin in
    a process of its own needs it), and register it wherever they are restored.
    """

    __slots__ = ()

    def __new__(cls, value: str = "") -> SecretStr:
        """Make a secret of ``value`` and remember it."""
        register_secret(value)
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __reduce__(self) -> tuple[type[SecretStr], tuple[str]]:
        return SecretStr, (self.reveal(),)

    def reveal(self) -> str:
        """Return the value as a plain ``str``."""
        return str.__str__(self)


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
    text = str.__str__(value) if isinstance(value, str) else str(value)
    if len(text.strip()) >= SHORTEST and text.lower() not in _ORDINARY:
        _registry.add(text)


def is_secret_key(key: object) -> bool:
    """Say whether a key names a secret: ``api_key``, ``dbPassword``, ``HF_TOKEN``; not ``max_tokens``."""
    if not isinstance(key, str):
        return False
    words = [word.lower() for word in re.findall(_WORDS, key)]
    if not words or words[-1] in _ABOUT or _QUALIFIED.intersection(words):
        return False
    return any(_names_secret(word) for word in words)


def _names_secret(word: str) -> bool:
    return word in _NAMING or word.endswith("token") or any(part in word for part in _CONTAINED)


def seal(values: Any, *, secret: bool = False) -> Any:
    """Return a copy of nested values in which every string under a secret key is a :class:`SecretStr`.

    Numbers there, and passwords within URLs anywhere, keep their type and are remembered for
    :func:`redact`.
    """
    if isinstance(values, Mapping):
        return {key: seal(value, secret=secret or is_secret_key(key)) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        sealed = [seal(value, secret=secret) for value in values]
        return tuple(sealed) if isinstance(values, tuple) else sealed
    if isinstance(values, str):
        if secret and values:
            return SecretStr(values)
        _register_userinfo(values)
    elif secret and isinstance(values, (int, float)):
        register_secret(values)
    return values


def _register_userinfo(text: str) -> None:
    if "://" in text and "@" in text:
        from urllib.parse import unquote

        for _, password in re.findall(_USERINFO, text):
            register_secret(unquote(password))


def mask(values: Any) -> Any:
    """Return a copy of nested values that is fit for display: secrets masked, attrs instances as dicts."""
    return _masked(values, frozenset())


def _masked(values: Any, above: frozenset[int]) -> Any:
    if isinstance(values, str):
        return MASK if isinstance(values, SecretStr) else redact(values)
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


def format_exception(error: BaseException) -> str:
    """Return the traceback of ``error`` as text, with secrets replaced."""
    import traceback

    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)))
