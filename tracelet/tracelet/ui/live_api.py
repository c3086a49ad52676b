"""Server-sent events: what is new, and nothing else. A connection that closes costs nothing any more."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tracelet.errors import StoreError, UsageError
from tracelet.store import RunRecord
from tracelet.store.tail import NewPoints, SeriesCursor
from tracelet.ui.answers import numbers
from tracelet.ui.runs_api import describe_run, sources_of
from tracelet.ui.sources import Sources
from tracelet_hookspecs.strict_json import to_json

_PERIOD: Final = 0.4  # seconds between two looks at the runs
_TABLE_PERIOD: Final = 1.0  # seconds between two looks at the list of all runs
_LIVENESS: Final = 2.0  # seconds after which a run that says nothing is examined
_SHARE: Final = 20  # looking again takes at most one part in so many of a core
_BEAT: Final = 15.0  # seconds without news after which a comment keeps the connection open
_MOST_RUNS: Final = 100
_MOST_SERIES: Final = 5000


class Watch:
    """What one connection has: the runs it watches, and a cursor per series."""

    def __init__(
        self,
        sources: Sources,
        cursors: dict[str, dict[str, SeriesCursor]],
        *,
        table: bool,
        version: str | None = None,
    ) -> None:
        self._sources = sources
        self._cursors = cursors
        self._records: dict[str, tuple[RunRecord, int, float]] = {}  # with its events, and when to look again
        self._shown: dict[str, Any] = {}
        self._table = table
        self._version = version  # of the list of runs that is known
        self._next_table = 0.0

    def news(self) -> list[tuple[str, Any]]:
        """Return events since the last call: (name, data)."""
        found: list[tuple[str, Any]] = []
        for run in list(self._cursors):
            try:
                found += self._news_of(self._record(run))
            except (StoreError, OSError):
                found.append(("gone", {"run": run}))
                del self._cursors[run]
        if self._table and time.monotonic() >= self._next_table:
            found += self._news_of_table()
        return found

    def text(self) -> str:
        """Return the same as server-sent events; an empty text if there are none."""
        return "".join(_event(name, data) for name, data in self.news())

    def _record(self, run: str) -> RunRecord:
        """Return a run; it is read again when it has a new event, and now and then in case it was killed."""
        known = self._records.get(run)
        if known is not None:
            record, events, due = known
            if time.monotonic() < due and self._sources.tail(record).events == events:
                return record
        began = time.monotonic()
        events = self._sources.tail(known[0]).events if known is not None else -1
        record = self._sources.run(run)
        took = time.monotonic() - began
        self._records[run] = (record, events, began + took + max(_LIVENESS, took * _SHARE))
        return record

    def _news_of(self, record: RunRecord) -> list[tuple[str, Any]]:
        """Return the news of one run. When it has ended and its last points were sent, it is let go."""
        tail = self._sources.tail(record)
        cursors = self._cursors[record.id]
        found: list[tuple[str, Any]] = []
        if fresh := tail.since(cursors):
            cursors |= {one.name: one.cursor for one in fresh}
            found.append(("points", {"run": record.id, "series": [_describe(record, one) for one in fresh]}))
        shown = {
            **describe_run(record),
            "duration": None,
            "events": tail.events,
            "metrics": len(tail.names()),
            "points": tail.count(),
        }
        if shown != self._shown.get(record.id):
            self._shown[record.id] = shown
            found.append(("run", {**shown, "duration": record.duration}))
        if record.outcome != "running" and not fresh:
            del self._cursors[record.id]
        return found

    def _news_of_table(self) -> list[tuple[str, Any]]:
        began = time.monotonic()
        version = self._sources.store.version()
        took = time.monotonic() - began
        self._next_table = began + max(_TABLE_PERIOD, took * _SHARE)
        changed, self._version = self._version not in (None, version), version
        return [("runs", {"version": version})] if changed else []


def _describe(record: RunRecord, new: NewPoints) -> dict[str, Any]:
    return {
        "name": new.name,
        "lost": new.lost,
        "steps": new.steps,
        "values": numbers(new.values),
        "times": new.times,
        "relative": [one - record.started_at for one in new.times],
        "cursor": new.cursor,
    }


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(to_json(data), separators=(',', ':'))}\n\n"


async def follow(request: Request) -> Response:
    """Points of runs as they are recorded, changes of these runs, and (``table=1``) of the list of all runs.

    ``cursors`` is JSON: by run and name of metric, the cursor of the last answer. ``version`` is that of the list of
    runs that is known. Events: ``points``, ``run``,
    ``runs``, ``gone``.
    """
    watch = Watch(
        sources_of(request),
        parse_cursors(request.query_params.get("cursors") or "{}"),
        table=request.query_params.get("table") == "1",
        version=request.query_params.get("version") or None,
    )
    headers = {"cache-control": "no-store", "x-accel-buffering": "no", "content-encoding": "identity"}
    return StreamingResponse(_stream(request, watch), media_type="text/event-stream", headers=headers)


async def _stream(request: Request, watch: Watch) -> AsyncIterator[str]:
    yield ": tracelet\n\n"
    spoken = time.monotonic()
    while not await request.is_disconnected() and not request.app.state.sources.closing:
        # In one piece: a browser that is gone is noticed between two, and writing on to it makes asyncio complain.
        if text := await asyncio.to_thread(watch.text):
            yield text
            spoken = time.monotonic()
        if time.monotonic() - spoken > _BEAT:
            yield ": nothing new\n\n"
            spoken = time.monotonic()
        await asyncio.sleep(_PERIOD)


def parse_cursors(text: str) -> dict[str, dict[str, SeriesCursor]]:
    """Return the cursors of a request. Raises :class:`UsageError` if they are not what an answer contained."""
    try:
        data = json.loads(text)
        found: dict[str, dict[str, SeriesCursor]] = {
            str(run): {
                str(name): {str(writer): int(count) for writer, count in cursor.items()}
                for name, cursor in series.items()
            }
            for run, series in data.items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UsageError('cursors: expected JSON like {"RUN": {"NAME": {"WRITER": 10}}}') from None
    if len(found) > _MOST_RUNS or sum(map(len, found.values())) > _MOST_SERIES:
        raise UsageError(f"cursors: expected at most {_MOST_RUNS} runs and {_MOST_SERIES} series")
    return found


ROUTES: Final = [Route("/live", follow)]
