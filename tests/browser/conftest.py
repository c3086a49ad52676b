"""The page in a real browser: Debian's Chromium, driven by Playwright.

Every test fails if the page logs an error, throws, or sends a request to anything but its own server.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ui.conftest import Server, nasty, samples, serve

__all__ = ["nasty", "samples", "serve"]  # fixtures

sync_api = pytest.importorskip("playwright.sync_api", reason="nox -s browser installs Playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]


@pytest.fixture(scope="session")
def browser() -> Iterator[sync_api.Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(samples: Path) -> Iterator[Server]:
    server = Server(samples)
    yield server
    server.stop()


class _Ignored(list):  # type: ignore[type-arg]
    """A list that stays empty."""

    def append(self, _: object) -> None:
        pass


class Visitor:
    """A page, and everything about it that nobody wants to happen."""

    def __init__(self, browser: sync_api.Browser, address: str, **options: object) -> None:
        self.address = address
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)  # type: ignore[arg-type]
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.wrong: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda one: one.type == "error" and self.wrong.append(f"console: {one.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", lambda request: self._see(request.url))

    def _see(self, url: str) -> None:
        self.requests.append(url)
        if not url.startswith((self.address, "data:", "blob:", "about:")):
            self.wrong.append(f"a request to {url}")

    def ignore_errors(self) -> None:
        """From now on, the page may log errors: a browser logs each request that fails."""
        self.wrong = _Ignored()

    def open(self, path: str) -> sync_api.Page:
        """Open a view, and wait for the main part of it."""
        self.page.goto(self.address + path)
        self.page.locator("#bar .brand").wait_for()
        self.page.locator("#main:not([aria-busy])").wait_for()
        return self.page


@pytest.fixture
def visit(browser: sync_api.Browser, server: Server) -> Iterator[object]:
    """Open a view of the samples, or (``on=``) of another server."""
    visitors: list[Visitor] = []

    def open_view(path: str, *, on: Server | None = None, **options: object) -> sync_api.Page:
        visitors.append(Visitor(browser, (on or server).address, **options))
        page = visitors[-1].open(path)
        page.visitor = visitors[-1]  # type: ignore[attr-defined]
        return page

    yield open_view
    wrong = [one for visitor in visitors for one in visitor.wrong]
    for visitor in visitors:
        visitor.context.close()
    assert not wrong


@pytest.fixture(scope="session")
def ids(server: Server) -> dict[str, str]:
    """The ids of the samples, by name."""
    import json
    import urllib.request

    with urllib.request.urlopen(f"{server.address}/api/v1/runs", timeout=20) as answer:
        return {run["name"]: run["id"] for run in json.load(answer)["runs"]}
