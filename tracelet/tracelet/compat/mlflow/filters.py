"""MLflow's filters: conditions on metrics, parameters, tags and attributes, joined by ``and``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tracelet.compat.mlflow.entities import Run
from tracelet.compat.mlflow.exceptions import MlflowException

_TOKEN: Final = re.compile(
    r"""\s*(?P<key>(?:[A-Za-z_]\w*\.)?(?:`[^`]+`|"[^"]+"|[A-Za-z_][\w.\-/]*))"""
    r"""\s*(?:(?P<null>\bIS\s+(?:NOT\s+)?NULL\b)|(?P<op>!=|>=|<=|=|<|>|\bNOT\s+IN\b|\bIN\b|\bILIKE\b|\bLIKE\b)"""
    r"""\s*(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\([^)]*\)|[-+\w.]+)?)\s*""",
    re.IGNORECASE,
)
_AND: Final = re.compile(r"AND\b\s*", re.IGNORECASE)
_KINDS: Final = {
    **dict.fromkeys(("metric", "metrics"), "metrics"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "params"),
    **dict.fromkeys(("tag", "tags"), "tags"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attributes"),
}
_ATTRIBUTES: Final = {
    "created": "start_time",
    "Created": "start_time",
    "run name": "run_name",
    "Run name": "run_name",
}
_EXAMPLE: Final = "metrics.acc > 0.9 and params.model = 'CNN'"


class Condition(NamedTuple):
    """One condition."""

    kind: str
    name: str
    op: str
    value: Any


def parse_filter(text: str) -> list[Condition]:
    """Return the conditions of a filter, all of which must hold.

    Raises:
        MlflowException: it is not a filter.
    """
    conditions: list[Condition] = []
    at = 0
    text = (text or "").strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _invalid(text, at)
        conditions.append(_condition(match, text))
        at = match.end()
        if at < len(text):
            joined = _AND.match(text, at)
            if joined is None:
                raise _invalid(text, at)
            at = joined.end()
    return conditions


def _invalid(text: str, at: int) -> MlflowException:
    return MlflowException.invalid_parameter_value(
        f"Invalid clause(s) in filter string: expected conditions joined by 'and', such as {_EXAMPLE}, found"
        f" {text[at : at + 40]!r}"
    )


def _condition(match: re.Match[str], text: str) -> Condition:
    kind, name = split_key(match["key"])
    op = " ".join((match["null"] or match["op"]).upper().split())
    if op.startswith("IS"):
        return Condition(kind, name, op, None)
    if match["value"] is None:
        raise _invalid(text, match.start())
    return Condition(kind, name, op, _literal(match["value"], kind, name, text))


def split_key(key: str) -> tuple[str, str]:
    """Return the kind of thing that a key names, and the name.

    Raises:
        MlflowException: there is no such kind.
    """
    head, dot, rest = key.partition(".")
    kind = _KINDS.get(head.lower()) if dot else None
    if dot and kind is None and not key.startswith(("`", '"')):
        known = ", ".join(sorted({*_KINDS.values()}))
        raise MlflowException.invalid_parameter_value(
            f"Invalid entity type '{head}'. Valid entity types are {known}"
        )
    name = (rest if kind else key).strip('`"')
    kind = kind or "attributes"
    return kind, _ATTRIBUTES.get(name, name) if kind == "attributes" else name


def _literal(text: str, kind: str, name: str, whole: str) -> Any:
    if text.startswith("("):
        return [
            _literal(each.strip(), "params", name, whole) for each in text[1:-1].split(",") if each.strip()
        ]
    if text[0] in "'\"":
        return text[1:-1]
    is_number = kind == "metrics" or (kind == "attributes" and name in ("start_time", "end_time"))
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not is_number or math.isnan(number):
        wanted = "a number" if is_number else "a text in quotes"
        raise MlflowException.invalid_parameter_value(
            f"filter: {name}: expected {wanted}, found {text} in {whole!r}"
        )
    return number


def _like(value: Any, pattern: str, *, fold: bool) -> bool:
    text, wanted = str(value), re.escape(pattern).replace("%", ".*").replace("_", ".")
    return re.fullmatch(wanted, text, re.DOTALL | (re.IGNORECASE if fold else 0)) is not None


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda value, wanted: bool(value == wanted),
    "!=": lambda value, wanted: bool(value != wanted),
    ">": lambda value, wanted: bool(value > wanted),
    ">=": lambda value, wanted: bool(value >= wanted),
    "<": lambda value, wanted: bool(value < wanted),
    "<=": lambda value, wanted: bool(value <= wanted),
    "IN": lambda value, wanted: value in wanted,
    "NOT IN": lambda value, wanted: value not in wanted,
    "LIKE": lambda value, wanted: _like(value, wanted, fold=False),
    "ILIKE": lambda value, wanted: _like(value, wanted, fold=True),
}


def holds(condition: Condition, run: Run) -> bool:
    """Return whether a run fits a condition."""
    value = value_of(run, condition.kind, condition.name)
    if condition.op.startswith("IS"):
        return (value is None) == (condition.op == "IS NULL")
    if value is None:
        return False
    try:
        return _OPERATORS[condition.op](value, condition.value)
    except TypeError:
        return False


def value_of(run: Run, kind: str, name: str) -> Any:
    """Return what a condition or an order is about; None if the run has nothing of that name."""
    if kind == "attributes":
        return getattr(run.info, name, None)
    values: dict[str, Any] = getattr(run.data, kind)
    return values.get(name)


def matches_name(name: str, text: str) -> bool:
    """Return whether a name fits a filter of names."""
    return all(
        condition.name == "name" and _OPERATORS[condition.op](name, condition.value)
        for condition in parse_filter(text)
    )
