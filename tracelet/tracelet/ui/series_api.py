"""The API for series: what a chart draws of several runs and metrics, for a range of x."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracelet.errors import UsageError
from tracelet.store import RunRecord, Series
from tracelet.store.windows import Window, read_window
from tracelet.ui.answers import answer_json, count_of, number_of, numbers
from tracelet.ui.runs_api import sources_of
from tracelet.ui.sources import SeriesRead
from tracelet_hookspecs.strict_json import float_to_json

_MOST_PIXELS: Final = 4000
_MOST_SERIES: Final = 1000  # in one answer


def list_series(request: Request) -> Response:
    """Metrics (``name``, repeatable) of runs (``run``, repeatable).

    ``x`` is ``step``, ``time`` or ``relative``; ``from`` and ``to`` are the range of x; ``pixels`` its width on the
    screen. Of each pixel the least and the greatest value are returned, and a NaN if there is one.
    """
    query = request.query_params
    runs, names = query.getlist("run"), query.getlist("name")
    if not runs or not names or len(runs) * len(names) > _MOST_SERIES:
        raise UsageError(
            f"series: expected at least one run and one name and at most {_MOST_SERIES} series, found"
            f" {len(runs)} runs and {len(names)} names"
        )
    view = {
        "axis": query.get("x", "step"),
        "first": number_of(query, "from"),
        "last": number_of(query, "to"),
        "pixels": max(1, count_of(query, "pixels", 800, _MOST_PIXELS)),
    }
    found: list[dict[str, Any]] = []
    for id in dict.fromkeys(runs):
        record = sources_of(request).run(id)
        read = sources_of(request).series(record, list(dict.fromkeys(names)))
        found += [_describe(record, one, view) for one in read.values()]
    return answer_json({"series": found})


def _describe(record: RunRecord, read: SeriesRead, view: dict[str, Any]) -> dict[str, Any]:
    effective, ghosts = read.rewound
    return {
        "run": record.id,
        "name": effective.name,
        "type": effective.type,
        "count": len(effective),
        **_columns(_window(record, effective, view)),
        "ghosts": [
            {
                "attempt": ghost.attempt,
                "shared_steps": ghost.steps,
                "deviation": float_to_json(ghost.deviation),
                "at_step": ghost.at_step,
                **_columns(_window(record, ghost.series, view)),
            }
            for ghost in ghosts
        ],
        "cursor": read.cursor,
        "running": record.outcome == "running",
    }


def _window(record: RunRecord, series: Series, view: dict[str, Any]) -> Window:
    return read_window(series, start=record.started_at, **view)


def _columns(window: Window) -> dict[str, Any]:
    return {
        "total": window.total,
        "x": numbers(window.x),
        "steps": numbers(window.points.steps),
        "times": numbers(window.points.times),
        "values": numbers(window.points.values),
        "means": window.means and {"x": numbers(window.means.x), "values": numbers(window.means.values)},
    }


ROUTES: Final = [Route("/series", list_series)]
