"""The table of runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]


def names(page: Any) -> list[str]:
    return page.locator("table.runs td.name a").all_inner_texts()


def cell(page: Any, run: str, column: str) -> str:
    heads = page.locator("table.runs thead th").all_inner_texts()
    place = next(i for i, head in enumerate(heads) if head.rstrip(" ↑↓") == column)
    row = page.locator("table.runs tbody tr[data-run]", has=page.get_by_role("link", name=run, exact=True))
    return row.locator("td").nth(place).inner_text()


def query_of(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_newest_run_is_first_with_its_values(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(8)
    assert names(page)[0] == "diverged"
    assert cell(page, "digits-1", "optimizer") == "sgd"
    assert cell(page, "diverged", "outcome") == "failed"


def test_filter_narrows_the_table_and_is_in_the_address(visit: Visit) -> None:
    page = visit("/")
    page.get_by_label("Filter runs").fill("params.lr < 0.02")
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(2)
    assert query_of(page)["where"] == ["params.lr < 0.02"]
    page.reload()
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(2)
    expect(page.get_by_label("Filter runs")).to_have_value("params.lr < 0.02")


def test_text_that_is_no_expression_is_searched(visit: Visit) -> None:
    page = visit("/")
    rows, searched = page.locator("table.runs tbody tr[data-run]"), page.locator(".searching")
    expect(searched).to_be_hidden()
    page.get_by_label("Filter runs").fill("VISION digits-3")
    expect(rows).to_have_count(1)
    assert names(page) == ["digits-3"]
    expect(searched).to_have_text("Searching names, ids, tags and notes for VISION, digits-3")
    page.reload()
    expect(searched).to_be_visible()
    page.get_by_label("Filter runs").fill("'digits' and params.lr < 0.02")
    expect(rows).to_have_count(2)
    expect(searched).to_contain_text("for digits")
    page.get_by_label("Filter runs").fill("name ~ 'digits*'")
    expect(rows).to_have_count(5)
    expect(searched).to_be_hidden()


def test_mistake_in_the_filter_is_explained_and_the_table_stays(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(8)
    page.visitor.ignore_errors()
    page.get_by_label("Filter runs").fill("params.lr <")
    expect(page.get_by_role("alert")).to_contain_text("column 12")
    expect(page.get_by_role("alert")).to_contain_text("from before")
    expect(page.locator(".tablewrap.stale")).to_be_visible()
    expect(page.get_by_text("8 runs")).to_have_count(0)
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(8)
    page.get_by_label("Filter runs").fill("")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator(".tablewrap.stale")).to_have_count(0)
    expect(page.get_by_text("8 runs")).to_be_visible()


def test_head_sorts_both_ways(visit: Visit) -> None:
    page = visit("/?col=params.lr&where=name~'digits*'")
    head = page.locator("thead").get_by_role("button", name="lr")
    head.click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("lr ↓")
    expect(page.locator("table.runs td.name a").first).to_have_text("digits-0")
    head.click()
    expect(page.locator("table.runs td.name a").first).to_have_text("digits-4")
    assert query_of(page)["sort"] == ["params.lr"]


def test_columns_are_chosen_with_their_statistic(visit: Visit) -> None:
    page = visit("/")
    page.get_by_role("button", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns")
    dialog.get_by_label("Search columns").fill("val/acc")
    dialog.get_by_label("val/accuracy", exact=True).check()
    dialog.get_by_label("Value of metrics.val/accuracy").select_option("max")
    dialog.get_by_role("button", name="Apply").click()
    expect(page.locator("thead")).to_contain_text("val/accuracy.max")
    assert "metrics.val/accuracy.max" in query_of(page)["col"]
    assert float(cell(page, "digits-0", "val/accuracy.max")) > 0.9


def test_keyboard_moves_selects_and_opens(visit: Visit) -> None:
    page = visit("/")
    table = page.get_by_role("grid", name="Runs")
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(8)
    table.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.get_by_text("8 runs, 2 selected")).to_be_visible()
    assert len(query_of(page)["run"]) == 2
    page.keyboard.press("v")
    expect(page).to_have_url(re.compile("/compare"))
    page.go_back()
    expect(page.get_by_text("8 runs, 2 selected")).to_be_visible()
    page.get_by_role("grid", name="Runs").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("diverged")


def test_runs_are_selected_all_at_once_and_in_ranges(visit: Visit) -> None:
    page = visit("/?sort=name")
    rows, everything = page.locator("table.runs tbody tr[data-run]"), page.get_by_label("Select all runs")
    expect(rows).to_have_count(8)
    page.keyboard.press("ArrowDown")  # without a click or a Tab before
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("tr.chosen td.name")).to_have_text(["digits-0", "digits-1"])
    expect(page.locator("tr.active td.name")).to_have_text("digits-1")
    expect(everything).to_have_js_property("indeterminate", True)
    page.get_by_label("Select digits-2").click()
    page.get_by_label("Select media").click(modifiers=["Shift"])
    expect(page.get_by_text("8 runs, 7 selected")).to_be_visible()
    page.get_by_label("Select digits-4").click()
    page.get_by_label("Select digits-2").click(modifiers=["Shift"])
    expect(page.locator("tr.chosen td.name")).to_have_text(["digits-0", "digits-1", "diverged", "media"])
    page.get_by_label("Filter runs").fill("digits")
    expect(rows).to_have_count(5)
    everything.click()
    expect(everything).to_be_checked()
    expect(page.get_by_text("5 runs, 7 selected")).to_be_visible()
    assert len(query_of(page)["run"]) == 7
    everything.click()
    expect(page.get_by_text("5 runs, 2 selected")).to_be_visible()
    page.get_by_label("Group rows by").select_option("params.optimizer")
    page.get_by_label("Select the runs of sgd").click()
    expect(page.locator("tr.chosen td.name")).to_have_text(["digits-1", "digits-3"])
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("5 runs", exact=True)).to_be_visible()
    assert "run" not in query_of(page)


def test_way_back_leads_to_the_table_as_it_was(visit: Visit) -> None:
    page = visit("/?sort=name")
    page.get_by_label("Filter runs").fill("'digits' and params.lr < 0.2")
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(4)
    page.get_by_label("Select digits-3").click()
    before = query_of(page)
    assert {*before} == {"where", "sort", "run"}
    page.get_by_role("button", name="Charts").click()
    page.get_by_role("navigation").get_by_role("link", name="runs").click()
    expect(page.get_by_text("4 runs, 1 selected")).to_be_visible()
    assert query_of(page) == before
    page.get_by_role("link", name="digits-1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("digits-1")
    page.reload()
    page.get_by_role("navigation").get_by_role("link", name="runs").click()
    expect(page.get_by_label("Filter runs")).to_have_value("'digits' and params.lr < 0.2")
    assert query_of(page) == before


def test_table_is_exported(visit: Visit, tmp_path: Path) -> None:
    page = visit("/?col=params.lr&sort=name")
    page.get_by_text("Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text().startswith("id,name,params.lr\n")


def test_view_is_saved_under_a_name(visit: Visit) -> None:
    page = visit("/?where=outcome%3D%27failed%27")
    page.locator("details.menu summary", has_text="Views").click()
    expect(page.get_by_label("Name of the view")).to_be_focused()
    page.get_by_label("Filter runs").click()
    expect(page.get_by_label("Name of the view")).to_be_hidden()
    page.locator("details.menu summary", has_text="Export").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="CSV")).to_be_hidden()
    page.locator("details.menu summary", has_text="Views").click()
    page.get_by_label("Name of the view").fill("failures")
    page.get_by_label("Name of the view").press("Enter")
    page.get_by_label("Filter runs").fill("")
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(8)
    page.locator("details.menu summary", has_text="Views").click()
    page.get_by_role("button", name="failures", exact=True).click()
    expect(page.locator("table.runs tbody tr[data-run]")).to_have_count(1)
