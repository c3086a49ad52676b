"""The API for the panels of plugins."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracelet.ui.answers import answer
from tracelet.ui.panels import Panels
from tracelet.ui.runs_api import run_of


def list_panels(request: Request) -> Response:
    """What plugins show of a run: ``title``, ``chart`` and ``rows``, or the ``error`` of a plugin that failed."""
    panels: Panels = request.app.state.panels
    return answer({"panels": panels.of(run_of(request))})


ROUTES: Final = [Route("/runs/{id}/panels", list_panels)]
