"""Rows as Parquet. The same rows give the same bytes, as long as pyarrow stays the same."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from tracelet_builtin_plugins.backends.lake.sorted_points import SortedPoints, Texts
from tracelet_builtin_plugins.extras import import_extra
from tracelet_hookspecs.lake_layout import COLUMNS, DICTIONARY_COLUMNS, FORMAT, METRICS, SORTED_BY

__all__ = [
    "MINIMUM",
    "decode_places",
    "encode_columns",
    "encode_metrics",
    "encode_rows",
    "load_pyarrow",
    "names_metadata",
]

MINIMUM: Final = "14.0"
_ROWS_PER_GROUP: Final = 65_536
_PAGE: Final = 64 * 1024  # bytes: a reader of one metric reads few pages, thanks to the page index
_DELTA: Final = "DELTA_BINARY_PACKED"  # for integers that grow: about two bytes a value


@lru_cache(maxsize=1)
def load_pyarrow() -> Any:
    """Return pyarrow, with ``pyarrow.parquet`` imported. Raises an error if it is missing or too old."""
    pyarrow = import_extra("pyarrow", plugin="lake", distribution="pyarrow", minimum=MINIMUM)
    import_extra("pyarrow.parquet", plugin="lake", distribution="pyarrow", minimum=MINIMUM)
    return pyarrow


def encode_rows(kind: str, rows: Sequence[Mapping[str, Any]], about: Mapping[str, str]) -> bytes:
    """Return rows as a Parquet file of this kind; a column that a row lacks is NULL."""
    return encode_columns(kind, {name: [row.get(name) for row in rows] for name in COLUMNS[kind]}, about)


def encode_columns(kind: str, columns: Mapping[str, Sequence[Any]], about: Mapping[str, str]) -> bytes:
    """Return columns as a Parquet file of this kind. ``about`` goes into its metadata.

    Raises ``ValueError`` or ``TypeError`` for a value that its column cannot hold.
    """
    pyarrow = load_pyarrow()
    schema = _schema(pyarrow, kind, about)
    order = sorted_places(columns, SORTED_BY[kind])
    arrays = [
        pyarrow.array(list(map(columns[field.name].__getitem__, order)), field.type) for field in schema
    ]
    return _write(pyarrow, pyarrow.Table.from_arrays(arrays, schema=schema), kind)


def _schema(pyarrow: Any, kind: str, about: Mapping[str, str]) -> Any:
    fields = [
        pyarrow.field(name, pyarrow.float64() if kind_ == "float64" else getattr(pyarrow, kind_)())
        for name, kind_ in COLUMNS[kind].items()
    ]
    metadata = {"tracelet.format": str(FORMAT), "tracelet.kind": kind, **about}
    return pyarrow.schema(fields, metadata=metadata)


def encode_metrics(points: SortedPoints, rank: int | None, about: Mapping[str, str]) -> bytes:
    """Return points as a Parquet file, the same to the byte as :func:`encode_columns` makes of them."""
    pyarrow = load_pyarrow()
    count = len(points.values)
    int64, float64, int32 = pyarrow.int64(), pyarrow.float64(), pyarrow.int32()
    ranks = None if rank is None else memoryview(array("i", [rank]) * count)
    arrays = [
        _texts(pyarrow, points.texts(0)),
        _array(pyarrow, int64, points.steps, points.valid_steps()),
        _array(pyarrow, float64, points.values),
        _array(pyarrow, float64, points.times),
        _texts(pyarrow, points.texts(1)),
        _texts(pyarrow, points.texts(2)),
        pyarrow.nulls(count, int32) if ranks is None else _array(pyarrow, int32, ranks),
        _texts(pyarrow, Texts([points.writer], [count])),
        _array(pyarrow, int64, points.sequences),
        _array(pyarrow, int32, points.indexes.astype("int32")),
    ]
    schema = _schema(pyarrow, METRICS, about)
    return _write(pyarrow, pyarrow.Table.from_arrays(arrays, schema=schema), METRICS)


def _array(pyarrow: Any, type: Any, numbers: Any, valid: Any = None) -> Any:
    """Return numbers as an Arrow array, without copying. (``pyarrow.array`` would import pandas, if it is there.)"""
    buffers = [None if valid is None else pyarrow.py_buffer(valid), pyarrow.py_buffer(numbers)]
    return pyarrow.Array.from_buffers(type, len(numbers), buffers)


def _texts(pyarrow: Any, texts: Texts) -> Any:
    buffers = [
        None if texts.valid is None else pyarrow.py_buffer(texts.valid),
        *(pyarrow.py_buffer(texts.offsets), pyarrow.py_buffer(texts.data)),
    ]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(texts), buffers)


def sorted_places(columns: Mapping[str, Sequence[Any]], by: Sequence[str]) -> list[int]:
    """Return the places of rows, sorted by these columns; NULL comes last.

    Rows come in the order of recording, so that sorting in Python costs little. ``pyarrow.compute`` would take longer
    to import than it saves in a run.
    """
    keys = list(zip(*([(value is None, value or "") for value in columns[name]] if _has_null(columns[name])
                      else columns[name] for name in by), strict=True))  # fmt: skip
    return sorted(range(len(keys)), key=keys.__getitem__)


def _has_null(values: Sequence[Any]) -> bool:
    return any(value is None for value in values)


def _write(pyarrow: Any, table: Any, kind: str) -> bytes:
    parquet = pyarrow.parquet
    sink = pyarrow.BufferOutputStream()
    names = table.schema.names
    sorting = parquet.SortingColumn.from_ordering(
        table.schema, [(name, "ascending") for name in SORTED_BY[kind]]
    )
    parquet.write_table(
        table,
        sink,
        row_group_size=_ROWS_PER_GROUP,
        data_page_size=_PAGE,
        compression="zstd",
        use_dictionary=[name for name in DICTIONARY_COLUMNS if name in names],
        column_encoding={name: _DELTA for name in ("step", "sequence", "index", "size") if name in names},
        write_statistics=True,
        write_page_index=True,
        sorting_columns=sorting,
    )
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def decode_places(data: bytes) -> set[tuple[int, int]]:
    """Return sequence number and index of each row of a file."""
    pyarrow = load_pyarrow()
    table = pyarrow.parquet.read_table(
        pyarrow.BufferReader(data), columns=["sequence", "index"], use_threads=False
    )
    return set(zip(table.column("sequence").to_pylist(), table.column("index").to_pylist(), strict=True))


def names_metadata(originals: Mapping[str, str]) -> dict[str, str]:
    """Return metadata with the original of each name that had to change."""
    return {"tracelet.original_names": json.dumps(dict(originals))} if originals else {}
