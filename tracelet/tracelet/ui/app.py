"""The application: the page's files, and the API under ``/api/v1``."""

from __future__ import annotations

from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

import tracelet
from tracelet.errors import StoreError, UsageError
from tracelet.host.plugins import PluginManager
from tracelet.store import Store
from tracelet.ui import answers, edit_api, files_api, live_api, panels_api, runs_api, series_api
from tracelet.ui.access import Access, Guard
from tracelet.ui.page import PageFiles
from tracelet.ui.panels import Panels
from tracelet.ui.sources import Sources

API: Final = "/api/v1"
_PACKED: Final = 1000  # bytes from which an answer is compressed


def create_app(store: Store, access: Access | None = None, manager: PluginManager | None = None) -> Starlette:
    """Return an ASGI application that shows a store. It only reads, except for edits that :class:`Access` allows.

    ``manager`` has searched the plugins whose hook ``ui_panels`` adds panels to the page of a run.
    """
    access = access or Access()
    files = PageFiles()
    app = Starlette(
        routes=[
            Mount(API, routes=_api_routes()),
            Route("/static/{path:path}", files.send),
            Route("/", _page),
            Route("/{path:path}", _page),
        ],
        middleware=[Middleware(Guard, access=access), Middleware(_PackedAnswers, minimum_size=_PACKED)],
        exception_handlers={StoreError: answers.report_missing, UsageError: answers.report_usage},
    )
    app.state.sources = Sources(store)
    app.state.access = access
    app.state.files = files
    app.state.panels = Panels(manager)
    return app


class _PackedAnswers(GZipMiddleware):
    """Compresses answers, fast rather than small: the browser is near."""

    def __init__(self, app: object, minimum_size: int) -> None:
        super().__init__(app, minimum_size=minimum_size, compresslevel=1)  # type: ignore[arg-type]


def _api_routes() -> list[BaseRoute]:
    return [
        Route("/", _about),
        *runs_api.ROUTES,
        *series_api.ROUTES,
        *files_api.ROUTES,
        *live_api.ROUTES,
        *edit_api.ROUTES,
        *panels_api.ROUTES,
        Route("/{path:path}", _unknown),
    ]


def _describe(request: Request) -> dict[str, Any]:
    access: Access = request.app.state.access
    return {
        "name": "tracelet",
        "version": tracelet.__version__,
        "api": 1,
        "folder": request.app.state.sources.store.location,
        "read_only": access.read_only,
    }


async def _about(request: Request) -> Response:
    """What this server is, and what it allows."""
    return answers.answer(_describe(request))


async def _unknown(request: Request) -> Response:
    return answers.answer({"error": f"no such resource: {request.url.path}"}, 404)


async def _page(request: Request) -> Response:
    files: PageFiles = request.app.state.files
    return files.show(_describe(request))
