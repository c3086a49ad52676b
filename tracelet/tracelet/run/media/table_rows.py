"""Tables: rows and columns of any library, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tracelet.errors import RecordingError
from tracelet.run.json_values import QUICK, json_value, strict_json
from tracelet.run.media.arrays import as_array, is_array, numpy


class _Table(NamedTuple):
    columns: list[Any]
    rows: list[list[Any]]


def table_json(rows: Any, columns: Sequence[Any] | None) -> bytes:
    """Return a table as JSON: ``{"columns": [...], "rows": [[...], ...]}``.

    ``rows`` is a sequence of rows, a sequence of mappings, a mapping of columns, an array, or a DataFrame of pandas,
    Polars or PyArrow.

    Raises:
        RecordingError: rows and columns do not fit each other.
    """
    table = _from_library(rows)
    if table is not None:
        table = table if columns is None else _select(table, columns)
    elif isinstance(rows, Mapping):
        table = _from_columns(rows, columns)
    else:
        table = _from_rows(rows, columns)
    names = [_label(column) for column in table.columns]
    cells = [[cell if type(cell) in QUICK else json_value(cell) for cell in row] for row in table.rows]
    return strict_json({"columns": names, "rows": cells})


def check_columns(columns: Any) -> list[Any] | None:
    """Return the columns as a list.

    Raises:
        RecordingError: they are a text or not a sequence.
    """
    if columns is None:
        return None
    if isinstance(columns, (str, bytes)) or not isinstance(columns, Iterable):
        raise RecordingError(f"log_table: columns: expected a list of names, found {columns!r}")
    return list(columns)


def _label(column: Any) -> str:
    if isinstance(column, tuple):  # one of several levels
        return "/".join(str(json_value(part)) for part in column)
    return str(json_value(column))


def _unfit(text: str) -> RecordingError:
    return RecordingError(f"log_table: {text}", reason="table: rows do not fit")


# --- libraries ---------------------------------------------------------------------------------------------------


def _from_library(rows: Any) -> _Table | None:
    """Return a DataFrame, series, table or array, else None."""
    if isinstance(rows, type):
        return None
    if hasattr(rows, "iloc") and hasattr(rows, "index"):
        return _from_pandas(rows)
    if callable(getattr(rows, "collect_schema", None)) and callable(getattr(rows, "collect", None)):
        rows = rows.collect()  # a LazyFrame of Polars
    if callable(getattr(rows, "iter_rows", None)) and hasattr(rows, "columns"):
        return _Table(list(rows.columns), [list(row) for row in rows.iter_rows()])
    if hasattr(rows, "column_names") and callable(
        getattr(rows, "to_pydict", None)
    ):  # PyArrow; keeps equal names
        return _Table(list(rows.column_names), _transpose([column.to_pylist() for column in rows.columns]))
    if callable(getattr(rows, "tocoo", None)):
        rows = rows.toarray()  # a sparse matrix
    if is_array(rows) and numpy() is not None:
        return _from_array(as_array(rows), getattr(rows, "name", None))
    return None


def _from_pandas(frame: Any) -> _Table:
    """Return a frame column by column, so that each keeps its type; labels come first unless they only count."""
    if not hasattr(frame, "columns"):
        frame = frame.to_frame()
    index = frame.index
    names, columns = [], []
    if type(index).__name__ != "RangeIndex" or index.name is not None:
        levels = [index.get_level_values(level) for level in range(index.nlevels)]
        names = [
            level.name if level.name is not None else f"index{at or ''}" for at, level in enumerate(levels)
        ]
        columns = [list(level) for level in levels]
    names += list(frame.columns)
    columns += [_pandas_column(frame.iloc[:, at]) for at in range(frame.shape[1])]
    return _Table(names, _transpose(columns) if columns else [[] for _ in range(len(frame))])


def _pandas_column(column: Any) -> list[Any]:
    """Return a column's cells. NaN is a number in a column of floats; anywhere else it says that the cell is empty."""
    cells: list[Any] = column.tolist()
    if getattr(column.dtype, "kind", "O") == "f":
        return cells
    return [None if isinstance(cell, float) and cell != cell else cell for cell in cells]


def _from_array(array: Any, name: Any) -> _Table:
    if array.dtype.names:
        names = list(array.dtype.names)
        return _Table(names, _transpose([_list(array[name].ravel()) for name in names]))
    if array.ndim == 1:
        return _Table([0 if name is None else name], [[cell] for cell in _list(array)])
    if array.ndim != 2:
        raise _unfit(f"expected an array of two dimensions, found shape {array.shape}")
    return _Table(list(range(array.shape[1])), [_list(row) for row in array])


def _list(array: Any) -> list[Any]:
    """Return an array's elements; dates stay dates."""
    return list(array) if array.dtype.kind in "mMgc" or array.dtype.itemsize > 8 else list(array.tolist())


def _transpose(columns: list[list[Any]]) -> list[list[Any]]:
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise _unfit(f"expected columns of one length, found {sorted(lengths)}")
    return [list(row) for row in zip(*columns, strict=True)]


# --- plain Python ------------------------------------------------------------------------------------------------


def _from_columns(table: Mapping[Any, Any], columns: Sequence[Any] | None) -> _Table:
    names = list(table if columns is None else columns)
    unknown = {_label(name) for name in names} - {_label(name) for name in table}
    if unknown:
        raise _unfit(f"expected some of the columns {list(table)[:20]}, found {sorted(unknown)[:5]}")
    values = [_get(table, name) for name in names]
    if not any(_is_column(value) for value in values):
        return _Table(names, [values] if names else [])  # one row
    if not all(_is_column(value) for value in values):
        odd = [name for name, value in zip(names, values, strict=True) if not _is_column(value)]
        raise _unfit(f"expected a column of values for each name, found a single value for {odd[:5]}")
    return _Table(
        names, _transpose([_list(as_array(v)) if is_array(v) and numpy() else list(v) for v in values])
    )


def _is_column(value: Any) -> bool:
    return (
        isinstance(value, Iterable)
        and not isinstance(value, (str, bytes, Mapping))
        and getattr(value, "shape", 1) != ()
    )


def _get(row: Mapping[Any, Any], name: Any) -> Any:
    """Return the value of a column that may be named by a number here and by its text there."""
    if name in row:
        return row[name]
    return next((value for key, value in row.items() if _label(key) == _label(name)), None)


def _from_rows(rows: Any, columns: Sequence[Any] | None) -> _Table:
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        raise _unfit(f"expected rows, mappings, columns or a DataFrame, found {type(rows).__name__}")
    items = [_as_row(row) for row in rows]
    if items and all(isinstance(row, Mapping) for row in items):
        names = (
            list(columns) if columns is not None else list(dict.fromkeys(key for row in items for key in row))
        )
        return _Table(names, [[_get(row, name) for name in names] for row in items])
    lists = [list(row.values()) if isinstance(row, Mapping) else row for row in items]
    width = len(lists[0]) if lists else len(columns or ())
    names = list(columns if columns is not None else range(width))
    for number, row in enumerate(lists):
        if len(row) != len(names):
            raise _unfit(f"row {number}: expected {len(names)} values, found {len(row)}")
    return _Table(names, lists)


def _as_row(row: Any) -> Any:
    """Return a row as a mapping or a list; a single value is a row of one."""
    if isinstance(row, Mapping):
        return row
    from tracelet.run.parameters import fields_of

    fields = fields_of(row)
    if fields is not None:
        return fields
    if is_array(row) and numpy() is not None and getattr(row, "shape", None):
        return _list(as_array(row))
    if isinstance(row, Iterable) and not isinstance(row, (str, bytes)) and getattr(row, "shape", None) != ():
        return list(row)
    return [row]


def _select(table: _Table, columns: Sequence[Any]) -> _Table:
    """Return the chosen columns of a table; if none is known, the columns are new names for all."""
    places = {_label(column): at for at, column in enumerate(table.columns)}
    chosen = [places.get(_label(column)) for column in columns]
    if all(at is not None for at in chosen):
        return _Table(list(columns), [[row[at] for at in chosen if at is not None] for row in table.rows])
    if len(columns) == len(table.columns):
        return _Table(list(columns), table.rows)
    missing = [column for column, at in zip(columns, chosen, strict=True) if at is None]
    raise _unfit(f"expected some of the columns {list(places)[:20]}, found {missing[:5]}")
