"""Groups and pinned columns in the table, groups in charts, x = another metric, and the trash."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.browser.test_charts import card, charts_of, count_pixels
from tests.browser.test_legend import hover
from tests.ui.sample_runs import PLAIN

import tracelet

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]


def query_of(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_rows_are_grouped_folded_and_selected(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("tr[data-run]")).to_have_count(8)
    page.get_by_label("Group rows by").select_option(label="optimizer")
    heads = page.locator("tr.group td.name")
    expect(heads).to_have_text(["▾ adam · 3 runs", "▾ sgd · 2 runs", "▾ none · 3 runs"])
    heads.first.click()
    expect(page.locator("tr[data-run]")).to_have_count(5)
    page.get_by_label("Select the runs of sgd").check()
    expect(page.get_by_text("8 runs, 2 selected")).to_be_visible()
    page.reload()
    expect(heads).to_have_text(["▸ adam · 3 runs", "▾ sgd · 2 runs", "▾ none · 3 runs"])
    expect(page.get_by_text("8 runs, 2 selected")).to_be_visible()
    page.get_by_role("treegrid", name="Runs").focus()
    page.keyboard.press("Enter")
    expect(page.locator("tr[data-run]")).to_have_count(8)
    assert "fold" not in query_of(page)


def test_pinned_column_stays_beside_the_name(visit: Visit) -> None:
    page = visit(
        "/?col=started&col=outcome&col=notes&col=host&col=project&col=params.seed&col=params.optimizer&col=params.lr"
    )
    page.set_viewport_size({"width": 760, "height": 600})
    page.get_by_role("button", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns")
    dialog.get_by_role("button", name="Pin params.lr").click()
    dialog.get_by_role("button", name="Apply").click()
    head = page.locator("table.runs th.pin")
    expect(head).to_have_text("lr")
    assert query_of(page)["pin"] == ["params.lr"]
    before = head.bounding_box()
    page.locator(".tablewrap").evaluate("one => { one.scrollLeft = 200; }")
    assert page.locator(".tablewrap").evaluate("one => one.scrollLeft") > 50
    page.wait_for_timeout(100)
    assert head.bounding_box()["x"] == pytest.approx(before["x"], abs=2)
    page.goto(page.visitor.address)  # without an address, what was chosen last
    expect(page.locator("table.runs th.pin")).to_have_text("lr")


def test_runs_become_groups_with_a_band(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, *(f"digits-{number}" for number in range(5)), search="train/loss"))
    card(page, "train/loss")
    with page.expect_request(re.compile(r"/series/groups\?.*by=params.optimizer")):
        page.get_by_label("Group runs by").select_option(label="optimizer")
    expect(page.get_by_label("Runs", exact=True)).to_have_text(re.compile("adam 3 runs.*sgd 2 runs"))
    chart = card(page, "train/loss")
    expect(chart.locator(".legend")).to_contain_text("adam: 5 not finite, left out")
    assert count_pixels(page, "train/loss", "--line-0") > 50
    assert count_pixels(page, "train/loss", "--line-2") == 0
    chart.locator("canvas.cursor").hover(position={"x": 200, "y": 80})
    expect(chart.locator(".tip")).to_contain_text(re.compile(r"sgd 0\.\d+ to \d\.\d+, 2 runs"))
    for at in (70, 200, 260, 330):  # beside the cursor, and inside the chart
        chart.locator("canvas.cursor").hover(position={"x": at, "y": 90})
        tip, plot = chart.locator(".tip").bounding_box(), chart.locator(".plot").bounding_box()
        assert plot["x"] - 1 <= tip["x"]
        assert tip["x"] + tip["width"] <= plot["x"] + plot["width"] + 1
    hover(page, "train/loss", 205)
    expect(chart.locator(".tip div").first).to_have_text("step 205")  # 400 steps fit: nothing is binned
    page.get_by_label("Band of a group").select_option("std")
    chart.locator("canvas.cursor").hover(position={"x": 210, "y": 80})
    expect(chart.locator(".tip")).to_contain_text("± ")
    assert query_of(page)["by"] == ["params.optimizer"]
    assert query_of(page)["band"] == ["std"]


def test_x_is_another_metric(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-1", search="train/loss"))
    card(page, "train/loss")
    with page.expect_request(re.compile("x=metric%3Aval%2Faccuracy")):
        page.get_by_label("Horizontal axis").select_option("metric:val/accuracy")
    page.wait_for_timeout(400)
    card(page, "train/loss").locator("canvas.cursor").hover(position={"x": 200, "y": 80})
    expect(card(page, "train/loss").locator(".tip")).to_contain_text(re.compile(r"val/accuracy 0\.\d+"))


def test_trash_restores_and_empties(visit: Visit, serve: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("one", "two"):
        with tracelet.start_run(name, dir=tmp_path / "data", plugins=PLAIN) as run:
            run.log_metric("loss", 1.0, step=0)
    store = tracelet.open_store(tmp_path / "data")
    for record in store.runs():
        store.delete(record)
    locked = visit("/trash", on=serve(tmp_path / "data", "--read-only"))
    expect(locked.locator("tr[data-run]")).to_have_count(2)
    expect(locked.get_by_role("button", name="Restore")).to_have_count(0)
    expect(locked.get_by_role("button", name="Empty the trash")).to_have_count(0)
    page = visit("/", on=serve(tmp_path / "data"))
    page.get_by_role("link", name="Trash").click()
    page.get_by_role("button", name="Restore one").click()
    expect(page.locator("tr[data-run]")).to_have_count(1)
    page.get_by_role("button", name="Empty the trash").click()
    page.get_by_role("button", name="Remove for good").click()
    expect(page.get_by_text("the trash is empty")).to_be_visible()
    assert [record.name for record in tracelet.open_store(tmp_path / "data").runs()] == ["one"]
    assert store.trash() == []
