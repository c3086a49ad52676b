"""The points of a run from its Parquet files, as the columns that reading a journal returns.

Each record once: files may overlap after a crash of their writer, and while a merge is in progress. Whether they do
shows in the ranges of sequence numbers of each file, so that only then each record has to be looked at.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple

from tracelet.journal import Columns, Part
from tracelet.journal.format import NO_STEP
from tracelet.lake.query import run_query

Query = Callable[[str, Sequence[Any]], Any]  # runs SQL, returns an Arrow table

_METRIC: Final = (
    "name IS NOT DISTINCT FROM ? AND type IS NOT DISTINCT FROM ? AND source IS NOT DISTINCT FROM ?"
)
_PLACE_BITS: Final = 24  # of the index; more than a row has values, derived ones included
_MOST_FOOTERS: Final = 512  # files whose statistics are looked at first
_IDENTITY: Final = ("name", "source", "writer", "type")
_FOOTERS: Final = """
    SELECT file_name, row_group_id, row_group_num_rows, path_in_schema, stats_min_value, stats_max_value,
        stats_null_count
    FROM parquet_metadata({files})
    WHERE path_in_schema IN ('name', 'source', 'writer', 'type', 'rank', 'sequence')
"""
_MOST_STREAMS: Final = 12  # streams that are read one by one; more are read together, and then sorted
_GROUPS: Final = """
    SELECT name, source, writer, type, any_value(rank), filename, min(sequence), max(sequence), count(*)
    FROM read_parquet({files}, filename = true) WHERE {where}
    GROUP BY name, source, writer, type, filename
"""


class Stream(NamedTuple):
    """One metric of one process: its identity, and the files that have its points, in the order of recording."""

    name: str
    source: str | None
    writer: str
    type: str | None
    rank: int | None
    files: list[str]
    points: int
    is_disjoint: bool  # whether no two files have the same record


def read_points(
    files: Sequence[str], names: Collection[str] | None, query: Query = run_query
) -> dict[str, Columns]:
    """Return the points of metrics by name (``None``: of all), each writer's in the order of recording."""
    if not files or (names is not None and not names):
        return {}
    streams = find_streams(files, names, query)
    if len(streams) > _MOST_STREAMS:
        columns = _read_together(streams, files, names, query)
    else:
        columns = [_read_stream(stream, query) for stream in streams]
    return _by_name(streams, columns)


def find_streams(
    files: Sequence[str], names: Collection[str] | None, query: Query = run_query
) -> list[Stream]:
    """Return what the files have: sorted by metric, then process, then type in the order of recording."""
    rows = None if names is None or len(files) > _MOST_FOOTERS else _find_in_footers(files, names, query)
    if rows is None:
        where, values = _where(names)
        rows = _rows(query(_GROUPS.format(files=_list(files), where=where), values))
    rows.sort(key=_by_stream)
    return [_make_stream(key, list(several)) for key, several in groupby(rows, key=lambda row: row[:4])]


def _rows(table: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _find_in_footers(
    files: Sequence[str], names: Collection[str], query: Query
) -> list[tuple[Any, ...]] | None:
    """Return the same from the statistics of the files alone; ``None`` if a group of rows has several streams.

    So a long series is not read just to find out whose it is.
    """
    groups: dict[tuple[str, int, int], dict[str, tuple[str | None, str | None]]] = {}
    for file, group, size, column, least, most, nulls in _rows(
        query(_FOOTERS.format(files=_list(files)), ())
    ):
        known = (None, None) if nulls == size else (least, most)
        groups.setdefault((file, group, size), {})[column] = known if nulls in (0, size) else ("", "~")
    found: dict[tuple[Any, ...], tuple[int, int, int]] = {}
    for (file, _, size), columns in groups.items():
        if len(columns) < len(_IDENTITY) + 2 or any(columns[one][0] != columns[one][1] for one in _IDENTITY):
            return None
        if columns["name"][0] in names:
            name, source, writer, type_, rank = (columns[one][0] for one in (*_IDENTITY, "rank"))
            first, last = (int(bound or 0) for bound in columns["sequence"])
            key = (name, source, writer, type_, None if rank is None else int(rank), file)
            before = found.get(key, (first, last, 0))
            found[key] = (min(first, before[0]), max(last, before[1]), size + before[2])
    return [(*key, *counts) for key, counts in found.items()]


def _by_stream(row: tuple[Any, ...]) -> tuple[Any, ...]:
    name, source, writer, type_, _, _, first, *_ = row
    return name or "", writer, source or "", type_ or "", first


def _make_stream(key: tuple[Any, ...], rows: list[tuple[Any, ...]]) -> Stream:
    disjoint = all(before[7] < after[6] for before, after in pairwise(rows))
    name, source, writer, type_ = key
    files, points = [row[5] for row in rows], sum(row[8] for row in rows)
    return Stream(name, source, writer, type_, rows[0][4], files, points, disjoint)


def _read_stream(stream: Stream, query: Query) -> Any:
    """Return steps, values and times of a stream."""
    wanted = "step, value, time" if stream.is_disjoint else 'step, value, time, sequence, "index"'
    table = query(
        f"SELECT {wanted} FROM read_parquet({_list(stream.files)}) WHERE {_METRIC} AND writer = ?",
        (stream.name, stream.type, stream.source, stream.writer),
    )
    columns = [_numbers(column) for column in table.columns]
    return columns if stream.is_disjoint else _once(*columns)


def _read_together(
    streams: list[Stream], files: Sequence[str], names: Collection[str] | None, query: Query
) -> list[Any]:
    """Return the columns of many streams, from one pass over the files."""
    import numpy

    where, values = _where(names)
    numbered = ", ".join(["(?, ?, ?, ?, ?)"] * len(streams))
    table = query(
        f'SELECT number, step, value, time, sequence, "index" FROM read_parquet({_list(files)}) AS points'
        f" JOIN (VALUES {numbered}) AS streams(number, n, s, w, t) ON points.name IS NOT DISTINCT FROM n"
        " AND points.source IS NOT DISTINCT FROM s AND points.writer = w AND points.type IS NOT DISTINCT FROM t"
        f" WHERE {where}",
        [*(value for at, one in enumerate(streams) for value in (at, *one[:4])), *values],
    )
    number, *columns = (_numbers(column) for column in table.columns)
    order = numpy.argsort(number, kind="stable")
    ends: Any = numpy.searchsorted(number[order], numpy.arange(len(streams) + 1)).tolist()
    return [_once(*(column[order[start:stop]] for column in columns)) for start, stop in pairwise(ends)]


def _once(steps: Any, values: Any, times: Any, sequences: Any, indexes: Any) -> list[Any]:
    """Return the columns in the order of recording, each record once."""
    import numpy

    order = numpy.lexsort((indexes, sequences))
    sequences, indexes = sequences[order], indexes[order]
    fresh: Any = numpy.ones(len(order), dtype=bool)
    fresh[1:] = (sequences[1:] != sequences[:-1]) | (indexes[1:] != indexes[:-1])
    return [column[order[fresh]] for column in (steps, values, times)]


def read_original_names(files: Sequence[str], query: Query = run_query) -> dict[str, str]:
    """Return the original of each name that UTF-8 cannot hold, by the name that files have in its place."""
    if not files:
        return {}
    table = query(f"SELECT key, value FROM parquet_kv_metadata({_list(files)})", ())
    found: dict[str, str] = {}
    for key, value in _rows(table):
        if key == b"tracelet.original_names":
            found |= json.loads(value)
    return found


def _numbers(column: Any) -> Any:
    """Return an Arrow column as a NumPy array. A step that is NULL is none."""
    if column.null_count:
        column = column.fill_null(NO_STEP if str(column.type) == "int64" else float("nan"))
    return column.to_numpy()


def _by_name(streams: Iterable[Stream], columns: Iterable[Any]) -> dict[str, Columns]:
    found: dict[str, Columns] = {}
    pieces: dict[str, list[Any]] = {}
    for stream, piece in zip(streams, columns, strict=True):
        known = found.setdefault(stream.name, Columns())
        start = known.parts[-1].stop if known.parts else 0
        known.parts.append(
            Part(
                stream.writer,
                stream.rank,
                stream.type or "scalar",
                stream.source,
                start,
                start + len(piece[0]),
            )
        )
        pieces.setdefault(stream.name, []).append(piece)
    for name, known in found.items():
        known.steps, known.values, known.times = (
            _join(several) for several in zip(*pieces[name], strict=True)
        )
    return found


def _join(columns: Sequence[Any]) -> Any:
    import numpy

    return columns[0] if len(columns) == 1 else numpy.concatenate(columns)


def _where(names: Collection[str] | None) -> tuple[str, list[Any]]:
    if names is None:
        return "true", []
    return f"name IN ({', '.join('?' * len(names))})", list(names)


def _list(files: Sequence[str]) -> str:
    """Return file names as a list in SQL. A name must not be read as a pattern, so its special signs are escaped."""
    return "[" + ", ".join("'" + _escape(file).replace("'", "''") + "'" for file in files) + "]"


def _escape(file: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in file)


class NewPoints(NamedTuple):
    """Points of one metric of one process, in the order of recording, and the place of the last of them."""

    name: str
    source: str | None
    writer: str
    type: str
    steps: Any
    values: Any
    times: Any
    last: int  # see place_number


def place_number(sequence: int, index: int = 0) -> int:
    """Return a number that orders the records of one process."""
    return (sequence << _PLACE_BITS) + index


class Count(NamedTuple):
    """How many points of a metric a process has recorded, and the place of the last one."""

    name: str
    source: str | None
    writer: str
    points: int
    last: int


def count_points(files: Sequence[str], *, once: bool, query: Query = run_query) -> list[Count]:
    """Return the number of points by metric and process. Without ``once``, no record may be in two files."""
    if not files:
        return []
    table = query(
        f"SELECT name, source, writer, count({'DISTINCT place' if once else '*'}), max(place)"
        f' FROM (SELECT *, sequence * {1 << _PLACE_BITS} + "index" AS place FROM read_parquet({_list(files)}))'
        " GROUP BY name, source, writer",
        (),
    )
    return [Count(*row) for row in _rows(table)]


_BEHIND: Final = """
    SELECT name, source, writer, any_value(type),
        list(coalesce(step, {no_step}) ORDER BY place), list(value ORDER BY place), list(time ORDER BY place),
        max(place)
    FROM (
        SELECT DISTINCT ON (writer, place) name, source, writer, type, step, value, time, place
        FROM (
            SELECT *, sequence * {unit} + "index" AS place
            FROM read_parquet({files}) LEFT JOIN (VALUES {places}) AS known(known_writer, reached)
                ON writer = known_writer
        )
        WHERE place > coalesce(reached, -1)
    )
    GROUP BY name, source, writer
"""


def read_behind(
    files: Sequence[str], reached: Mapping[str, int], query: Query = run_query
) -> list[NewPoints]:
    """Return the points that come after the last known place of each process, by metric."""
    if not files:
        return []
    places = ", ".join(["(?, ?::BIGINT)"] * (len(reached) or 1))
    values = [value for pair in (reached.items() or [("", -1)]) for value in pair]
    table = query(
        _BEHIND.format(files=_list(files), places=places, no_step=NO_STEP, unit=1 << _PLACE_BITS), values
    )
    found = []
    for name, source, writer, type_, steps, values_, times, last in _rows(table):
        found.append(NewPoints(name, source, writer, type_ or "scalar", array("q", steps), array("d", values_),
                               array("d", times), last))  # fmt: skip
    return sorted(found, key=lambda one: (one.name, one.writer, one.source or ""))
