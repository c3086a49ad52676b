"""Events: everything recorded that is not a number, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tracelet.journal.format import MAX_BLOB


def encode_event(type: str, payload: Mapping[str, Any]) -> bytes:
    """Return an event as it stands in the journal. What JSON does not know is written as its ``str``.

    Raises:
        ValueError: the event is larger than a segment holds.
    """
    event = {"type": type, **{key: value for key, value in payload.items() if key != "type"}}
    try:
        text = json.dumps(event, default=str, separators=(",", ":"))
    except (TypeError, ValueError):
        text = json.dumps(_plain(event), separators=(",", ":"))
    if len(text) > MAX_BLOB:
        raise ValueError(f"event {type!r}: expected at most {MAX_BLOB} bytes, found {len(text)}")
    return text.encode()


def decode_event(data: bytes) -> tuple[str, dict[str, Any]]:
    """Return type and payload of an event."""
    payload = json.loads(data)
    return payload.pop("type"), payload


def _plain(value: Any, inside: tuple[int, ...] = ()) -> Any:
    """Return what JSON can write, also for keys that are no strings and for what contains itself."""
    if id(value) in inside:
        return "..."
    inside = (*inside, id(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item, inside) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, inside) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
