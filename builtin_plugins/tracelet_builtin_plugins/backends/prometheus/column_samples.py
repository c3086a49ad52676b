"""Points as columns become samples: series by series, without an object for each point."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, compress, count
from operator import add, itemgetter, sub
from typing import Any, Final, NamedTuple

from tracelet_builtin_plugins.backends.prometheus.mapping import SeriesKey
from tracelet_builtin_plugins.backends.prometheus.wire import NAN, varint
from tracelet_hookspecs import NO_STEP, MetricColumns

__all__ = ["ColumnSeries", "encode_samples", "series_of", "shift_times"]

#: Milliseconds whose variable-length form has six bytes, so that all samples have one size: 1971 to 2109.
_FIRST: Final = 1 << 35
_END: Final = 1 << 42
_HEAD: Final = b"\x12\x10\x09"  # a sample of 16 bytes; its value follows
_SIZE: Final = 18
_SET_HIGH: Final = bytes(byte | 128 for byte in range(256))


class ColumnSeries(NamedTuple):
    """The points of one metric: times in milliseconds, values, and the steps of those points that have one."""

    key: SeriesKey
    times: list[int]
    values: array[float]
    has_step: list[bool] | None  # None: all have one
    steps: array[float]


def series_of(columns: MetricColumns) -> list[ColumnSeries] | None:
    """Return the points of each metric, in the order of recording; ``None`` if a time is not an ordinary one."""
    if not len(columns) or not _FIRST <= 1000 * min(columns.times) <= 1000 * max(columns.times) < _END - 1:
        return None
    times = [round(when * 1000) for when in columns.times]
    places: dict[int, list[int]] = {}
    for place, at in enumerate(columns.key_indices):
        try:
            places[at].append(place)
        except KeyError:
            places[at] = [place]
    return [_series(columns, columns.keys[at], times, found) for at, found in places.items()]


def _series(columns: MetricColumns, metric: Any, times: list[int], places: list[int]) -> ColumnSeries:
    name, kind, source = metric
    key = SeriesKey(name, kind.value, source, columns.writer)
    values, steps = array("d", _pick(columns.values, places)), _pick(columns.steps, places)
    has_step = None
    if NO_STEP in steps:
        has_step = [step != NO_STEP for step in steps]
        steps = list(compress(steps, has_step))
    return ColumnSeries(key, list(_pick(times, places)), values, has_step, array("d", steps))


def _pick(column: Any, places: list[int]) -> Sequence[Any]:
    if len(places) == 1:
        return (column[places[0]],)
    picked: Sequence[Any] = itemgetter(*places)(column)
    return picked


def shift_times(times: list[int], last: int | None, most: int) -> list[int] | None:
    """Return times each of which is after the one before, and after ``last``; a time that is not is moved.

    Returns ``None`` if one would have to be moved by more than ``most``.
    """
    # With its place taken off, a time has to be at least as large as the one before: a running maximum.
    first = times[0] if last is None else last + 1
    least = accumulate(map(sub, times, count()), max, initial=first)
    next(least)
    shifted = list(map(add, least, count()))
    return None if max(map(sub, shifted, times)) > most or shifted[-1] >= _END else shifted


def encode_samples(times: list[int], values: Sequence[array[float]]) -> Iterator[bytes]:
    """Yield the samples of series that have the same times, as remote write wants them: one text per column of values.

    Each is a copy of one sample, into which each byte of the times and values is put for all of them at once.
    """
    rows = bytearray(_HEAD + bytes(8) + b"\x10" + varint(times[0])) * len(times)
    rows[12::_SIZE] = _bytes_of(array("q", times), 0).translate(_SET_HIGH)
    rows[13::_SIZE] = _bytes_of(array("q", map((2).__mul__, times)), 1).translate(_SET_HIGH)  # bits 7 to 13
    _put_high(rows, times)
    for column in values:
        for byte in range(8):
            rows[3 + byte :: _SIZE] = _bytes_of(column, byte)
        if any(value != value for value in column):
            _put_nan(rows, column)
        yield bytes(rows)


def _bytes_of(numbers: array[Any], byte: int) -> bytes:
    """Return one byte of each number; 0 is the lowest."""
    return numbers.tobytes()[byte if sys.byteorder == "little" else 7 - byte :: 8]


def _put_high(rows: bytearray, times: list[int]) -> None:
    """Put in the higher bits of the times, which are the same for 16 seconds."""
    start = 0
    while start < len(times):
        high = times[start] >> 14
        stop = bisect_left(times, (high + 1) << 14, start)
        for at, byte in enumerate(varint(high), 14):
            rows[start * _SIZE + at : stop * _SIZE : _SIZE] = bytes([byte]) * (stop - start)
        start = stop


def _put_nan(rows: bytearray, column: array[float]) -> None:
    for place in (place for place, value in enumerate(column) if value != value):
        rows[place * _SIZE + 3 : place * _SIZE + 11] = NAN
