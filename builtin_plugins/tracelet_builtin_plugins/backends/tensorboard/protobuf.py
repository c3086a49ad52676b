"""The wire format of Protocol Buffers, as far as event files need it, and the messages in them.

A field is a key (``number << 3 | wire type``) and a value. The numbers are those of TensorBoard's own .proto files:
event, summary, tensor, histogram, and the plugin data of the text and hyperparameter dashboards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = [
    "EXTRA",
    "audio",
    "bytes_field",
    "double_field",
    "event",
    "fields",
    "file_version",
    "float_field",
    "histogram",
    "hparams_end",
    "hparams_start",
    "image",
    "int_field",
    "null_tensor",
    "read_varint",
    "summary_value",
    "tensor_double",
    "text",
    "varint",
]

#: A field of Event that TensorBoard does not have, so that every reader skips it: what tracelet knows of the record.
EXTRA: Final = 20001

_DT_FLOAT: Final = 1
_DT_DOUBLE: Final = 2
_DT_STRING: Final = 7
_DATA_CLASS: Final = {"scalars": 1, "text": 2, "hparams": 2}  # DataClass: scalar, tensor

_SMALL: Final = [bytes([value]) for value in range(128)]


def varint(value: int) -> bytes:
    """Return a whole number of 64 bits; a negative one takes ten bytes, as protobuf has it."""
    if 0 <= value < 128:
        return _SMALL[value]
    if 0 <= value < 16384:
        return bytes((value & 127 | 128, value >> 7))
    value &= 0xFFFFFFFFFFFFFFFF
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the unsigned number at a position, and the position after it. Raises ``ValueError`` if it is cut off."""
    if at < len(data) and data[at] < 128:
        return data[at], at + 1
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError("a number is cut off")


def int_field(number: int, value: int) -> bytes:
    """Return a field of type int64, bool or enum."""
    return varint(number << 3) + varint(value)


def double_field(number: int, value: float) -> bytes:
    """Return a field of type double."""
    return varint(number << 3 | 1) + struct.pack("<d", value)


def float_field(number: int, value: float) -> bytes:
    """Return a field of type float."""
    return varint(number << 3 | 5) + struct.pack("<f", value)


def bytes_field(number: int, value: bytes | str) -> bytes:
    """Return a field of type bytes, string or message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def _doubles_field(number: int, values: Iterable[float]) -> bytes:
    numbers = list(values)
    return bytes_field(number, struct.pack(f"<{len(numbers)}d", *numbers))


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each field: an int, or bytes (8 of a double, 4 of a float).

    Raises ``ValueError`` if the message is malformed.
    """
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = read_varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = read_varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"expected wire type 0, 1, 2 or 5, found {wire}")
        if at + size > len(data):
            raise ValueError("a field is cut off")
        yield number, data[at : at + size]
        at += size


# --- tensorboard.Event and tensorboard.Summary ----------------------------------------------------------------------


def file_version(wall_time: float) -> bytes:
    """Return the event that an event file begins with."""
    return double_field(1, wall_time) + bytes_field(3, "brain.Event:2")


def event(wall_time: float, step: int, values: bytes, extra: bytes = b"") -> bytes:
    """Return an event with a summary. ``values`` are fields made by :func:`summary_value`."""
    head = double_field(1, wall_time) + (int_field(2, step) if step else b"")
    return head + bytes_field(5, values) + (bytes_field(EXTRA, extra) if extra else b"")


def summary_value(tag: str, content: bytes, plugin: str = "", plugin_data: bytes = b"") -> bytes:
    """Return the field of a summary that holds one value; ``plugin`` names the dashboard, if the value needs it."""
    about = bytes_field(9, _metadata(plugin, plugin_data)) if plugin else b""
    return bytes_field(1, bytes_field(1, tag) + about + content)


def _metadata(plugin: str, plugin_data: bytes) -> bytes:
    data = bytes_field(1, plugin) + (bytes_field(2, plugin_data) if plugin_data else b"")
    return bytes_field(1, data) + int_field(4, _DATA_CLASS[plugin])


# --- what a value can hold ------------------------------------------------------------------------------------------


def text(content: str) -> bytes:
    """Return a tensor of one string, for the text dashboard, which shows Markdown."""
    return bytes_field(8, int_field(1, _DT_STRING) + bytes_field(2, b"") + bytes_field(8, content))


def null_tensor() -> bytes:
    """Return an empty tensor, for a value that consists of plugin data only."""
    return bytes_field(8, int_field(1, _DT_FLOAT) + bytes_field(2, bytes_field(2, b"")))


def tensor_double(value: float) -> bytes:
    """Return a tensor of one float64."""
    content = bytes_field(4, struct.pack("<d", value))
    return bytes_field(8, int_field(1, _DT_DOUBLE) + bytes_field(2, b"") + content)


def image(data: bytes, width: int, height: int, channels: int) -> bytes:
    """Return an encoded image."""
    size = int_field(1, height) + int_field(2, width) + int_field(3, channels)
    return bytes_field(4, size + bytes_field(4, data))


def audio(data: bytes, rate: float, channels: int, frames: int) -> bytes:
    """Return a WAV file."""
    about = float_field(1, rate) + int_field(2, channels) + int_field(3, frames)
    return bytes_field(6, about + bytes_field(4, data) + bytes_field(5, "audio/wav"))


def histogram(limits: list[float], counts: list[float], total: float, squares: float) -> bytes:
    """Return a histogram: ``counts[n]`` values lie below ``limits[n]`` and above the limit before it."""
    about = double_field(1, limits[0]) + double_field(2, limits[-1]) + double_field(3, sum(counts))
    sums = double_field(4, total) + double_field(5, squares)
    return bytes_field(5, about + sums + _doubles_field(6, limits) + _doubles_field(7, counts))


# --- plugin data of the hyperparameter dashboard --------------------------------------------------------------------


def hparams_start(params: Mapping[str, bool | float | str], started_at: float, group: str = "") -> bytes:
    """Return the plugin data that gives a session its hyperparameters."""
    entries = b"".join(
        bytes_field(1, bytes_field(1, name) + bytes_field(2, _json_value(value)))
        for name, value in params.items()
    )
    about = (bytes_field(4, group) if group else b"") + double_field(5, started_at)
    return bytes_field(3, entries + about)


def hparams_end(status: int, ended_at: float) -> bytes:
    """Return the plugin data that ends a session: status 1 is success, 2 failure."""
    return bytes_field(4, int_field(1, status) + double_field(2, ended_at))


def _json_value(value: bool | float | str) -> bytes:
    if isinstance(value, bool):
        return int_field(4, value)
    return bytes_field(3, value) if isinstance(value, str) else double_field(2, value)
