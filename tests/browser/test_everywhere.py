"""What holds for every view: accessible, usable on a phone and in the dark, and nothing leaves the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]

VIEWS = {
    "runs": "/",
    "charts": "/charts?run={digits-0}&run={digits-1}",
    "groups": "/charts?run={digits-0}&run={digits-1}&by=params.optimizer",
    "grouped rows": "/?by=params.optimizer&pin=outcome&col=outcome",
    "trash": "/trash",
    "compare": "/compare?run={digits-0}&run={digits-1}",
    **{
        tab: f"/run/{{media}}?tab={tab}"
        for tab in ("overview", "charts", "console", "code", "files", "plugins")
    },
}
#: A table is read row by row, and its own scrollbar is enough; axe sees its canvas text only as pixels.
READY = "table.runs tr[data-run], .card[data-ready], .sheet, #panel[data-ready], #main > div > .empty"


def address(view: str, ids: dict[str, str]) -> str:
    path = VIEWS[view]
    for name, id in ids.items():
        path = path.replace(f"{{{name}}}", id)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", sorted(VIEWS))
def test_view_is_accessible(visit: Visit, ids: dict[str, str], view: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = visit(address(view, ids), color_scheme=scheme)
    page.locator(READY).first.wait_for()
    found = axe.Axe().run(page)
    violations = [(one["id"], one["nodes"][0]["html"][:200]) for one in found.response["violations"]]
    assert violations == []


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_view_fits_a_phone(visit: Visit, ids: dict[str, str], view: str) -> None:
    page = visit(address(view, ids))
    page.set_viewport_size({"width": 375, "height": 700})
    page.locator(READY).first.wait_for()
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_theme_is_chosen_and_remembered(visit: Visit) -> None:
    page = visit("/", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    button = page.get_by_role("button", name="Theme: auto. Change it.")
    button.click()
    page.get_by_role("button", name="Theme: light. Change it.").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    page.locator("#bar .brand").wait_for()
    assert page.evaluate(background) == dark


def test_help_lists_the_keys(visit: Visit) -> None:
    page = visit("/")
    page.keyboard.press("?")
    help = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help).to_contain_text("compare the selection")
    page.keyboard.press("Escape")
    expect(help).to_be_hidden()  # Chromium closes a dialog some time after the key
    page.keyboard.press("/")
    expect(page.get_by_label("Filter runs")).to_be_focused()
