"""The API for changes of a run: name, notes, tags, group, archive, trash. Refused if the page is read-only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracelet.errors import UsageError
from tracelet.messages import one_of
from tracelet.ui.answers import answer
from tracelet.ui.runs_api import describe_run, run_of, sources_of

_TEXTS: Final = ("name", "notes", "group", "parent", "job_type")
_FIELDS: Final = (*_TEXTS, "archived", "tags", "untag")
_KINDS: Final = {"tags": "an object or a list of names", "untag": "a list of names"}
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
    Route("/runs/{id}/edit", edit_run, methods=["POST"]),
    Route("/runs/{id}/delete", delete_run, methods=["POST"]),
]
