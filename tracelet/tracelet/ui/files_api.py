"""The API for a run's files: media, artifacts, code. A run folder may come from anybody, so nothing in it is trusted.

Files are sent as attachments. Pictures, sounds and videos may be shown in the page; HTML only in a sandbox, without
access to the page, its cookie or the network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tracelet import safe_files
from tracelet.errors import StoreError
from tracelet.layout import media_kind
from tracelet.store import RunRecord
from tracelet.ui.answers import answer, count_of
from tracelet.ui.embeddings import flatten_embedding
from tracelet.ui.runs_api import run_of

_CHUNK: Final = 1 << 18
_MOST_TEXT: Final = 2 << 20  # bytes shown of a text
_MOST_JSON: Final = 32 << 20  # bytes of a table or histogram
_MOST_FILES: Final = 5000
#: What a browser may show within the page. SVG runs no scripts in an image, and has a sandbox if it is opened alone.
_SHOWN: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
_SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HTML_SANDBOX: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
    " img-src data:; font-src data:; frame-ancestors 'self'"
)


def list_files(request: Request) -> Response:
    """Artifacts and media of a run: ``offset``, ``limit``; each with its files, their sizes and SHA-256."""
    record = run_of(request)
    offset = count_of(request.query_params, "offset", 0, 1 << 40)
    limit = count_of(request.query_params, "limit", _MOST_FILES, _MOST_FILES)
    artifacts = record.artifacts
    return answer(
        {
            "total": len(artifacts),
            "artifacts": [_describe(one) for one in artifacts[offset : offset + limit]],
        }
    )


def _describe(artifact: Mapping[str, Any]) -> dict[str, Any]:
    media = artifact.get("media")
    return {**artifact, "kind": media_kind(str(media), str(artifact.get("path"))) if media else None}


def send_file(request: Request) -> Response:
    """A file that the run lists (``path``): as an attachment, or with ``show=1`` for the page to show it."""
    record = run_of(request)
    path = _listed_path(record, request.query_params.get("path", ""))
    opened = _open(record, path)
    size = opened.stat().st_size
    type_ = _SHOWN.get(PurePosixPath(path).suffix.lower())
    shown = request.query_params.get("show") == "1"
    headers = {"content-length": str(size), "content-security-policy": _SANDBOX}
    if shown and path.endswith(".html"):
        type_, headers["content-security-policy"] = "text/html; charset=utf-8", _HTML_SANDBOX
    if not shown or type_ is None:
        type_ = "application/octet-stream"
        name = quote(PurePosixPath(path).name, safe="")
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{name}"
    return StreamingResponse(_read(opened, size), media_type=type_, headers=headers)


def show_text(request: Request) -> Response:
    """The beginning of a file that the run lists, as text: ``path``."""
    record = run_of(request)
    path = _listed_path(record, request.query_params.get("path", ""))
    opened = _open(record, path)
    size = opened.stat().st_size
    data = safe_files.read_at(opened, min(size, _MOST_TEXT), 0)
    binary = b"\0" in data[:8192]
    text = None if binary else data.decode("utf-8", "replace")
    return answer({"path": path, "size": size, "text": text, "complete": size <= _MOST_TEXT})


def show_content(request: Request) -> Response:
    """A table, histogram or curve that the run lists, as JSON, or an embedding as points in a plane: ``path``."""
    record = run_of(request)
    path = _listed_path(record, request.query_params.get("path", ""))
    try:
        data = record.read_file(path, limit=_MOST_JSON)
        content = flatten_embedding(data) if path.endswith(".npz") else json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: expected content that can be read, found {error}", run=record.id) from None
    return answer(content)


def _listed_path(record: RunRecord, path: str) -> str:
    """Return a path that the run lists; whatever else lies in the folder stays there."""
    for artifact in record.artifacts:
        if any(file.get("path") == path for file in artifact.get("files") or []):
            return path
    raise StoreError(f"run {record.id}: no file {path!r} is listed", run=record.id)


def _open(record: RunRecord, path: str) -> safe_files.Descriptor:
    try:
        return record.open_file(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"run {record.id}: {path}: cannot be read: {reason}", run=record.id) from None


def _read(opened: safe_files.Descriptor, size: int) -> Iterator[bytes]:
    """Yield the file up to the size that was promised; one that has been cut since then ends early."""
    for place in range(math.ceil(size / _CHUNK)):
        offset = place * _CHUNK
        chunk = safe_files.read_at(opened, min(_CHUNK, size - offset), offset)
        if not chunk:
            return
        yield chunk


ROUTES: Final = [
    Route("/runs/{id}/files", list_files),
    Route("/runs/{id}/file", send_file),
    Route("/runs/{id}/text", show_text),
    Route("/runs/{id}/content", show_content),
]
