"""Columns of numbers: NumPy arrays if NumPy is installed, arrays of the standard library if not."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from tracelet.errors import MissingExtraError

INTEGERS, FLOATS = "q", "d"


def load_numpy() -> Any:
    """Return the NumPy module, or ``None`` if it is not installed."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def require_numpy(feature: str) -> Any:
    """Return the NumPy module. Raises :class:`MissingExtraError` if it is not installed."""
    module = load_numpy()
    if module is None:
        raise MissingExtraError(feature, "numpy")
    return module


def is_installed(module: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


class Points(NamedTuple):
    """The points of one metric: columns of equal length."""

    steps: Any
    values: Any
    times: Any

    def take(self, places: Any) -> Points:
        """Return the points at the given places: a slice, or a sequence of positions."""
        return Points(*(pick(column, places) for column in self))


EMPTY = Points(array(INTEGERS), array(FLOATS), array(FLOATS))


def pick(column: Any, places: Any) -> Any:
    """Return the items of a column at the given places: a slice, or a sequence of positions."""
    if isinstance(places, slice):
        return column[places]
    module = load_numpy()
    if module is not None:
        return module.asarray(column)[places]
    return array(column.typecode, [column[place] for place in places])


def concatenate(columns: Sequence[Any]) -> Any:
    """Return several columns as one."""
    if len(columns) == 1:
        return columns[0]
    module = load_numpy()
    if module is not None:
        return module.concatenate(columns)
    whole = array(columns[0].typecode)
    for column in columns:
        whole.extend(column)
    return whole


def order_by(*keys: Any) -> Any:
    """Return the places of items, sorted by the first column, then the next ones. The sort is stable."""
    module = load_numpy()
    if module is not None:
        return module.lexsort(tuple(module.asarray(key) for key in reversed(keys)))
    return sorted(range(len(keys[0])), key=lambda place: tuple(key[place] for key in keys))


def look_up(table: Sequence[int], places: Any) -> Any:
    """Return a column with the table's entries at the given places."""
    module = load_numpy()
    if module is not None:
        return module.asarray(table, dtype="int64")[module.asarray(places)]
    return array(INTEGERS, [table[place] for place in places])


def find_value(values: Any, value: float) -> int:
    """Return the first place of a value. Raises ValueError if it is not there."""
    if hasattr(values, "index"):
        return int(values.index(value))
    places = (values == value).nonzero()[0]
    if not len(places):
        raise ValueError(f"no value {value!r}")
    return int(places[0])


def find_between(column: Any, first: int | None = None, last: int | None = None) -> Any:
    """Return the places of the items from ``first`` to ``last``, both included."""
    low = -(1 << 63) if first is None else first
    high = (1 << 63) - 1 if last is None else last
    module = load_numpy()
    if module is not None:
        items = module.asarray(column)
        return module.flatnonzero((items >= low) & (items <= high))
    return [place for place, item in enumerate(column) if low <= item <= high]


def plain_list(column: Any) -> list[Any]:
    """Return a column as a list of Python numbers."""
    return list(column.tolist())


def max_of(column: Any) -> Any:
    """Return the greatest item of a column."""
    return max(column) if isinstance(column, (array, list)) else column.max()


def as_read_only_array(column: Any) -> Any:
    """Return a column as a read-only NumPy array (no copy)."""
    items = require_numpy("arrays()").asarray(column).view()
    items.flags.writeable = False
    return items
