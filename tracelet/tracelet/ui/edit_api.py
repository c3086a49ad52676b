"""The API for changes of a run: name, notes, tags, group, archive, trash. Refused if the page is read-only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracelet.errors import TraceletError, UsageError
from tracelet.messages import describe_value, one_of
from tracelet.store import RunRecord
from tracelet.ui.answers import answer
from tracelet.ui.runs_api import describe_run, run_of, sources_of

_TEXTS: Final = ("name", "notes", "group", "parent", "job_type")
_FIELDS: Final = (*_TEXTS, "archived", "tags", "untag")
_KINDS: Final = {"tags": "an object or a list of names", "untag": "a list of names"}
_MOST_RUNS: Final = 200  # in one request, so that it does not take long
_LARGEST: Final = 1 << 20  # bytes of a request


async def edit_run(request: Request) -> Response:
    """Change a run: JSON with any of the fields that ``store.edit`` takes."""
    changes = check_changes(await _read_json(request))
    sources, record = sources_of(request), run_of(request)
    edited = await asyncio.to_thread(lambda: sources.store.edit(record, **changes))
    return answer({**describe_run(edited), "tags": edited.tags, "edits": edited.edits})


async def delete_run(request: Request) -> Response:
    """Move a run to the trash."""
    await _read_json(request)
    sources, record = sources_of(request), run_of(request)
    await asyncio.to_thread(lambda: sources.store.delete(record))
    return answer({"id": record.id, "deleted": True})


async def edit_runs(request: Request) -> Response:
    """Change several runs (``runs``, their ids) alike: JSON with the fields that ``store.edit`` takes."""
    ids, data = check_ids(await _read_json(request))
    changes = check_changes(data)
    store = sources_of(request).store

    def edit(record: RunRecord) -> None:
        own = {**changes, "untag": [name for name in changes.get("untag", ()) if name in record.tags]}
        if any(own.values()) or len(own) > 1:  # a run without the tags to remove is as it should be
            store.edit(record, **own)

    return await _do_for_each(request, ids, edit)


async def delete_runs(request: Request) -> Response:
    """Move several runs (``runs``, their ids) to the trash."""
    ids, data = check_ids(await _read_json(request))
    if data:
        raise UsageError(f"delete: expected only 'runs', found {sorted(data)[0]!r}")
    return await _do_for_each(request, ids, sources_of(request).store.delete)


async def _do_for_each(request: Request, ids: list[str], change: Callable[[RunRecord], object]) -> Response:
    """Change runs one after the other. A run for which that fails is named with the reason; the others are changed."""
    done: list[str] = []
    failed: dict[str, str] = {}
    for id in ids:
        try:
            record = await asyncio.to_thread(sources_of(request).run, id)
            await asyncio.to_thread(change, record)
        except (TraceletError, OSError) as error:
            failed[id] = str(error)
        else:
            done.append(id)
    return answer({"done": done, "failed": failed})


async def restore_run(request: Request) -> Response:
    """Bring a deleted run back."""
    await _read_json(request)
    sources, id = sources_of(request), request.path_params["id"]
    return answer(describe_run(await asyncio.to_thread(lambda: sources.store.restore(id))))


async def empty_trash(request: Request) -> Response:
    """Remove the deleted runs for good."""
    await _read_json(request)
    removed = await asyncio.to_thread(sources_of(request).store.empty_trash)
    return answer({"removed": [one.id for one in removed]})


def list_trash(request: Request) -> Response:
    """The deleted runs, the latest deletion first."""
    return answer({"runs": [one._asdict() for one in sources_of(request).store.trash()]})


def check_ids(data: Any) -> tuple[list[str], dict[str, Any]]:
    """Return the ids of a request for several runs, and the rest of it. Raises :class:`UsageError`."""
    if not isinstance(data, Mapping):
        raise UsageError("edit: expected a JSON object")
    ids = data.get("runs")
    if (
        not isinstance(ids, list)
        or not all(isinstance(id, str) for id in ids)
        or not 1 <= len(ids) <= _MOST_RUNS
    ):
        raise UsageError(f"edit: runs: expected a list of 1 to {_MOST_RUNS} ids, found {describe_value(ids)}")
    return list(dict.fromkeys(ids)), {key: value for key, value in data.items() if key != "runs"}


def check_changes(data: Any) -> dict[str, Any]:
    """Return the changes of a request. Raises :class:`UsageError` that names what is wrong."""
    if not isinstance(data, Mapping):
        raise UsageError("edit: expected a JSON object")
    if unknown := sorted(set(data) - set(_FIELDS)):
        raise UsageError(f"edit: expected {one_of(_FIELDS)}, found {unknown[0]!r}")
    for name in _TEXTS:
        if not isinstance(data.get(name), str | None):
            raise UsageError(f"edit: {name}: expected a text, found {data[name]!r}")
    if not isinstance(data.get("archived"), bool | None):
        raise UsageError(f"edit: archived: expected true or false, found {data['archived']!r}")
    for name, kinds in (("tags", (Mapping, list)), ("untag", (list,))):
        if name in data and not isinstance(data[name], kinds):
            raise UsageError(f"edit: {name}: expected {_KINDS[name]}, found {data[name]!r}")
    return dict(data)


async def _read_json(request: Request) -> Any:
    """Return the body. A form of another site cannot send this type without being asked for permission first."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("expected a request of the type application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            raise UsageError(f"expected a request of at most {_LARGEST} bytes")
    try:
        return json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError):
        raise UsageError("expected JSON in the request") from None


ROUTES: Final = [
    Route("/trash", list_trash),
    Route("/trash/empty", empty_trash, methods=["POST"]),
    Route("/trash/{id}/restore", restore_run, methods=["POST"]),
    Route("/runs/edit", edit_runs, methods=["POST"]),
    Route("/runs/delete", delete_runs, methods=["POST"]),
    Route("/runs/{id}/edit", edit_run, methods=["POST"]),
    Route("/runs/{id}/delete", delete_run, methods=["POST"]),
]
