"""Which runs, in what order, how many: as SQL for the index."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from tracelet.errors import UsageError
from tracelet.store.tokens import Literal
from tracelet.store.where import (
    Comparison,
    Every,
    Expression,
    Field,
    Has,
    Not,
    Some,
    parse,
    parse_field,
)

Moment = float | int | str | datetime

_TIMES: Final = ("started", "ended")
_TEXTS: Final = ("id", "name", "project", "outcome", "error", "host")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*([smhdw])")


class Selection(NamedTuple):
    """The end of a SELECT from ``runs``, and its values."""

    sql: str
    values: tuple[Any, ...]


def select(
    *,
    project: str | Collection[str] | None = None,
    name: str | Collection[str] | None = None,
    outcome: str | Collection[str] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | Iterable[str] | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    where: str | None = None,
    sort: str | Sequence[str] = "-started",
    limit: int | None = None,
) -> Selection:
    """Return the selection that all of this together means."""
    wanted: list[Expression] = []
    for key, value in (("project", project), ("name", name), ("outcome", outcome)):
        if value is not None:
            wanted.append(_any_of(Field(key), value))
    wanted += [_any_of(Field("params", key), value) for key, value in (params or {}).items()]
    if isinstance(tags, Mapping):
        wanted += [_any_of(Field("tags", key), value) for key, value in tags.items()]
    elif tags is not None:
        wanted += [Has(Field("tags", key)) for key in ([tags] if isinstance(tags, str) else tags)]
    if since is not None:
        wanted.append(Comparison(Field("started"), ">=", moment(since)))
    if until is not None:
        wanted.append(Comparison(Field("started"), "<", moment(until)))
    if where is not None and where.strip():
        wanted.append(parse(where))
    writer = _Writer()
    condition = writer.expression(Every(tuple(wanted))) if wanted else "1"
    order = writer.order([sort] if isinstance(sort, str) else sort)
    if limit is not None and limit < 0:
        raise UsageError(f"limit: expected a number of runs, found {limit}")
    bound = "" if limit is None else f" LIMIT {int(limit)}"
    return Selection(f"WHERE {condition} ORDER BY {order}{bound}", tuple(writer.values))


def moment(value: Moment) -> float:
    """Return a time in seconds since the epoch.

    Takes seconds, a ``datetime``, a text like ``2026-11-23`` or ``2026-11-23 06:58`` (local time unless it names a
    zone), and a span back from now: ``"-2h"``, ``"-7d"``.
    """
    if isinstance(value, datetime):
        return value.timestamp()
    if not isinstance(value, str):
        return float(value)
    span = _SPAN.fullmatch(value.strip())
    if span is not None:
        return time.time() - abs(float(span[1])) * _UNITS[span[2]]
    try:
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value.strip())).timestamp()
    except ValueError:
        raise UsageError(
            f"time: expected a date like 2026-11-23 or 2026-11-23T06:58, or a span like -2h, found {value!r}"
        ) from None


def _any_of(field: Field, value: Any) -> Expression:
    if isinstance(value, Collection) and not isinstance(value, str):
        return Comparison(field, "in", tuple(value))
    return Comparison(field, "==", value)


def _seconds(value: Literal) -> Literal:
    """Return a duration in seconds; a text like ``90m`` has its unit with it."""
    span = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(span[1]) * _UNITS[span[2]] if span is not None else value


class _Writer:
    """Writes expressions as SQL. What a run does not have makes a comparison false, never unknown."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def expression(self, one: Expression) -> str:
        if isinstance(one, Every):
            return "(" + " AND ".join(map(self.expression, one.of)) + ")"
        if isinstance(one, Some):
            return "(" + " OR ".join(map(self.expression, one.of)) + ")"
        if isinstance(one, Not):
            return f"(NOT {self.expression(one.of)})"
        if isinstance(one, Has):
            return self._has(one.field)
        return f"COALESCE({self._comparison(one)}, 0)"

    def _comparison(self, one: Comparison) -> str:
        left, operator, right = one.left, one.operator, one.right
        if isinstance(right, tuple):
            return self._any_of(left, right)
        if isinstance(left, Field) and right is None:
            return self._nothing(left, operator)
        if isinstance(right, Field) and left is None:
            return self._nothing(right, operator)
        if operator == "~":
            return f"{self._side(left, 'text')} GLOB {self._side(right, 'text')}"
        sort = _sort(left, right)
        left, right = _converted(left, right), _converted(right, left)
        return f"{self._side(left, sort)} {operator} {self._side(right, sort)}"

    def _any_of(self, side: Field | Literal, wanted: tuple[Literal, ...]) -> str:
        """Compare with several values: texts and numbers each in one go."""
        by_sort: dict[str, list[Literal]] = {}
        for value in wanted:
            if value is not None:
                by_sort.setdefault(_sort(side, value), []).append(value)
        either = []
        for sort, several in by_sort.items():
            column = self._side(side, sort)
            self.values += [_value(_in_unit_of(side, value), sort) for value in several]
            either.append(f"COALESCE({column} IN ({', '.join('?' * len(several))}), 0)")
        if None in wanted and isinstance(side, Field):
            either.append(self._nothing(side, "=="))
        return f"({' OR '.join(either)})" if either else "0"

    def _nothing(self, field: Field, operator: str) -> str:
        if operator not in ("==", "!="):
            raise UsageError(f"where: none can be compared by == and != only, found {operator!r}")
        is_there = self._has(field)
        return f"(NOT {is_there})" if operator == "==" else is_there

    def _has(self, field: Field) -> str:
        if field.kind in ("params", "tags"):
            return f"EXISTS ({self._lookup(field, '1')} AND text IS NOT NULL)"
        if field.kind == "metrics":
            return f"EXISTS ({self._lookup(field, '1')})"
        return f"({self._side(field, 'text')} IS NOT NULL)"

    def _side(self, side: Field | Literal, sort: str) -> str:
        if not isinstance(side, Field):
            self.values.append(_value(side, sort))
            return "?"
        if side.kind == "duration":
            self.values.append(time.time())
            return "(CASE outcome WHEN 'running' THEN ? ELSE ended END - started)"
        if side.kind in ("params", "tags"):
            return f"({self._lookup(side, sort)} LIMIT 1)"
        if side.kind == "metrics":
            return f"({self._lookup(side, side.statistic)} LIMIT 1)"
        return f"runs.{side.kind}"

    def _lookup(self, field: Field, column: str) -> str:
        key = "name" if field.kind == "metrics" else "key"
        self.values += [field.key, field.key.replace(".", "/")]
        table = field.kind
        return f"SELECT {column} FROM {table} WHERE {table}.run = runs.number AND {table}.{key} IN (?, ?)"

    def order(self, several: Iterable[str]) -> str:
        keys = [key.strip() for one in several for key in one.split(",") if key.strip()]
        return ", ".join([*(self._order(key) for key in keys), "started DESC", "id DESC"])

    def _order(self, key: str) -> str:
        """Order by a field; runs without it come last, whichever the direction."""
        descending = key.startswith("-")
        field = parse_field(key.lstrip("+-"))
        sorts = ("number", "text") if field.kind in ("params", "tags") else ("text",)
        direction = " DESC" if descending else ""
        sides: list[str] = []
        for sort in sorts:
            sides += [f"({self._side(field, sort)} IS NULL)", self._side(field, sort) + direction]
        return ", ".join(sides)


def _sort(left: Field | Literal, right: Field | Literal) -> str:
    """Say whether two sides are compared as numbers or as text."""
    for side in (left, right):
        if isinstance(side, Field):
            if side.kind in _TEXTS:
                return "text"
            if side.kind not in ("params", "tags"):
                return "number"
    literal = next((side for side in (left, right) if not isinstance(side, Field)), 0.0)
    return "text" if isinstance(literal, str | bool) else "number"


def _converted(side: Field | Literal, other: Field | Literal) -> Field | Literal:
    return side if isinstance(side, Field) else _in_unit_of(other, side)


def _in_unit_of(other: Field | Literal, value: Literal) -> Literal:
    """Return a literal in the unit of what it is compared with."""
    if not isinstance(other, Field) or value is None or isinstance(value, bool):
        return value
    if other.kind in _TIMES or other.statistic in ("first_time", "last_time"):
        return moment(value)
    return _seconds(value) if other.kind == "duration" else value


def _value(literal: Literal, sort: str) -> Any:
    if isinstance(literal, bool):
        return ("true" if literal else "false") if sort == "text" else int(literal)
    if sort == "text":
        return None if literal is None else str(literal)
    if isinstance(literal, int) and not -(1 << 63) <= literal < 1 << 63:
        return float(literal)
    return literal
