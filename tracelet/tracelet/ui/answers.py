"""Answers of the API: strict JSON, and errors that say what was wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tracelet.errors import StoreError, UsageError
from tracelet_hookspecs.strict_json import to_json


def answer(data: Any, status: int = 200) -> Response:
    """Return data as JSON. NaN and infinities become ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``."""
    return answer_json(to_json(data), status)


def answer_json(data: Any, status: int = 200) -> Response:
    """Return data that strict JSON can hold."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


def numbers(column: Any) -> list[Any]:
    """Return a column of numbers as strict JSON can hold them."""
    plain: list[Any] = column.tolist() if hasattr(column, "tolist") else list(column)
    if all(one - one == 0 for one in plain):  # finite; NaN and infinities are not 0
        return plain
    converted: list[Any] = to_json(plain)
    return converted


async def report_missing(_: Request, error: Exception) -> Response:
    """Answer that there is no such run or metric."""
    assert isinstance(error, StoreError)
    return answer({"error": str(error)}, 404)


async def report_usage(_: Request, error: Exception) -> Response:
    """Answer that the request was wrong."""
    assert isinstance(error, UsageError)
    return answer({"error": str(error)}, 400)


def number_of(query: Mapping[str, str], name: str, default: float | None = None) -> float | None:
    """Return a number from a query. Raises :class:`UsageError` if it is none."""
    text = query.get(name)
    if text is None or text == "":
        return default
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{name}: expected a number, found {text!r}") from None
    if value != value:
        raise UsageError(f"{name}: expected a number, found {text!r}")
    return value


def count_of(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a number of things from a query: 0 to ``most``. Raises :class:`UsageError` if it is none."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{name}: expected a number from 0 to {most}, found {text!r}")
    return min(int(text), most)
