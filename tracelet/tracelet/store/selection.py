"""Selections of runs (which, in what order, how many) as SQL for the index."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from tracelet.errors import UsageError
from tracelet.store.event_values import clean_text
from tracelet.store.free_text import CONTAINS_SQL
from tracelet.store.goals import find_goal
from tracelet.store.metric_keys import recorded_names
from tracelet.store.where import (
    And,
    Comparison,
    Contains,
    Expression,
    Field,
    Has,
    Not,
    Or,
    fields_of,
    parse,
    parse_field,
)
from tracelet.store.where_tokens import Literal, split_keys

Moment = float | int | str | datetime

_TIMES: Final = ("started", "ended")
_TEXTS: Final = (
    *("id", "name", "project", "outcome", "error", "host"),
    *("group", "parent", "job_type", "notes"),
)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*([smhdw])")


class Selection(NamedTuple):
    """The end of a SELECT statement on ``runs``, and its values."""

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
    offset: int = 0,
    run_id: str | None = None,
    group: str | Collection[str] | None = None,
    parent: str | Collection[str] | None = None,
    archived: bool | None = False,
    goals: Mapping[str, str] | None = None,
) -> Selection:
    """Return the selection that meets all of these conditions. ``goals`` are the project's rules about metrics.

    Archived runs are left out by default, unless ``where`` mentions the field; ``None`` takes both.
    """
    wanted: list[Expression] = []
    for key, value in (
        ("project", project),
        ("name", name),
        ("outcome", outcome),
        ("id", run_id),
        ("group", group),
        ("parent", parent),
    ):
        if value is not None:
            wanted.append(_equals_any(Field(key), value))
    wanted += [_equals_any(Field("params", key), value) for key, value in (params or {}).items()]
    if isinstance(tags, Mapping):
        wanted += [_equals_any(Field("tags", key), value) for key, value in tags.items()]
    elif tags is not None:
        wanted += [Has(Field("tags", key)) for key in ([tags] if isinstance(tags, str) else tags)]
    if since is not None:
        wanted.append(Comparison(Field("started"), ">=", parse_time(since)))
    if until is not None:
        wanted.append(Comparison(Field("started"), "<", parse_time(until)))
    parsed = parse(where) if where is not None and where.strip() else None
    if parsed is not None:
        wanted.append(parsed)
    is_mentioned = parsed is not None and Field("archived") in fields_of(parsed)
    if archived is not None and not (archived is False and is_mentioned):
        wanted.append(Comparison(Field("archived"), "==", archived))
    writer = _SqlWriter(goals or {})
    condition = writer.expression(And(tuple(wanted))) if wanted else "1"
    order = writer.order([sort] if isinstance(sort, str) else sort)
    if limit is not None and limit < 0:
        raise UsageError(f"limit: expected a number of runs, found {limit}")
    if offset < 0:
        raise UsageError(f"offset: expected a number of runs, found {offset}")
    bound = "" if limit is None and not offset else f" LIMIT {-1 if limit is None else int(limit)}"
    bound += f" OFFSET {int(offset)}" if offset else ""
    return Selection(f"WHERE {condition} ORDER BY {order}{bound}", tuple(writer.values))


def parse_time(value: Moment) -> float:
    """Return a time in seconds since the epoch.

    Takes seconds, a ``datetime``, a text like ``2026-11-23`` or ``2026-11-23 06:58`` (local time unless it names a
    zone), or a time span before now: ``"-2h"``, ``"-7d"``.
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


def _equals_any(field: Field, value: Any) -> Expression:
    if isinstance(value, Collection) and not isinstance(value, str):
        return Comparison(field, "in", tuple(value))
    return Comparison(field, "==", value)


def _seconds(value: Literal) -> Literal:
    """Return a duration in seconds; a text like ``90m`` includes its unit."""
    span = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(span[1]) * _UNITS[span[2]] if span is not None else value


class _SqlWriter:
    """Writes expressions as SQL. A comparison with a field that the run lacks is false, never unknown."""

    def __init__(self, goals: Mapping[str, str]) -> None:
        self.values: list[Any] = []
        self._goals = goals

    def expression(self, one: Expression) -> str:
        if isinstance(one, And):
            return "(" + " AND ".join(map(self.expression, one.of)) + ")"
        if isinstance(one, Or):
            return "(" + " OR ".join(map(self.expression, one.of)) + ")"
        if isinstance(one, Not):
            return f"(NOT {self.expression(one.of)})"
        if isinstance(one, Has):
            return self._has(one.field)
        if isinstance(one, Contains):
            self.values += [clean_text(one.text).casefold()] * 2
            return CONTAINS_SQL
        return f"COALESCE({self._comparison(one)}, 0)"

    def _comparison(self, one: Comparison) -> str:
        left, operator, right = one.left, one.operator, one.right
        if isinstance(right, tuple):
            return self._in_list(left, right)
        if isinstance(left, Field) and right is None:
            return self._is_none(left, operator)
        if isinstance(right, Field) and left is None:
            return self._is_none(right, operator)
        if operator == "~":
            return f"{self._side(left, 'text')} GLOB {self._side(right, 'text')}"
        type_ = _value_type(left, right)
        left, right = _convert(left, right), _convert(right, left)
        return f"{self._side(left, type_)} {operator} {self._side(right, type_)}"

    def _in_list(self, side: Field | Literal, wanted: tuple[Literal, ...]) -> str:
        """Compare with several values: all texts at once, all numbers at once."""
        by_type: dict[str, list[Literal]] = {}
        for value in wanted:
            if value is not None:
                by_type.setdefault(_value_type(side, value), []).append(value)
        either = []
        for type_, several in by_type.items():
            column = self._side(side, type_)
            self.values += [_value(_in_unit_of(side, value), type_) for value in several]
            either.append(f"COALESCE({column} IN ({', '.join('?' * len(several))}), 0)")
        if None in wanted and isinstance(side, Field):
            either.append(self._is_none(side, "=="))
        return f"({' OR '.join(either)})" if either else "0"

    def _is_none(self, field: Field, operator: str) -> str:
        if operator not in ("==", "!="):
            raise UsageError(f"where: expected == or != for a comparison with none, found {operator!r}")
        is_there = self._has(field)
        return f"(NOT {is_there})" if operator == "==" else is_there

    def _has(self, field: Field) -> str:
        if field.kind in ("params", "tags"):
            return f"EXISTS ({self._lookup(field, '1')} AND text IS NOT NULL)"
        if field.kind == "metrics":
            return f"EXISTS ({self._lookup(field, '1')})"
        if field.kind == "archived":
            return "runs.archived"
        return f"({self._side(field, 'text')} IS NOT NULL)"

    def _side(self, side: Field | Literal, type_: str) -> str:
        if not isinstance(side, Field):
            self.values.append(_value(side, type_))
            return "?"
        if side.kind == "duration":
            self.values.append(time.time())
            return "(active + COALESCE(MAX(0.0, ? - running_since), 0.0))"
        if side.kind in ("params", "tags"):
            return self._first(side, type_)
        if side.kind == "metrics" and side.statistic == "best":
            return self._best(side)
        if side.kind == "metrics":
            return self._first(side, side.statistic)
        return f'runs."{side.kind}"'

    def _best(self, field: Field) -> str:
        """Return a metric's best value: the run's own rule decides, then the project's, then the name."""
        keys = [clean_text(name) for name in recorded_names(field.key)]
        names = [form for key in keys for form in (key, key.replace(".", "/"))]
        same = f"pattern IN ({', '.join('?' * len(names))})"
        fits = " OR ".join(["? GLOB pattern"] * len(names))
        rule = (
            f"SELECT goal FROM goals WHERE goals.run = runs.number AND ({same} OR {fits})"
            f" ORDER BY {same} DESC, place DESC LIMIT 1"
        )
        self.values += [*names, *names, *names, find_goal(field.key, self._goals)]
        value = (
            f"CASE COALESCE(({rule}), ?) WHEN 'min' THEN min WHEN 'max' THEN max WHEN 'last' THEN last END"
        )
        return self._first(field, value)

    def _first(self, field: Field, column: str) -> str:
        """Return a value of the likeliest of the names that a field may mean."""
        found = self._lookup(field, column)
        if len(field.keys) == 1:
            return f"({found} LIMIT 1)"
        self.values.append(clean_text(field.key))
        return f"({found} ORDER BY {_key_column(field)} = ? DESC LIMIT 1)"

    def _lookup(self, field: Field, column: str) -> str:
        self.values += map(clean_text, field.keys)
        wanted = f"{_key_column(field)} IN ({', '.join('?' * len(field.keys))})"
        return f"SELECT {column} FROM {field.kind} WHERE {field.kind}.run = runs.number AND {wanted}"

    def order(self, several: Iterable[str]) -> str:
        keys = [key for one in several for key in split_keys(one)]
        return ", ".join([*(self._order(key) for key in keys), "started DESC", "id DESC"])

    def _order(self, key: str) -> str:
        """Order by a field; runs without it come last in either direction."""
        descending = key.startswith("-")
        field = parse_field(key.lstrip("+-"))
        types = ("number", "text") if field.kind in ("params", "tags") else ("text",)
        direction = " DESC" if descending else ""
        sides: list[str] = []
        for type_ in types:
            sides += [f"({self._side(field, type_)} IS NULL)", self._side(field, type_) + direction]
        return ", ".join(sides)


def _key_column(field: Field) -> str:
    return f"{field.kind}.{'name' if field.kind == 'metrics' else 'key'}"


def _value_type(left: Field | Literal, right: Field | Literal) -> str:
    """Return whether two sides are compared as numbers or as text."""
    for side in (left, right):
        if isinstance(side, Field):
            if side.kind in _TEXTS:
                return "text"
            if side.kind not in ("params", "tags"):
                return "number"
    literal = next((side for side in (left, right) if not isinstance(side, Field)), 0.0)
    return "text" if isinstance(literal, str | bool) else "number"


def _convert(side: Field | Literal, other: Field | Literal) -> Field | Literal:
    return side if isinstance(side, Field) else _in_unit_of(other, side)


def _in_unit_of(other: Field | Literal, value: Literal) -> Literal:
    """Return a literal in the unit of the field that it is compared with."""
    if not isinstance(other, Field) or value is None or isinstance(value, bool):
        return value
    if other.kind in _TIMES or other.statistic in ("first_time", "last_time"):
        return parse_time(value)
    return _seconds(value) if other.kind == "duration" else value


def _value(literal: Literal, type_: str) -> Any:
    if isinstance(literal, bool):
        return ("true" if literal else "false") if type_ == "text" else int(literal)
    if type_ == "text":
        return None if literal is None else clean_text(str(literal))
    if isinstance(literal, int) and not -(1 << 63) <= literal < 1 << 63:
        return float(literal)
    return literal
