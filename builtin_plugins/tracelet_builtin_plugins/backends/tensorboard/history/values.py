"""What one event holds: points, media and what is known of the run. Pure functions, for any valid event."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tracelet_builtin_plugins.backends.tensorboard import protobuf
from tracelet_builtin_plugins.backends.tensorboard.protobuf import read_varint
from tracelet_builtin_plugins.backends.tensorboard.series import EXACT, NAME, SOURCE
from tracelet_hookspecs import ImportedFile

__all__ = ["Event", "Point", "Session", "Unsupported", "as_signed", "read_event"]

_DOUBLE: Final = struct.Struct("<d")
_FLOAT: Final = struct.Struct("<f")
#: Formats of the packed numbers in a tensor, by its type: the field that has them, and how many bytes each takes.
_FORMATS: Final = {
    1: ("f", 4),
    2: ("d", 8),
    3: ("i", 4),
    4: ("B", 1),
    5: ("h", 2),
    6: ("b", 1),
    9: ("q", 8),
    10: ("?", 1),
}
_FLOATS, _DOUBLES, _STRINGS = 5, 6, 8
_VARINTS: Final = {3: 7, 4: 7, 5: 7, 6: 7, 9: 10, 10: 11}  # of a type: the field with the numbers
_STRING: Final = 7
_TEXT_SUFFIX: Final = "/text_summary"  # torch adds it to the tag
_MOST_NUMBERS: Final = 1_000_000  # in one tensor
_STATUS: Final = {1: "finished", 2: "failed", 3: "running"}


class Point(NamedTuple):
    """One number."""

    name: str
    value: float
    source: str | None = None


class Session(NamedTuple):
    """Hyperparameters, or the end of a session."""

    params: Mapping[str, Any]
    group: str | None = None
    outcome: str | None = None
    ended_at: float | None = None


class Unsupported(NamedTuple):
    """A value that tracelet has no place for."""

    kind: str


class Event(NamedTuple):
    """An event: its time, its step, and what it holds."""

    time: float
    step: int
    items: list[Point | ImportedFile | Session | Unsupported]


def as_signed(value: int) -> int:
    """Return the int64 that protobuf has written as an unsigned number."""
    return value - (value >> 63 << 64)


def read_event(data: bytes) -> Event:
    """Return an event. Raises ``ValueError``, ``LookupError``, ``TypeError`` or ``struct.error`` for what is none."""
    time, step, summary, extra = 0.0, 0, [], b""
    for number, value in protobuf.fields(data):
        if number == 1:
            (time,) = _DOUBLE.unpack(value)
        elif number == 2:
            step = as_signed(value)
        elif number == 5:
            summary.append(value)
        elif number == protobuf.EXTRA:
            extra = value
    known = dict(protobuf.fields(extra))
    items = [item for one in summary for item in _read_summary(one, step, time, known)]
    return Event(time, step, items)


Item = Point | ImportedFile | Session | Unsupported


def _read_summary(data: bytes, step: int, time: float, extra: Mapping[int, Any]) -> Iterator[Item]:
    for number, value in protobuf.fields(data):
        if number == 1:
            yield from _read_value(value, step, time, extra)


def _read_value(data: bytes, step: int, time: float, extra: Mapping[int, Any]) -> Iterator[Item]:
    found = dict(protobuf.fields(data))
    tag = _text(extra[NAME]) if NAME in extra else _text(found.get(1, b""))
    if 2 in found:
        (value,) = _DOUBLE.unpack(extra[EXACT]) if EXACT in extra else _FLOAT.unpack(found[2])
        yield Point(tag, value, _text(extra[SOURCE]) if SOURCE in extra else None)
        return
    plugin, content = _plugin(found.get(9, b""))
    medium: dict[str, Any] = {"name": tag, "step": step, "timestamp": time}
    if 4 in found:
        data = _bytes(dict(protobuf.fields(found[4]))[4])
        yield ImportedFile(data=data, kind="image", suffix=image_suffix(data), **medium)
    elif 5 in found:
        yield _of_histogram(found[5], medium)
    elif 6 in found:
        yield ImportedFile(
            data=_bytes(dict(protobuf.fields(found[6]))[4]), kind="audio", suffix=".wav", **medium
        )
    elif plugin == "hparams":
        yield from _read_session(content)
    elif 8 in found:
        yield from _read_tensor(plugin, found[8], medium, _text(extra[SOURCE]) if SOURCE in extra else None)


def _bytes(value: Any) -> bytes:
    """Return a value that has to be bytes. Raises ``TypeError`` for a number."""
    if not isinstance(value, bytes):
        raise TypeError("expected bytes, found a number")
    return value


def _text(data: Any) -> str:
    return bytes(data).decode("utf-8", "surrogateescape") if isinstance(data, bytes) else ""


def _plugin(metadata: bytes) -> tuple[str, bytes]:
    data = dict(protobuf.fields(dict(protobuf.fields(metadata)).get(1, b"")))
    return _text(data.get(1, b"")), data.get(2, b"")


# --- tensors -----------------------------------------------------------------------------------------------------


class Tensor(NamedTuple):
    """A tensor: its type, its shape, and its numbers or strings."""

    type: int
    shape: list[int]
    numbers: list[float]
    strings: list[bytes]


def read_tensor(data: bytes) -> Tensor:
    """Return a tensor."""
    type_, shape, content = 0, [], b""
    numbers: list[float] = []
    strings: list[bytes] = []
    for number, value in protobuf.fields(data):
        if number == 1:
            type_ = value
        elif number == 2:
            shape = [
                as_signed(dict(protobuf.fields(one)).get(1, 0))
                for at, one in protobuf.fields(value)
                if at == 2
            ]
        elif number == 4:
            content = value
        elif number == _STRINGS:
            strings.append(_bytes(value))
        elif number in (_FLOATS, _DOUBLES):
            numbers += _unpack(value, "f" if number == _FLOATS else "d", 4 if number == _FLOATS else 8)
        elif number == _VARINTS.get(type_):
            numbers += _varints(value)
    if content and type_ in _FORMATS:
        numbers = _unpack(content, *_FORMATS[type_])
    total = math.prod(shape)
    if len(numbers) == 1 and 1 < total <= _MOST_NUMBERS:  # a tensor of equal numbers is written with one
        numbers = numbers * total
    return Tensor(type_, shape, numbers, strings)


def _unpack(data: bytes, code: str, size: int) -> list[float]:
    if len(data) % size or len(data) // size > _MOST_NUMBERS:
        raise ValueError("numbers of a tensor are cut off")
    return [float(number) for number in struct.unpack(f"<{len(data) // size}{code}", data)]


def _varints(value: Any) -> list[float]:
    if isinstance(value, int):
        return [float(as_signed(value))]
    found: list[float] = []
    at = 0
    while at < len(value) and len(found) < _MOST_NUMBERS:
        number, at = read_varint(value, at)
        found.append(float(as_signed(number)))
    return found


def _read_tensor(plugin: str, data: bytes, medium: dict[str, Any], source: str | None) -> Iterator[Item]:
    tensor = read_tensor(data)
    if tensor.type == _STRING:
        yield from _of_strings(plugin, tensor.strings, medium)
    elif plugin == "histograms" and tensor.shape[-1:] == [3]:
        rows = [tensor.numbers[at : at + 3] for at in range(0, len(tensor.numbers), 3)]
        edges = [rows[0][0], *(right for _, right, _ in rows)] if rows else [0.0, 0.0]
        yield _histogram(edges, [count for _, _, count in rows], medium)
    elif plugin == "pr_curves" and len(tensor.shape) == 2 and tensor.shape[0] == 6:
        yield _pr_curve(tensor, medium)
    elif len(tensor.numbers) == 1:
        yield Point(medium["name"], tensor.numbers[0], source)
    else:
        yield Unsupported(f"values of the plugin {plugin!r}" if plugin else "tensors of more than one number")


def _of_strings(plugin: str, strings: list[bytes], medium: dict[str, Any]) -> Iterator[Item]:
    if plugin == "images":
        for data in strings[2:]:  # after width and height
            yield ImportedFile(data=data, kind="image", suffix=image_suffix(data), **medium)
    elif plugin == "audio":
        for data in strings[::2] if len(strings) > 1 else strings:  # each is followed by its label
            yield ImportedFile(data=data, kind="audio", suffix=".wav", **medium)
    elif plugin in ("text", ""):
        name = medium["name"].removesuffix(_TEXT_SUFFIX)
        yield ImportedFile(data=b"\n".join(strings), kind="text", suffix=".txt", **{**medium, "name": name})
    else:
        yield Unsupported(f"values of the plugin {plugin!r}")


def image_suffix(data: bytes) -> str:
    """Return the suffix for an encoded image."""
    known = (
        (b"\x89PNG", ".png"),
        (b"\xff\xd8\xff", ".jpg"),
        (b"GIF8", ".gif"),
        (b"BM", ".bmp"),
        (b"RIFF", ".webp"),
    )
    return next((suffix for start, suffix in known if data.startswith(start)), ".bin")


# --- histograms and curves ---------------------------------------------------------------------------------------


def _of_histogram(data: bytes, medium: dict[str, Any]) -> Item:
    found = dict(protobuf.fields(data))
    low, high = (_DOUBLE.unpack(found[number])[0] if number in found else 0.0 for number in (1, 2))
    limits, counts = (_unpack(found.get(number, b""), "d", 8) for number in (6, 7))
    if len(limits) != len(counts) or not limits:
        raise ValueError("a histogram without bins")
    if counts[0] == 0 and len(counts) > 1:  # the first bin reaches down to the smallest number
        return _histogram(limits, counts[1:], medium, high)
    first = low if low < limits[0] else math.nextafter(limits[0], -math.inf)
    return _histogram([first, *limits], counts, medium, high)


def _histogram(
    edges: list[float], counts: list[float], medium: dict[str, Any], high: float = math.inf
) -> Item:
    while len(counts) > 1 and not counts[-1]:
        edges, counts = edges[:-1], counts[:-1]
    if edges[-1] > 1e300 and edges[-2] < high < edges[-1]:  # the last bin reaches up to the largest number
        edges = [*edges[:-1], high]
    kept = [
        (right, count) for right, count in zip(edges[1:], counts, strict=True) if count or right > edges[0]
    ]
    whole = [int(count) for _, count in kept]
    content = {"edges": [edges[0], *(right for right, _ in kept)], "counts": whole}
    text = json.dumps({**content, "count": sum(whole), "not_finite": 0}, allow_nan=False)
    return ImportedFile(data=text.encode(), kind="histogram", suffix=".histogram.json", **medium)


def _pr_curve(tensor: Tensor, medium: dict[str, Any]) -> Item:
    """Return a curve: the rows are true and false positives, true and false negatives, precision and recall."""
    bins = tensor.shape[1]
    rows = [tensor.numbers[at : at + bins] for at in range(0, 6 * bins, bins)]
    precision, recall = rows[4][::-1], rows[5][::-1]
    thresholds = [index / (bins - 1) for index in reversed(range(bins))] if bins > 1 else [0.5]
    curve = {"label": None, "precision": precision, "recall": recall, "thresholds": thresholds}
    text = json.dumps({"curves": [curve]}, allow_nan=False)
    return ImportedFile(data=text.encode(), kind="pr_curve", suffix=".pr_curve.json", **medium)


# --- hyperparameters ---------------------------------------------------------------------------------------------


def _read_session(data: bytes) -> Iterator[Session]:
    for number, value in protobuf.fields(data):
        if number == 3:
            yield _session_start(value)
        elif number == 4:
            found = dict(protobuf.fields(value))
            ended = _DOUBLE.unpack(found[2])[0] if 2 in found else None
            yield Session({}, None, _STATUS.get(found.get(1, 0)), ended)


def _session_start(data: bytes) -> Session:
    params: dict[str, Any] = {}
    group = None
    for number, value in protobuf.fields(data):
        if number == 1:
            entry = dict(protobuf.fields(value))
            params[_text(entry.get(1, b""))] = _json_value(entry.get(2, b""))
        elif number == 4:
            group = _text(value) or None
    return Session(params, group)


def _json_value(data: bytes) -> Any:
    found = dict(protobuf.fields(data))
    if 2 in found:
        return _DOUBLE.unpack(found[2])[0]
    if 3 in found:
        return _text(found[3])
    return bool(found[4]) if 4 in found else None
