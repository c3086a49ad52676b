"""The bytes of a remote-write request: Prometheus' protobuf messages, by hand, and the text format of a scrape.

The messages: ``WriteRequest { repeated TimeSeries timeseries = 1; }``,
``TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }``,
``Label { string name = 1; string value = 2; }``, ``Sample { double value = 1; int64 timestamp = 2; }``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from tracelet_builtin_plugins.backends.prometheus.mapping import Labels

__all__ = ["NAN", "encode_labels", "encode_request", "encode_sample", "encode_series", "exposition", "varint"]

_DOUBLE: Final = struct.Struct("<d").pack
NAN: Final = struct.pack("<Q", 0x7FF8000000000001)  # what Prometheus itself uses for "not a number"
_HEADS: Final = {length: bytes([0x12, length, 0x09]) for length in range(128)}


def varint(number: int) -> bytes:
    """Return an integer in protobuf's variable-length form; a negative one as its 64-bit complement."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_high: Final = lru_cache(maxsize=4096)(varint)


def _field(number: int, contents: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(contents)) + contents


def encode_labels(labels: Labels) -> bytes:
    """Return the labels of a series, which are the same in each request."""
    return b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels)


def encode_sample(timestamp: int, value: float) -> bytes:
    """Return one sample."""
    number = _DOUBLE(value) if value == value else NAN
    if timestamp >> 14 > 0:  # all but the two lowest groups are the same for 16 seconds
        when = bytes((timestamp & 127 | 128, timestamp >> 7 & 127 | 128)) + _high(timestamp >> 14)
    else:
        when = varint(timestamp)
    return _HEADS[10 + len(when)] + number + b"\x10" + when


def encode_request(series: Iterable[tuple[bytes, Sequence[tuple[int, float]]]]) -> bytes:
    """Return a whole request, from encoded labels and the samples of each series: (time in ms, value)."""
    return b"".join(
        encode_series(labels, b"".join([encode_sample(when, value) for when, value in samples]))
        for labels, samples in series
    )


def encode_series(labels: bytes, samples: bytes) -> bytes:
    """Return one series of a request, from its encoded labels and samples."""
    return _field(1, labels + samples)


def exposition(latest: Mapping[Labels, float]) -> str:
    """Return the latest value of each series in the text format (version 0.0.4), all gauges."""
    by_name: dict[str, list[str]] = {}
    for labels, value in latest.items():
        name = dict(labels)["__name__"]
        pairs = ",".join(f'{key}="{_escape(text)}"' for key, text in labels if key != "__name__")
        by_name.setdefault(name, []).append(f"{name}{{{pairs}}} {_number(value)}\n")
    return "".join(
        f"# TYPE {name} gauge\n{''.join(sorted(lines))}" for name, lines in sorted(by_name.items())
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
