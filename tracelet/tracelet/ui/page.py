"""The page's files, held in memory and compressed once; a browser asks for each of them only once per version."""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

STATIC: Final = Path(__file__).parent / "static"
_INDEX: Final = "index.html"
_KEPT: Final = "private, max-age=31536000, immutable"  # under an address that names the contents
_VERSION_DIGITS: Final = 16


class _File(NamedTuple):
    """A file, and how it is sent."""

    content: bytes
    packed: bytes
    type: str


class PageFiles:
    """Answers requests for the page and for what it loads."""

    def __init__(self, folder: Path = STATIC) -> None:
        contents = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        digest = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()
        self.version = digest[:_VERSION_DIGITS]
        self._index = contents.pop(_INDEX).decode().replace('"/static/', f'"/static/{self.version}/')
        self._files = {name: _pack(name, content) for name, content in contents.items()}

    def show(self, about: Mapping[str, Any]) -> Response:
        """Return the page. It carries what ``/api/v1/`` says, and so need not ask for it."""
        page = self._index.replace("<html ", f'<html data-about="{escape(json.dumps(about))}" ', 1)
        return Response(page, media_type="text/html")

    async def send(self, request: Request) -> Response:
        """Return a file: ``VERSION/NAME`` may be kept for good, ``NAME`` alone is the newest."""
        version, _, rest = request.path_params["path"].partition("/")
        is_version = version == self.version
        file = self._files.get(rest if is_version else request.path_params["path"])
        if file is None:
            return PlainTextResponse("no such file\n", status_code=404)
        headers = {"vary": "Accept-Encoding"}
        if is_version:
            headers["cache-control"] = _KEPT
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                file.packed, media_type=file.type, headers={**headers, "content-encoding": "gzip"}
            )
        return Response(
            file.content, media_type=file.type, headers={**headers, "content-encoding": "identity"}
        )


def _pack(name: str, content: bytes) -> _File:
    kind = (
        "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
    )  # which some systems redefine
    return _File(content, gzip.compress(content, mtime=0), kind or "application/octet-stream")
