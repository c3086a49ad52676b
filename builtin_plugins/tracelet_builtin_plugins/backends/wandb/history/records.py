"""The records in wandb's file, as far as they say what a run has recorded. Numbers are those of its .proto file."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tracelet_builtin_plugins.backends.tensorboard.protobuf import fields

__all__ = ["Record", "fields", "gather", "items_of", "read_record", "seconds_of", "text_of", "texts_of"]

KINDS: Final = {
    2: "history",
    3: "summary",
    5: "config",
    7: "stats",
    8: "artifact",
    13: "output",
    17: "run",
    18: "exit",
    26: "environment",
}
_DOUBLE: Final = struct.Struct("<d")
_DEEPEST: Final = 50_000_000  # characters of one JSON value


class Record(NamedTuple):
    """A record: its kind, and its fields by number, each with all of its values."""

    kind: str
    content: dict[int, list[Any]]


def read_record(data: bytes) -> Record | None:
    """Return a record, or ``None`` if it says nothing of interest. Raises ``ValueError`` for what is none."""
    for number, value in fields(data):
        if number in KINDS and isinstance(value, bytes):
            return Record(KINDS[number], gather(value))
    return None


def gather(data: bytes) -> dict[int, list[Any]]:
    """Return the fields of a message by number."""
    found: dict[int, list[Any]] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def text_of(content: dict[int, list[Any]], number: int) -> str | None:
    """Return the text in a field, ``None`` if it is missing or empty."""
    values = content.get(number)
    return values[-1].decode("utf-8", "replace") or None if values and isinstance(values[-1], bytes) else None


def texts_of(content: dict[int, list[Any]], number: int) -> list[str]:
    """Return all texts of a field."""
    return [value.decode("utf-8", "replace") for value in content.get(number, ()) if isinstance(value, bytes)]


def seconds_of(content: dict[int, list[Any]], number: int) -> float | None:
    """Return the seconds since the epoch in a timestamp."""
    values = content.get(number)
    if not values or not isinstance(values[-1], bytes):
        return None
    found = dict(fields(values[-1]))
    seconds, nanos = found.get(1, 0), found.get(2, 0)
    return float(seconds - (seconds >> 63 << 64) + nanos / 1e9)


def items_of(content: dict[int, list[Any]], number: int = 1) -> Iterator[tuple[list[str], Any]]:
    """Yield the path and the value of each item of a history, summary, configuration or measurement.

    Raises ``ValueError`` if one is malformed.
    """
    for data in content.get(number, ()):
        path: list[str] = []
        value: Any = None
        for field, found in fields(data):
            if field in (1, 2):
                path.append(found.decode("utf-8", "replace"))
            elif field == 16 or field == 8:
                value = _parse(found)
            elif field == 4:
                value = bool(found)
            elif field == 5:
                value = (found >> 1) ^ -(found & 1)
            elif field == 6:
                (value,) = _DOUBLE.unpack(found)
            elif field == 7:
                value = found.decode("utf-8", "replace")
        if path:
            yield path, value


def _parse(text: bytes) -> Any:
    if len(text) > _DEEPEST:
        raise ValueError("a value is too large")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("a value is nested too deeply") from error
