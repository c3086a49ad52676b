"""Tables as DataFrames of pandas and polars, and as Arrow tables."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping
from typing import Any, Final

from tracelet.errors import MissingExtraError, UsageError
from tracelet.store.event_values import clean_text
from tracelet.store.point_columns import is_installed, load_numpy

Table = Mapping[str, Any]  # columns by name: NumPy arrays, array.array or lists


def make_frame(table: Table, library: str | None = None) -> Any:
    """Return a table as a DataFrame of pandas or polars, or as an Arrow table.

    ``library`` defaults to the first of pandas and polars that is installed. Raises :class:`MissingExtraError` (an
    ``ImportError``) that names the package to install.
    """
    if library is None:
        library = next((each for each in ("pandas", "polars") if is_installed(each)), "pandas")
    if library not in _MAKERS:
        raise UsageError(f"dataframe: expected one of {', '.join(_MAKERS)}, found {library!r}")
    columns = {clean_text(name): _clean_column(column) for name, column in table.items()}
    try:
        return _MAKERS[library](columns)
    except ImportError as error:
        if is_installed(_MODULES[library]):
            raise
        raise MissingExtraError("dataframe()", _EXTRAS[library]) from error


def _pandas(table: Table) -> Any:
    import pandas

    return pandas.DataFrame({name: _buffer(column) for name, column in table.items()}, columns=list(table))


def _polars(table: Table) -> Any:
    import polars

    return polars.DataFrame({name: _buffer(column) for name, column in table.items()}, strict=False)


def _arrow(table: Table) -> Any:
    import pyarrow

    return pyarrow.table({name: _buffer(column) for name, column in table.items()})


def _clean_column(column: Any) -> Any:
    """Return a column whose texts the libraries can encode."""
    if not isinstance(column, list):
        return column
    return [clean_text(item) if isinstance(item, str) else item for item in column]


def _buffer(column: Any) -> Any:
    """Return a column in a form that each library converts quickly."""
    if isinstance(column, array):
        module = load_numpy()
        return column.tolist() if module is None else module.asarray(column)
    return _of_one_type(column) if isinstance(column, list) else column


def _of_one_type(column: list[Any]) -> list[Any]:
    """Return a column that Arrow can hold: only numbers, only booleans or only texts."""
    types = {type(item) for item in column if item is not None}
    if len(types) < 2 and not types & {list, dict}:
        return column
    if types <= {int, float}:
        return [None if item is None else float(item) for item in column]
    return [
        item if item is None or isinstance(item, str) else json.dumps(item, default=str) for item in column
    ]


_MAKERS: Final[dict[str, Callable[[Table], Any]]] = {"pandas": _pandas, "polars": _polars, "arrow": _arrow}
_MODULES: Final = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
_EXTRAS: Final = {"pandas": "pandas", "polars": "polars", "arrow": "polars"}
