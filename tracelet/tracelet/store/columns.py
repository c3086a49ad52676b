"""Columns of numbers: NumPy arrays where NumPy is there, arrays of the standard library where it is not."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from tracelet.errors import TraceletError

INTEGERS, FLOATS = "q", "d"


class MissingExtraError(TraceletError, ImportError):
    """Something was asked for that needs a package which is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs {extra}, which is not installed; run: pip install 'tracelet[{extra}]'"
        )
        self.extra = extra


def numpy() -> Any:
    """Return the module NumPy, or ``None`` where it is not installed."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def need_numpy(what: str) -> Any:
    """Return the module NumPy, or raise what says how to get it."""
    module = numpy()
    if module is None:
        raise MissingExtraError(what, "numpy")
    return module


def is_installed(module: str) -> bool:
    """Say whether a package could be imported, without doing so."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


class Points(NamedTuple):
    """Points of one metric: columns of equal length."""

    steps: Any
    values: Any
    times: Any

    def take(self, where: Any) -> Points:
        """Return the points at some places: a slice, or a sequence of positions."""
        return Points(*(pick(column, where) for column in self))


EMPTY = Points(array(INTEGERS), array(FLOATS), array(FLOATS))


def pick(column: Any, where: Any) -> Any:
    """Return a column's items at some places: a slice, or a sequence of positions."""
    if isinstance(where, slice):
        return column[where]
    module = numpy()
    if module is not None:
        return module.asarray(column)[where]
    return array(column.typecode, [column[place] for place in where])


def joined(columns: Sequence[Any]) -> Any:
    """Return columns one after the other as one."""
    if len(columns) == 1:
        return columns[0]
    module = numpy()
    if module is not None:
        return module.concatenate(columns)
    whole = array(columns[0].typecode)
    for column in columns:
        whole.extend(column)
    return whole


def order_by(first: Any, second: Any) -> Any:
    """Return the places of items, sorted by a column, then another; equal ones stay in their order."""
    module = numpy()
    if module is not None:
        return module.lexsort((module.asarray(second), module.asarray(first)))
    return sorted(range(len(first)), key=lambda place: (first[place], second[place]))


def looked_up(table: Sequence[int], places: Any) -> Any:
    """Return a column of what a table has at some places."""
    module = numpy()
    if module is not None:
        return module.asarray(table, dtype="int64")[module.asarray(places)]
    return array(INTEGERS, [table[place] for place in places])


def places_between(column: Any, first: int | None, last: int | None) -> Any:
    """Return where a column is neither below ``first`` nor above ``last``."""
    low = -(1 << 63) if first is None else first
    high = (1 << 63) - 1 if last is None else last
    module = numpy()
    if module is not None:
        items = module.asarray(column)
        return module.flatnonzero((items >= low) & (items <= high))
    return [place for place, item in enumerate(column) if low <= item <= high]


def plain_list(column: Any) -> list[Any]:
    """Return a column as a list of Python's own numbers."""
    return list(column.tolist())


def as_array(column: Any) -> Any:
    """Return a column as a NumPy array that cannot be written to (no copy)."""
    items = need_numpy("arrays()").asarray(column).view()
    items.flags.writeable = False
    return items
