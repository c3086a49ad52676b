"""Params, tags and metrics of any name in the table and in charts: what is shown is what was logged."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.nasty_names import NAMES, field, nasty_values
from tests.ui.conftest import Server

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]
KINDS = ("params", "metrics", "tags")
CHOOSE_ALL = "boxes => boxes.forEach(box => box.checked || box.click())"
CELLS = "rows => rows.map(row => [...row.cells].slice(2).map(cell => cell.textContent))"
#: Do something for each of some values that reads the table again, and return what it shows then.
EACH = """async (values) => {
    const table = document.querySelector(".runsview");
    const shown = [];
    for (const value of values) {
        const before = table.dataset.ready;
        (ACT)(value);
        while (table.dataset.ready === before) await new Promise(go => setTimeout(go, 2));
        const names = [...table.querySelectorAll("td.name")].map(one => one.textContent);
        shown.push([table.querySelector("[role=alert]:not([hidden])")?.textContent ?? "", ...names]);
    }
    return shown;
}"""
SORT = """title => {
    [...document.querySelectorAll("thead th")].find(one => one.title === title).firstElementChild.click();
}"""
GROUP = """value => {
    const select = document.querySelector("select[aria-label='Group rows by']");
    select.value = value;
    select.dispatchEvent(new Event("change"));
}"""


@pytest.fixture(scope="module")
def named(nasty: Path) -> Iterator[Server]:
    server = Server(nasty)
    yield server
    server.stop()


def rows(page: Any) -> list[str]:
    return page.locator("table.runs td.name a").all_inner_texts()


def choose_all(page: Any) -> None:
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Search columns").wait_for()
    page.locator(".columnlist fieldset:nth-child(n+2) input").evaluate_all(CHOOSE_ALL)
    page.get_by_role("dialog").get_by_role("button", name="Apply").click()
    expect(page.locator("thead th")).to_have_count(2 + 3 + 3 * len(NAMES))


def test_table_shows_sorts_and_groups_by_any_name(visit: Visit, named: Server) -> None:
    page = visit("/", on=named)
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(2)  # with columns that the page chose
    choose_all(page)
    meant = {
        text: (kind, name)
        for kind in KINDS
        for name in NAMES
        for text in (field(kind, name), f"{kind}.{name}")
    }
    titles = page.locator("thead th").evaluate_all("heads => heads.slice(2).map(head => head.title)")
    columns = {title: meant[title] for title in titles if title in meant}
    assert {*columns.values()} == {*meant.values()}
    shown = dict(zip(rows(page), page.locator("tr[data-run]").evaluate_all(CELLS), strict=True))
    for number in range(2):
        cells = dict(zip(titles, shown[f"run-{number}"], strict=True))
        for title, (kind, name) in columns.items():
            assert cells[title] == f"{nasty_values(kind, number)[name]}", title

    chosen = list(columns)[::4]
    page = visit("/?" + urlencode({"col": chosen}, doseq=True), on=named)
    for shown in page.evaluate(EACH.replace("ACT", SORT), chosen):
        assert shown == ["", "run-1", "run-0"]

    options = page.get_by_label("Group rows by").locator("option")
    expect(options).to_have_count(6 + 2 * len(NAMES))
    fields = [value for value in options.evaluate_all("all => all.map(one => one.value)") if value in meant][
        ::3
    ]
    for value, (problem, *shown) in zip(
        fields, page.evaluate(EACH.replace("ACT", GROUP), fields), strict=True
    ):
        kind, name = meant[value]
        heads = [f"▾ {nasty_values(kind, number)[name]} · 1 run" for number in range(2)]
        assert (problem, {*shown}) == ("", {*heads, "run-0", "run-1"}), value


def test_charts_group_by_any_name(visit: Visit, named: Server) -> None:
    with urllib.request.urlopen(f"{named.address}/api/v1/runs", timeout=20) as answer:
        ids = [run["id"] for run in json.load(answer)["runs"]]
    page = visit(f"/charts?run={ids[0]}&run={ids[1]}&q=%5Emax%24", on=named)
    select = page.get_by_label("Group runs by")
    values = select.locator("option").evaluate_all("all => all.map(one => one.value)")
    chosen = [value for value in values if value.startswith(("params[", "tags["))]
    assert len(chosen) > len(NAMES)
    for value in chosen[:: len(chosen) // 4]:
        with page.expect_response(lambda response: "/series/groups" in response.url) as answer:
            select.select_option(value)
        assert [len(group["runs"]) for group in answer.value.json()["groups"]] == [1, 1], value
        expect(page.locator(".runlegend li")).to_have_count(2)
        expect(page.locator(".runlegend")).to_contain_text("1 run")
