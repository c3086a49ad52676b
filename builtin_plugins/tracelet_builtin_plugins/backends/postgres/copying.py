"""PostgreSQL's binary COPY format, for the rows of ``points``. Nothing here talks to a server.

See "File Formats" of COPY in PostgreSQL's manual: a row is the number of its fields, then each field's length
(-1 for NULL) and value, in network byte order.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins.backends.postgres.mapping import microseconds
from tracelet_hookspecs import NO_STEP, MetricColumns, MetricData

__all__ = ["COLUMNS", "FOOTER", "HEADER", "are_usual", "encode_columns", "encode_points", "join_rows"]

#: In the order of a row.
COLUMNS: Final = ("series", "writer", "sequence", "index", "value", "time", "step")
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
FOOTER: Final = struct.pack(">h", -1)

# With a step and without one. The times of nearly all points lie between these two (1970 and 2100).
_WITH_STEP: Final = struct.Struct(">h iq ii iq ii id iq iq").pack
_WITHOUT_STEP: Final = struct.Struct(">h iq ii iq ii id iq i").pack
_EPOCH: Final = 946_684_800_000_000
_USUAL: Final = (0.0, 4e9)
_LARGEST: Final = (1 << 63) - 1

_ROWS_PER_WRITE: Final = 512  # the server reads while the next rows are made
_LARGEST_INDEX: Final = (1 << 31) - 1

Key = tuple[str, str, str | None]  # name, kind and source of a point


def encode_points(
    points: Iterable[MetricData], series: Mapping[Key, int], writers: Mapping[str, int]
) -> list[bytes]:
    """Return a row for each point.

    Raises ``KeyError`` for a series or a writer whose number is not known, and ``TypeError`` for a value that is not a
    number. (``_value_`` is what ``value`` returns, several times faster; enum members themselves are slow as keys.)
    """
    rows: list[bytes] = []
    append = rows.append
    low, high = _USUAL
    for point in points:
        writer, sequence, index = point.id  # type: ignore[misc]
        when, step = point.timestamp, point.iteration
        try:
            if step is None or not low < when < high:  # type: ignore[operator]
                append(_unusual_row(point, series, writers))
                continue
            append(
                _WITH_STEP(
                    7, 8, series[point.name, point.type._value_, point.source],
                    4, writers[writer], 8, sequence, 4, index,
                    8, point.value, 8, round(when * 1e6) - _EPOCH, 8, step,  # type: ignore[operator]
                )
            )  # fmt: skip
        except (struct.error, OverflowError, TypeError):
            append(_unusual_row(point, series, writers))
    return rows


def _unusual_row(point: MetricData, series: Mapping[Key, int], writers: Mapping[str, int]) -> bytes:
    writer, sequence, index = point.id  # type: ignore[misc]
    head = (
        7,
        8,
        series[point.name, point.type._value_, point.source],
        4,
        writers[writer],
        8,
        sequence,
        4,
        index,
    )
    value, when = _double(point.value), microseconds(point.timestamp)
    if when is None:
        row = _WITHOUT_STEP(*head, 8, value, 8, 0, -1)
        row = row[:-16] + struct.pack(">ii", -1, -1)
    else:
        row = _WITHOUT_STEP(*head, 8, value, 8, when, -1)
    if point.iteration is None:
        return row
    return row[:-4] + struct.pack(">iq", 8, max(-_LARGEST - 1, min(_LARGEST, int(point.iteration))))


def _double(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the largest double
        return float("inf") if value > 0 else float("-inf")
    except (TypeError, ValueError):
        raise TypeError(f"expected a number, found {type(value).__name__}") from None


def join_rows(rows: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the contents of a COPY, in pieces."""
    yield HEADER
    for start in range(0, len(rows), _ROWS_PER_WRITE):
        yield b"".join(rows[start : start + _ROWS_PER_WRITE])
    yield FOOTER


def are_usual(columns: MetricColumns) -> bool:
    """Say whether :func:`encode_columns` can encode points: their times and indexes are ordinary."""
    low, high = _USUAL
    times = columns.times
    is_nan = not sum(times) < float("inf")
    return (
        len(columns) > 0
        and not is_nan
        and low < min(times)
        and max(times) < high
        and max(columns.indexes) <= _LARGEST_INDEX
    )


def encode_columns(columns: MetricColumns, series: Sequence[int], writer: int) -> Iterator[bytes]:
    """Yield the contents of a COPY of the points, in pieces, as :func:`encode_points` would encode them.

    ``series`` has the number of each of the columns' keys that a point has. Rows without a step, which are shorter,
    come after those with one.
    """
    yield HEADER
    for start in range(0, len(columns), _ROWS_PER_WRITE):
        part = columns[start : start + _ROWS_PER_WRITE]
        if NO_STEP not in part.steps:
            yield _encode_alike(part, series, writer, _WITH_STEP)
            continue
        has_step = [step != NO_STEP for step in part.steps]
        yield _encode_alike(part.where(has_step), series, writer, _WITH_STEP)
        yield _encode_alike(part.where([not has for has in has_step]), series, writer, _WITHOUT_STEP)
    yield FOOTER


def _encode_alike(columns: MetricColumns, series: Sequence[int], writer: int, pack: Any) -> bytes:
    """Return rows of one size: copies of one of them, into which each column is put, byte by byte of its numbers."""
    count, is_without = len(columns), pack is _WITHOUT_STEP
    row = pack(7, 8, 0, 4, writer, 8, 0, 4, 0, 8, 0.0, 8, 0, *((-1,) if is_without else (8, 0)))
    rows = bytearray(row) * count
    times = [round(when * 1e6) - _EPOCH for when in columns.times]
    fields: list[tuple[int, array[Any]]] = [
        (6, array("q", map(series.__getitem__, columns.key_indices))),
        (26, array("q", columns.sequences)),
        (38, array("i", columns.indexes)),
        (46, array("d", columns.values)),
        (58, array("q", times)),
    ]
    if not is_without:
        fields.append((70, array("q", columns.steps)))
    for offset, numbers in fields:
        _put(rows, len(row), offset, numbers)
    return bytes(rows)


def _put(rows: bytearray, size: int, offset: int, numbers: array[Any]) -> None:
    """Put a number into each row, in network byte order."""
    if sys.byteorder == "little":
        numbers.byteswap()
    data, width = numbers.tobytes(), numbers.itemsize
    for byte in range(width):
        rows[offset + byte :: size] = data[byte::width]
