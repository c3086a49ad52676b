"""The API for series: what a chart draws of several runs and metrics, or of groups of runs, for a range of x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracelet.errors import UsageError
from tracelet.store import RunRecord, Series
from tracelet.store.fields import read_columns
from tracelet.store.group_bands import Member, summarize_group
from tracelet.store.outlines.outline_file import PIXELS
from tracelet.store.windows import AXES, METRIC, Window, check_axis, read_window
from tracelet.ui.answers import answer_json, count_of, number_of, numbers
from tracelet.ui.runs_api import sources_of
from tracelet.ui.sources import SeriesRead
from tracelet_hookspecs.strict_json import float_to_json, to_json

_MOST_PIXELS: Final = 4000
_MOST_SERIES: Final = 1000  # in one answer


def list_series(request: Request) -> Response:
    """Metrics (``name``, repeatable) of runs (``run``, repeatable).

    ``x`` is ``step``, ``time``, ``relative`` or ``metric:NAME``; ``from`` and ``to`` are the range of x; ``pixels`` its
    width on the screen. Of each pixel the least and the greatest value are returned, and a NaN if there is one.
    """
    names, view = _names_and_view(request)
    found: list[dict[str, Any]] = []
    for record in _records(request):
        outlined = _outlined(request, record, names, view)
        found += outlined.values()
        if len(outlined) == len(names):
            continue
        rest = [name for name in names if name not in outlined]
        several, along = _read(request, record, rest, view["axis"])
        found += [_describe(record, one, {**view, "along": along}) for one in several.values()]
    return answer_json({"series": found})


def _outlined(
    request: Request, record: RunRecord, names: Sequence[str], view: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return what was prepared of some metrics, if their whole range is wanted."""
    is_whole = view["first"] is None and view["last"] is None and view["axis"] in AXES
    outline = sources_of(request).outline(record) if is_whole and view["pixels"] <= PIXELS else None
    if outline is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        facts = outline.facts(name)
        window = outline.window(name, view["axis"], record.started_at) if facts else None
        if facts and window is not None:
            found[name] = {
                "run": record.id,
                "name": name,
                "ghosts": [],
                "running": False,
                **{key: facts[key] for key in ("type", "count", "cursor")},
                **_columns(window),
            }
    return found


def list_groups(request: Request) -> Response:
    """The same runs as groups: those with the same value of a field (``by``) become one curve with a band."""
    names, view = _names_and_view(request)
    if not (by := request.query_params.get("by")):
        raise UsageError("by: expected a field such as group, job_type or params.NAME, found none")
    records = _records(request)
    groups: dict[tuple[bool, str], tuple[Any, list[RunRecord]]] = {}
    for record, value in zip(records, read_columns(records, [by])[by], strict=True):
        groups.setdefault((value is None, str(value)), (value, []))[1].append(record)
    members: dict[tuple[int, str], list[Member]] = {}
    cursors: dict[tuple[int, str], dict[str, Any]] = {}
    for place, (_, several) in enumerate(groups.values()):
        for record in several:
            read, along = _read(request, record, names, view["axis"])
            for name, one in read.items():
                member = Member(one.rewound.effective, record.started_at, along)
                members.setdefault((place, name), []).append(member)
                if record.outcome == "running":
                    cursors.setdefault((place, name), {})[record.id] = one.cursor
    return answer_json(
        {
            "by": by,
            "groups": [
                {"value": to_json(value), "runs": [one.id for one in several]}
                for value, several in groups.values()
            ],
            "series": [
                {
                    "group": key[0],
                    "name": key[1],
                    **_describe_band(several, view),
                    "cursors": cursors.get(key, {}),
                }
                for key, several in members.items()
            ],
        }
    )


def _names_and_view(request: Request) -> tuple[list[str], dict[str, Any]]:
    """Return the names, and the range of x, of a request. Raises :class:`UsageError`."""
    query = request.query_params
    runs, names = query.getlist("run"), query.getlist("name")
    if not runs or not names or len(runs) * len(names) > _MOST_SERIES:
        raise UsageError(
            f"series: expected at least one run and one name and at most {_MOST_SERIES} series, found"
            f" {len(runs)} runs and {len(names)} names"
        )
    check_axis(axis := query.get("x", "step"))
    view = {
        "axis": axis,
        "first": number_of(query, "from"),
        "last": number_of(query, "to"),
        "pixels": max(1, count_of(query, "pixels", 800, _MOST_PIXELS)),
    }
    return list(dict.fromkeys(names)), view


def _records(request: Request) -> list[RunRecord]:
    ids = dict.fromkeys(request.query_params.getlist("run"))
    return [sources_of(request).run(id) for id in ids]


def _read(
    request: Request, record: RunRecord, names: Sequence[str], axis: str
) -> tuple[Mapping[str, SeriesRead], Series | None]:
    """Return some metrics of a run, and the one that is the axis, if one is and the run has it."""
    other = axis[len(METRIC) :] if axis.startswith(METRIC) else None
    wanted = [*names, other] if other is not None and other not in names else [*names]
    found = sources_of(request).series(record, wanted)
    along = found[other].rewound.effective if other is not None and other in found else None
    return {name: found[name] for name in names if name in found}, along


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


def _describe_band(members: Sequence[Member], view: dict[str, Any]) -> dict[str, Any]:
    band = summarize_group(members, **view)
    columns = ("x", "mean", "deviation", "low", "high", "runs")
    return {
        **{key: numbers(getattr(band, key)) for key in columns},
        **{
            key: None if getattr(band, key) is None else numbers(getattr(band, key))
            for key in ("first", "last")
        },
        "total": band.total,
        "not_finite": band.not_finite,
    }


ROUTES: Final = [Route("/series", list_series), Route("/series/groups", list_groups)]
