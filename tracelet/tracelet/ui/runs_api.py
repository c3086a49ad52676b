"""The API for runs: the table, one run, comparison, console output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracelet.delivery import progress
from tracelet.errors import UsageError
from tracelet.store import RunRecord
from tracelet.store.fields import find_differing_params, read_columns
from tracelet.store.free_text import Query, read_query
from tracelet.store.metric_overview import MetricOverview, describe_metrics
from tracelet.store.table_text import csv_table, latex_table
from tracelet.ui.answers import answer, count_of
from tracelet.ui.sources import Sources

_MOST_RUNS: Final = 500  # in one answer
_MOST_COMPARED: Final = 50
_MOST_LINES: Final = 5000
_SHOWN: Final = (
    *("id", "name", "project", "outcome", "error", "problem", "started_at", "ended_at", "duration", "host"),
    *("group", "parent", "job_type", "notes", "archived"),
)


def sources_of(request: Request) -> Sources:
    """Return what the application shares."""
    found: Sources = request.app.state.sources
    found.note_request()
    return found


def run_of(request: Request) -> RunRecord:
    """Return the run that the address names. Raises :class:`StoreError` if there is none."""
    return sources_of(request).run(request.path_params["id"])


def describe_run(record: RunRecord) -> dict[str, Any]:
    """Return what a list shows of a run."""
    return {key: getattr(record, key, None) for key in _SHOWN}


def query_of(request: Request) -> Query:
    """Return the expression of a request: ``where`` is one, and ``filter`` is one or words to search for."""
    where, query = (
        request.query_params.get("where", "").strip(),
        read_query(request.query_params.get("filter", "")),
    )
    both = [one for one in (where, query.where) if one]
    return Query(f"({both[0]}) and ({both[1]})" if len(both) == 2 else "".join(both), query.texts)


def list_runs(request: Request) -> Response:
    """A page of the table: ``where``, ``filter``, ``sort``, ``project``, ``offset``, ``limit``, ``column``
    (repeatable)."""
    query, store = request.query_params, sources_of(request).store
    (where, texts), project = query_of(request), query.get("project") or None
    version = store.version()  # before the runs, so that a change meanwhile is not taken for known
    records = store.runs(
        project,
        where=where,
        sort=query.get("sort") or "-started",
        offset=count_of(query, "offset", 0, 1 << 40),
        limit=count_of(query, "limit", 100, _MOST_RUNS),
    )
    columns = read_columns(records, query.getlist("column"))
    rows = [
        {**describe_run(record), "cells": [cells[place] for cells in columns.values()]}
        for place, record in enumerate(records)
    ]
    total = store.count(where, project=project)
    return answer(
        {"total": total, "texts": texts, "version": version, "columns": list(columns), "runs": rows}
    )


def list_ids(request: Request) -> Response:
    """The ids of all runs of the table: ``where``, ``filter``, ``sort`` and ``project`` as for the table."""
    query = request.query_params
    records = sources_of(request).store.runs(
        query.get("project") or None, where=query_of(request).where, sort=query.get("sort") or "-started"
    )
    return answer({"ids": [record.id for record in records]})


def list_groups(request: Request) -> Response:
    """The groups of a table that is sorted by a field (``by``) first: their values, sizes and first ids, in order."""
    query = request.query_params
    if not (by := query.get("by")):
        raise UsageError("by: expected a field such as group, job_type or params.NAME, found none")
    records = sources_of(request).store.runs(
        query.get("project") or None,
        where=query_of(request).where,
        sort=[by, query.get("sort") or "-started"],
    )
    values = read_columns(records, [by])[by]
    groups: list[dict[str, Any]] = []
    for _, several in groupby(zip(records, values, strict=True), lambda one: (one[1] is None, str(one[1]))):
        of_group = list(several)
        ids = [record.id for record, _ in of_group[:_MOST_COMPARED]]
        groups.append({"value": of_group[0][1], "count": len(of_group), "ids": ids})
    return answer({"by": by, "total": len(records), "groups": groups})


def export_runs(request: Request) -> Response:
    """The table as a file: ``format`` is ``csv`` or ``latex``; the rest as for the table."""
    query = request.query_params
    formats = {"csv": (csv_table, "text/csv", "csv"), "latex": (latex_table, "application/x-tex", "tex")}
    if (wanted := query.get("format", "csv")) not in formats:
        raise UsageError(f"format: expected csv or latex, found {wanted!r}")
    write, type_, suffix = formats[wanted]
    records = sources_of(request).store.runs(
        query.get("project") or None, where=query_of(request).where, sort=query.get("sort") or "-started"
    )
    text = write(read_columns(records, ["id", "name", *query.getlist("column")]))
    headers = {"content-disposition": f'attachment; filename="runs.{suffix}"'}
    return Response(text, media_type=type_, headers=headers)


def list_fields(request: Request) -> Response:
    """The names of all params, tags and metrics; ``newest``: only of so many runs, which takes less time."""
    newest = count_of(request.query_params, "newest", 0, _MOST_RUNS)
    return answer(sources_of(request).fields(newest or None))


async def show_progress(request: Request) -> Response:
    """How far the list of runs has been read, while another request waits for it: ``done`` of ``total``, or null."""
    done, total = sources_of(request).progress or (None, None)
    return answer({"done": done, "total": total})


def show_run(request: Request) -> Response:
    """Everything about a run but its points and files."""
    record = run_of(request)
    return answer(
        {
            **describe_run(record),
            "dir": record.location,
            "params": record.params,
            "tags": record.tags,
            "facts": record.facts,
            "metrics": [describe_metric(one) for one in describe_metrics(record)],
            "processes": [_describe_process(one) for one in record.writers],
            "plugins": record.plugins,
            "overhead": record.overhead,
            "delivery": _describe_delivery(record),
            "edits": record.edits,
            "children": record.children,
            "relatives": _describe_relatives(record, sources_of(request)),
            "dropped": record.dropped,
        }
    )


def _describe_relatives(record: RunRecord, sources: Sources) -> dict[str, dict[str, str]]:
    """Return the name and outcome of the parent and of the first children, by id; without those that are not there."""
    found = sources.store.runs(parent=record.id, archived=None, sort="started", limit=_MOST_RUNS)
    if record.parent:
        found += sources.store.runs(
            where=f"id == {json.dumps(record.parent, ensure_ascii=False)}", archived=None
        )
    return {one.id: {"name": one.name, "outcome": one.outcome} for one in found}


def describe_metric(metric: MetricOverview) -> dict[str, Any]:
    """Return the statistics of a metric, and its best value."""
    return {**metric.summary, "name": metric.name, "goal": metric.goal, "best": metric.best}


def _describe_process(process: Any) -> dict[str, Any]:
    shown = ("id", "pid", "host", "rank", "attempt", "started_at", "ended_at", "outcome")
    return {**{key: getattr(process, key) for key in shown}, "child": process.is_child}


def _describe_delivery(record: RunRecord) -> dict[str, Any]:
    """Return what each backend has, and its last status."""
    status = record.status
    known = {each.backend: each._asdict() for each in progress(record.dir)}
    return {name: {**known.get(name, {}), "status": status.get(name)} for name in {**known, **status}}


def show_losses(request: Request) -> Response:
    """What could not be recorded, and what cannot be read; the whole journal is checked."""
    record = run_of(request)
    return answer({"dropped": record.dropped, "damage": record.damage, "problem": record.problem})


def list_events(request: Request) -> Response:
    """What happened besides points: processes, params, tags, artifacts, an end; ``limit``, the newest last."""
    record = run_of(request)
    limit = count_of(request.query_params, "limit", 1000, 10_000)
    events: list[dict[str, Any]] = [
        {"writer": writer, "seq": event.seq, "time": event.time, "type": event.type, "payload": event.payload}
        for writer, several in record.source.events().items()
        for event in several
    ]
    events.sort(key=lambda one: one["time"])
    return answer(
        {"total": len(events), "events": events[len(events) - limit :] if len(events) > limit else events}
    )


def show_console(request: Request) -> Response:
    """Lines that the program printed: ``search`` (a part of a line), ``offset`` (negative: from the end), ``limit``."""
    query = request.query_params
    console = run_of(request).console()
    wanted = query.get("search", "").lower()
    found = [(place, line) for place, line in enumerate(console) if not wanted or wanted in line.text.lower()]
    limit = count_of(query, "limit", _MOST_LINES, _MOST_LINES)
    offset = count_of(query, "offset", max(0, len(found) - limit), 1 << 40)
    return answer(
        {
            "total": len(console),
            "found": len(found),
            "offset": offset,
            "missing": console.missing,
            "lines": [
                {"number": place + 1, **line._asdict()} for place, line in found[offset : offset + limit]
            ],
        }
    )


def compare_runs(request: Request) -> Response:
    """Several runs next to each other (``run``, repeatable): the params that differ, and all metrics."""
    ids = request.query_params.getlist("run")
    if not 1 <= len(ids) <= _MOST_COMPARED:
        raise UsageError(f"run: expected 1 to {_MOST_COMPARED} ids, found {len(ids)}")
    records = [sources_of(request).run(id) for id in dict.fromkeys(ids)]
    differing = find_differing_params(records)
    return answer(
        {
            "runs": [describe_run(record) for record in records],
            "params": {name: _values(records, name) for name in _names(records)},
            "differing": list(differing),
            "tags": {name: [one.tags.get(name) for one in records] for name in _tag_names(records)},
            "metrics": _compare_metrics(records),
        }
    )


def _names(records: Sequence[RunRecord]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.params))


def _tag_names(records: Sequence[RunRecord]) -> list[str]:
    return sorted({name for record in records for name in record.tags})


def _values(records: Sequence[RunRecord], name: str) -> list[Any]:
    return [record.params.get(name) for record in records]


def _compare_metrics(records: Sequence[RunRecord]) -> dict[str, list[dict[str, Any] | None]]:
    described = [{one.name: describe_metric(one) for one in describe_metrics(record)} for record in records]
    names = dict.fromkeys(name for one in described for name in one)
    return {name: [one.get(name) for one in described] for name in names}


ROUTES: Final = [
    Route("/runs", list_runs),
    Route("/runs/export", export_runs),
    Route("/runs/groups", list_groups),
    Route("/runs/ids", list_ids),
    Route("/fields", list_fields),
    Route("/progress", show_progress),
    Route("/compare", compare_runs),
    Route("/runs/{id}", show_run),
    Route("/runs/{id}/losses", show_losses),
    Route("/runs/{id}/events", list_events),
    Route("/runs/{id}/console", show_console),
]
