"""Events: everything recorded that is not a number, as JSON. One schema says what a reader may rely on.

A journal may come from a later version, from another program, or from an attacker. So an event is checked
when it is read. Unknown types and keys pass, as docs/journal-format.md says. Each known key has the type that the table
below gives it: without a required one, an event is invalid; an optional one of another type is left out. Readers count
both as damage.

The table is plain functions rather than attrs classes with cattrs: a training process reads its own journal to deliver
it, and must not load more than it needs for that.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tracelet.errors import RecordingError
from tracelet.journal.format import ID_MASK, MAX_BLOB, MAX_ROW

MAX_DEPTH = 200  # of nested lists and objects in an event
_WRITTEN_DEPTH = 100  # deeper values are written as text
_MAX_CONTAINERS = (
    1_000_000  # lists and objects in an event: more than a genuine one has, and about 100 MB of memory
)
_END_OF_TIME = 253402300800.0  # the year 10000, in seconds since 1970
_MAX_INTEGER = (1 << 63) - 1


class InvalidEventError(ValueError):
    """An event is not what the schema says. The text names the type and key, what was expected and what was found."""


class Event(NamedTuple):
    """An event that fits the schema."""

    type: str
    payload: dict[str, Any]
    faults: int = 0  # keys that were left out, because their values are not of the type that the schema says


# --- writing -------------------------------------------------------------------------------------------------


def encode_event(type: str, payload: Mapping[str, Any]) -> bytes:
    """Encode an event. Values that JSON does not know are written as their ``str``.

    Raises:
        RecordingError: the event is larger than a segment holds.
    """
    event = {"type": type, **{key: value for key, value in payload.items() if key != "type"}}
    try:
        text = json.dumps(event, default=_to_scalar, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        text = ""
    if not text or _may_be_deep(text):
        text = json.dumps(_to_plain(event), separators=(",", ":"))
    if len(text) > MAX_BLOB:
        found = f"expected at most {MAX_BLOB} bytes, found {len(text)}"
        raise RecordingError(f"event {type!r}: {found}", reason="too large")
    return text.encode()


def _to_scalar(value: Any) -> Any:
    """Return a number for other libraries' numbers, otherwise a text."""
    try:
        return operator.index(value)
    except TypeError:
        pass
    if callable(getattr(value, "item", None)) and not getattr(value, "shape", None):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    return str(value)


def _may_be_deep(text: str) -> bool:
    return text.count("[") + text.count("{") > _WRITTEN_DEPTH


def _to_plain(value: Any, inside: tuple[int, ...] = ()) -> Any:
    """Return a value that JSON can write, even for non-string keys and containers that contain themselves."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _to_scalar(value)
    if id(value) in inside or len(inside) >= _WRITTEN_DEPTH:
        return "..."
    inside = (*inside, id(value))
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item, inside) for key, item in value.items()}
    return [_to_plain(item, inside) for item in value]


# --- reading -------------------------------------------------------------------------------------------------


def decode_event(data: bytes | memoryview) -> Event:
    """Return an event that fits the schema.

    Raises:
        InvalidEventError: it does not.
    """
    data = bytes(data)
    if data.count(b"[") + data.count(b"{") > _MAX_CONTAINERS:
        raise InvalidEventError(f"event: expected at most {_MAX_CONTAINERS} lists and objects, found more")
    try:
        payload = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidEventError(f"event: expected JSON, found {error}") from None
    if not isinstance(payload, dict) or not isinstance(type_ := payload.pop("type", None), str):
        raise InvalidEventError("event: expected an object with a text as 'type'")
    if _depth(data, payload) > MAX_DEPTH:
        raise InvalidEventError(f"event {type_!r}: expected at most {MAX_DEPTH} nested levels, found more")
    schema = _SCHEMA.get(type_, {})
    wrong = [
        key
        for key, (check, _, required) in schema.items()
        if key in payload and not required and not check(payload[key])
    ]
    for key in wrong:
        del payload[key]
    if fault := _find_fault(schema, payload):
        raise InvalidEventError(f"event {type_!r}: {fault}")
    return Event(type_, payload, len(wrong))


def _depth(data: bytes, value: Any) -> int:
    """Return how deep lists and objects are nested; for shallow values, a smaller number is possible."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return 0
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            item
            for one in level
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, (dict, list))
        ]
    return depth


Check = Callable[[Any], bool]
Schema = dict[
    str, tuple[Check, str, bool]
]  # by key: the check, what it expects, whether the key must be there


def _find_fault(schema: Schema, payload: dict[str, Any]) -> str:
    """Return what is wrong with a payload, an empty text if nothing is."""
    for key, (check, expected, required) in schema.items():
        if key not in payload:
            if required:
                return f"expected {expected} as {key!r}, found nothing"
        elif not check(payload[key]):
            return f"expected {expected} as {key!r}, found {_short(payload[key])}"
    return ""


def _short(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "a truth value"}
    return kinds.get(type(value), "a number")


# --- checks --------------------------------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= _MAX_INTEGER  # false for NaN


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_INTEGER


def _is_integer(value: Any) -> bool:
    return type(value) is int and abs(value) <= _MAX_INTEGER + 1


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < _END_OF_TIME


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value <= ID_MASK


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_ROW and all(map(_is_id, value))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_goal(value: Any) -> bool:
    return value in ("min", "max", "last")


def _is_path_inside(value: Any) -> bool:
    """Say whether a path stays inside the folder that it is relative to."""
    if not isinstance(value, str) or "\0" in value:
        return False
    path = PurePosixPath(value.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts


def _is_count_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _matching(schema: Schema) -> Check:
    return lambda value: isinstance(value, dict) and not _find_fault(schema, value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _fields(required: bool, expected: str, check: Check, *keys: str) -> Schema:
    return dict.fromkeys(keys, (check, expected, required))


_TEXT_OR_NULL = "a text or null", _optional(_is_text)
_INTEGER_OR_NULL = "a whole number or null", _optional(_is_integer)
_COUNT_OR_NULL = "a count or null", _optional(_is_count)

_FILE: Schema = {
    **_fields(True, "a path inside the run's folder", _is_path_inside, "path"),
    **_fields(False, "a count", _is_count, "size"),
    **_fields(False, *_TEXT_OR_NULL, "sha256"),
}
_NAME: Schema = {
    **_fields(True, "an id", _is_id, "id"),
    **_fields(True, "a text that is not empty", _is_name, "name"),
    **_fields(True, "a text", _is_text, "metric"),
    **_fields(False, *_TEXT_OR_NULL, "source"),
}
_COLUMNS: Schema = {
    **_fields(True, "an id", _is_id, "id"),
    **_fields(True, f"a list of at most {MAX_ROW} ids", _is_ids, "names"),
}
_COST: Schema = {
    **_fields(False, *_TEXT_OR_NULL, "type", "version", "state", "error"),
    **_fields(False, *_COUNT_OR_NULL, "calls", "errors"),
    **_fields(False, "a number or null", _optional(_is_number), "wall_s", "cpu_s"),
}


def _is_costs(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_matching(_COST), value.values()))


def _is_overhead(value: Any) -> bool:
    return isinstance(value, dict) and all(
        one is None or isinstance(one, (bool, list, dict)) or _is_number(one) for one in value.values()
    )


_SCHEMA: dict[str, Schema] = {
    "writer": {
        **_fields(False, *_TEXT_OR_NULL, "id", "owner", "host", "boot_id", "script", "cwd", "python"),
        **_fields(False, *_TEXT_OR_NULL, "tracelet", "launcher", "launch", "array_task"),
        **_fields(False, *_COUNT_OR_NULL, "pid_namespace", "pid", "pid_started", "attempt"),
        **_fields(False, *_INTEGER_OR_NULL, "rank", "world_size", "local_rank"),
        **_fields(False, "a time or null", _optional(_is_time), "started_at", "after"),
        **_fields(False, "a truth value", _is_truth, "edit"),
        **_fields(False, "a list of texts or null", _optional(_is_texts), "argv"),
        **_fields(False, "a list of counts or null", _optional(_list_of(_is_count)), "parents"),
        **_fields(
            False,
            "an object with texts",
            _optional(_matching(_fields(False, *_TEXT_OR_NULL, "id", "name", "project"))),
            "run",
        ),
    },
    "name": _NAME,
    "columns": _COLUMNS,
    "dictionary": {
        **_fields(True, "a list of names", _list_of(_matching(_NAME)), "names"),
        **_fields(True, "a list of columns", _list_of(_matching(_COLUMNS)), "columns"),
    },
    "run": {
        **_fields(False, *_TEXT_OR_NULL, "name", "project", "group", "parent", "job_type", "notes"),
        **_fields(False, "a truth value", _is_truth, "archived"),
    },
    "params": _fields(True, "an object", _is_object, "params"),
    "tags": _fields(True, "an object", _is_object, "tags"),
    "untag": _fields(True, "a list of texts", _is_texts, "tags"),
    "metric": {
        **_fields(True, "a text that is not empty", _is_name, "name"),
        **_fields(True, "'min', 'max' or 'last'", _is_goal, "goal"),
    },
    "artifact": {
        **_fields(True, "a path inside the run's folder", _is_path_inside, "path"),
        **_fields(False, "a path inside a folder, or null", _optional(_is_path_inside), "artifact_path"),
        **_fields(False, *_TEXT_OR_NULL, "name", "media"),
        **_fields(False, "a number or null", _optional(_is_number), "step"),
        **_fields(False, "a list of files", _optional(_list_of(_matching(_FILE))), "files"),
    },
    "artifact_files": {
        **_fields(True, "a path inside the run's folder", _is_path_inside, "path"),
        **_fields(True, "a list of files", _list_of(_matching(_FILE)), "files"),
    },
    "fact": {
        **_fields(False, *_TEXT_OR_NULL, "source"),
        **_fields(True, "an object", _is_object, "facts"),
    },
    "drops": _fields(True, "an object of counts", _is_count_by_name, "drops"),
    "skip": _fields(True, "a sequence number", _is_count, "from", "to"),
    "plugins": {
        **_fields(False, "an object of what plugins cost", _is_costs, "plugins"),
        **_fields(False, "an object of numbers", _optional(_is_overhead), "overhead"),
    },
    "outcome": _fields(False, *_TEXT_OR_NULL, "outcome", "error"),
}
