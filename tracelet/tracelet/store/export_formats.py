"""Runs in formats for other programs: JSON, JSON lines, CSV, Parquet.

Text formats are for UTF-8 files. Floats are written with as many digits as it takes to read back the same float. In
JSON, NaN and the infinities are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, TextIO

from tracelet.errors import MissingExtraError
from tracelet.store.event_values import clean_text
from tracelet.store.point_columns import FLOATS, INTEGERS
from tracelet.store.record import RunRecord
from tracelet.store.series import Series
from tracelet_hookspecs.strict_json import float_to_json, to_json

CSV_COLUMNS: Final = ("metric", "iteration", "value", "timestamp", "rank")
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")
_QUOTED: Final = frozenset(',"\r\n')
_ROWS: Final = 1 << 16  # rows per Parquet row group at least, and lines per write

Names = str | Iterable[str] | None  # names and patterns of metrics; None for no points


def write_json(run: RunRecord, file: TextIO, names: Names = "*") -> None:
    """Write a run as one JSON object, as :meth:`RunRecord.to_dict` returns it."""
    json.dump(to_json(run.to_dict(names)), file, indent=2, allow_nan=False)
    file.write("\n")


def write_json_lines(run: RunRecord, file: TextIO, names: Names = "*") -> None:
    """Write a run as JSON lines: one ``{"run": ...}``, then one per point."""
    dump = json.JSONEncoder(allow_nan=False).encode
    about = run.to_dict(None)
    del about["metrics"]
    file.write(dump({"run": to_json(about)}) + "\n")
    for series in _select(run, names):
        for step, value, when, rank in _rows(series):
            point = {
                "metric": series.name,
                "iteration": step,
                "value": float_to_json(value),
                "timestamp": float_to_json(when),
            }
            file.write(dump(point if rank is None else {**point, "rank": rank}) + "\n")


def write_csv(run: RunRecord, file: TextIO, names: Names = "*") -> None:
    """Write the points of a run as CSV with a header, each line ended by a line feed.

    The name of a metric that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-`` or ``@``) gets
    an apostrophe in front.
    """
    file.write(",".join(CSV_COLUMNS) + "\n")
    for series in _select(run, names):
        name = _csv_text(series.name)
        lines: list[str] = []
        for step, value, when, rank in _rows(series):
            lines.append(f"{name},{step},{value!r},{when!r},{'' if rank is None else rank}\n")
            if len(lines) == _ROWS:
                file.writelines(lines)
                lines.clear()
        file.writelines(lines)


def write_parquet(run: RunRecord, file: str | Path | IO[bytes], names: Names = "*") -> None:
    """Write the points of a run as a Parquet file with the columns of CSV; NaN and infinities are kept.

    Raises :class:`MissingExtraError` if pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("export to Parquet", "parquet") from error
    schema = pyarrow.schema(
        [
            ("metric", pyarrow.dictionary(pyarrow.int32(), pyarrow.string())),
            ("iteration", pyarrow.int64()),
            ("value", pyarrow.float64()),
            ("timestamp", pyarrow.float64()),
            ("rank", pyarrow.int64()),
        ],
        metadata={"tracelet.run": run.id},
    )
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _row_groups(_select(run, names)):
            writer.write_table(pyarrow.table(_arrow_columns(pyarrow, group), schema=schema))


def _row_groups(several: Iterable[Series]) -> Iterator[list[Series]]:
    """Yield series together until they have enough rows for a row group."""
    group: list[Series] = []
    rows = 0
    for series in several:
        group.append(series)
        rows += len(series)
        if rows >= _ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _arrow_columns(pyarrow: Any, group: list[Series]) -> list[Any]:
    tables = [series.table() for series in group]
    columns = {
        name: pyarrow.concat_arrays([_arrow_array(pyarrow, table[name], code) for table in tables])
        for name, code in (("iteration", INTEGERS), ("value", FLOATS), ("timestamp", FLOATS))
    }
    ranks = [
        rank if rank >= 0 else None
        for series, table in zip(group, tables, strict=True)
        for rank in (table["rank"].tolist() if "rank" in table else [-1] * len(series))
    ]
    places = [place for place, series in enumerate(group) for _ in range(len(series))]
    names = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(places, pyarrow.int32()), [clean_text(series.name) for series in group]
    )
    return [names, *columns.values(), pyarrow.array(ranks, pyarrow.int64())]


def _arrow_array(pyarrow: Any, column: Any, code: str) -> Any:
    items = column.tolist() if not hasattr(column, "dtype") else column
    return pyarrow.array(items, pyarrow.int64() if code == INTEGERS else pyarrow.float64())


def _select(run: RunRecord, names: Names) -> Iterable[Series]:
    return run.series(names) if names is not None else ()


def _rows(series: Series) -> Iterator[tuple[int, float, float, int | None]]:
    table = series.table()
    ranks = table["rank"].tolist() if "rank" in table else [-1] * len(series)
    for step, value, when, rank in zip(
        series.iterations, series.values, series.timestamps, ranks, strict=True
    ):
        yield step, value, when, None if rank == -1 else rank


def _csv_text(text: str) -> str:
    """Return a text as a field of CSV that is read as the same text and never as a formula."""
    text = clean_text(text)
    if text.startswith(_FORMULA_SIGNS):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if not _QUOTED.isdisjoint(text) else text
