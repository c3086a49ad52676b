"""What PostgreSQL cannot hold, and what becomes of it. Nothing here talks to a server."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracelet_builtin_plugins.naming import MARK_LENGTH, fit_name
from tracelet_hookspecs.strict_json import to_json

__all__ = [
    "MAPPING",
    "describe_change",
    "fit_text",
    "json_text",
    "make_name",
    "microseconds",
    "original_of",
    "series_digest",
    "tag_text",
    "writer_uuid",
]

MAPPING: Final[dict[str, str]] = {
    "names with NUL or a lone surrogate": "U+FFFD instead, and a hash at the end; original_name has the name",
    "other texts with NUL or a lone surrogate": "NUL becomes U+2400 (a picture of it), a surrogate U+FFFD",
    "NaN and infinities in parameters": 'the strings "NaN", "Infinity" and "-Infinity", since JSON has no such numbers',
    "times before 4714 BC or after 294276": "-infinity or infinity; NaN becomes NULL",
    "artifacts and media": "path, size and SHA-256; the contents stay in the run's folder",
}

_REFUSED: Final = re.compile("[\x00\ud800-\udfff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_EPOCH: Final = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970, which timestamptz counts from
_FIRST: Final = -211_813_488_000_000_000  # 4714-11-24 BC, the first timestamptz
_END: Final = 9_223_371_331_200_000_000  # 294277-01-01, the first that timestamptz cannot hold
_INFINITY: Final = (1 << 63) - 1
_WRITER: Final = re.compile("[0-9a-f]{32}")


def make_name(name: str) -> str:
    """Return a name that PostgreSQL can hold; one that has to change gets a hash, so that it stays unique."""
    if _REFUSED.search(name) is None:
        return name
    return fit_name(name, refused=_REFUSED, limit=len(name) + MARK_LENGTH, replacement="\ufffd")


def original_of(name: str) -> str | None:
    """Return a name that had to change, as a JSON string (which escapes everything); ``None`` for any other."""
    return None if make_name(name) == name else json.dumps(name)


def fit_text(text: str) -> str:
    """Return any other text as PostgreSQL can hold it."""
    return _SURROGATE.sub("\ufffd", text.replace("\x00", "\u2400"))


def json_text(value: Any) -> str:
    """Return a value as text for a jsonb column."""
    return json.dumps(_fit(to_json(value)), ensure_ascii=False)


def _fit(value: Any) -> Any:
    if isinstance(value, str):
        return fit_text(value)
    if isinstance(value, list):
        return [_fit(item) for item in value]
    if isinstance(value, Mapping):
        return {make_name(key): _fit(item) for key, item in value.items()}
    return value


def tag_text(value: Any) -> str | None:
    """Return a tag's value as text: strings as they are, anything else as JSON. ``None`` removes the tag."""
    if value is None:
        return None
    return fit_text(value) if isinstance(value, str) else json_text(value)


def describe_change(changes: Mapping[str, Any]) -> str:
    """Return a change of a run as JSON."""
    return json_text({key: value for key, value in changes.items() if key != "type"})


def microseconds(timestamp: float | None) -> int | None:
    """Return a time as timestamptz stores it: microseconds since 2000."""
    if timestamp is None or timestamp != timestamp:
        return None
    try:
        exact = round(timestamp * 1e6) - _EPOCH
    except OverflowError:  # an infinity
        exact = _INFINITY if timestamp > 0 else -_INFINITY
    if exact < _FIRST:
        return -_INFINITY - 1
    return exact if exact < _END else _INFINITY


def writer_uuid(writer: str) -> uuid.UUID:
    """Return a writer's id as a UUID: its 32 hexadecimal digits, or the digest of any other text."""
    if _WRITER.fullmatch(writer):
        return uuid.UUID(writer)
    return uuid.UUID(bytes=_digest([writer]))


def series_digest(run_id: str, name: str, kind: str, source: str | None) -> uuid.UUID:
    """Return what identifies a series in any database: a digest of its run, name, kind and source."""
    return uuid.UUID(bytes=_digest([run_id, name, kind, *([] if source is None else [source])]))


def _digest(parts: Iterable[str]) -> bytes:
    text = json.dumps(list(parts))  # unambiguous, whatever the parts contain
    return hashlib.sha256(text.encode()).digest()[:16]
