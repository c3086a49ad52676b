"""The page of one run, and the comparison of several."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.store import open_store

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]


def panel(page: Any) -> Any:
    found = page.locator("#panel[data-ready]")
    found.wait_for()
    return found


def test_overview_has_metrics_params_and_facts(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['digits-1']}")
    row = panel(page).get_by_role("row", name=re.compile("^val.accuracy"))
    expect(row).to_contain_text("0.93")
    expect(panel(page).locator("details.tree", has_text="model")).to_contain_text("depth")
    expect(page).to_have_title("digits-1 · tracelet")


def test_failure_is_shown_as_text(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['diverged']}")
    expect(page.locator(".runhead .error")).to_contain_text("the loss is not finite <b>any more</b>")


def test_tabs_are_in_the_address_and_on_the_keyboard(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=media")
    expect(page.get_by_role("tab", name="Media")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Media").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Console")).to_have_attribute("aria-selected", "true")
    assert "tab=console" in page.url


def test_media_of_every_kind(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=media")
    media = panel(page)
    kinds = {one.get_attribute("data-kind") for one in media.locator(".mediacard").all()}
    assert kinds == {"histogram", "image", "table", "confusion_matrix", "roc_curve", "text", "html"}
    picture = media.locator("[data-kind=image] img")
    expect(picture).to_have_js_property("naturalWidth", 32)
    expect(media.get_by_role("img", name=re.compile("^confusion matrix .* 171 of 200 right"))).to_be_visible()
    expect(media.get_by_role("img", name=re.compile("^ROC curve "))).to_be_visible()
    expect(media.locator("[data-kind=text] pre")).to_have_text("a <script>alert(1)</script> text")


def test_slider_goes_through_the_steps(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=media")
    weights = panel(page).locator(".mediacard[data-name=weights]")
    expect(weights.locator("output")).to_have_text("step 40")
    last = weights.get_by_role("img", name=re.compile("^histogram weights")).get_attribute("aria-label")
    page.get_by_label("Step of weights").fill("0")
    expect(weights.locator("output")).to_have_text("step 0")
    expect(weights.get_by_role("img", name=re.compile("^histogram weights"))).not_to_have_attribute(
        "aria-label", last
    )
    assert "m.weights.histogram=0" in page.url


def test_table_is_sorted_and_searched(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=media")
    table = panel(page).locator(".mediacard[data-name=errors]")
    table.get_by_role("button", name="score").click()
    table.get_by_role("button", name="score").click()
    expect(table.locator("tbody tr").first).to_contain_text("0.99")
    table.get_by_label("Search the table").fill("image 12")
    expect(table.locator("tbody tr")).to_have_count(1)


def test_html_cannot_reach_the_page(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=media")
    frame = panel(page).locator("iframe")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    expect(frame.content_frame.get_by_role("heading")).to_have_text("Report")
    expect(page).to_have_title("media · tracelet")


def test_console_is_searched(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=console")
    expect(panel(page).locator(".line").first).to_contain_text("epoch 0: <b>loss</b> 1.000")
    page.get_by_label("Search the console").fill("EPOCH 3")
    expect(page.locator(".console .line")).to_have_count(1)
    expect(page.locator(".console mark")).to_have_text("epoch 3")
    assert "q=EPOCH+3" in page.url
    page.set_viewport_size({"width": 390, "height": 800})
    number = page.locator(".console .no").first
    height = number.evaluate("(one) => one.clientHeight")
    number.evaluate("(one) => { one.textContent = '1234567'; }")  # on one line however long it is
    assert number.evaluate("(one) => one.clientHeight") == height
    assert number.evaluate("(one) => one.scrollWidth <= one.clientWidth")


def test_artifact_is_previewed_and_downloaded(visit: Visit, ids: dict[str, str], tmp_path: Path) -> None:
    page = visit(f"/run/{ids['media']}?tab=files")
    expect(panel(page).locator("pre.source")).to_contain_text("<img src=x onerror=alert(1)>")
    with page.expect_download() as download:
        panel(page).get_by_role("link", name="download").click()
    download.value.save_as(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text().startswith("kept with the run")


def test_plugins_losses_and_delivery(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=plugins")
    expect(panel(page)).to_contain_text("console")
    expect(panel(page)).to_contain_text("not recorded: a text")
    expect(panel(page)).to_contain_text("the run has no backends")


def test_run_is_edited_archived_and_deleted(visit: Visit, serve: Callable[..., Any], tmp_path: Path) -> None:
    with tracelet.start_run("before", dir=tmp_path / "data", plugins=PLAIN) as run:
        run.log_metric("loss", 1.0)
    page = visit(f"/run/{run.id}", on=serve(tmp_path / "data"))
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("after")
    dialog.get_by_label("Tags").fill("team=vision\nbest")
    dialog.get_by_label("Notes").fill(
        "## Why\n- **bold** <script>alert(1)</script>\n- [link](javascript:alert(1))"
    )
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("after")
    expect(page.locator(".notes strong")).to_have_text("bold")
    expect(page.locator(".notes")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator(".notes a")).to_have_count(0)
    record = open_store(tmp_path / "data").run(run.id)
    assert (record.name, record.tags) == ("after", {"team": "vision", "best": ""})
    page.on("dialog", lambda one: one.accept())
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("no runs yet")).to_be_visible()


def test_read_only_page_offers_no_edits(
    visit: Visit, serve: Callable[..., Any], samples: Path, ids: dict[str, str]
) -> None:
    page = visit(f"/run/{ids['digits-1']}", on=serve(samples, "--read-only"))
    panel(page)
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)
    expect(page.locator("#bar")).to_contain_text("read-only")


def test_comparison_shows_differences_from_the_baseline(visit: Visit, ids: dict[str, str]) -> None:
    query = "&".join(f"run={ids[name]}" for name in ("digits-0", "digits-1", "digits-2"))
    page = visit(f"/compare?{query}")
    table = page.get_by_role("region", name="Comparison")
    expect(table.get_by_role("row", name=re.compile("^lr 0.3"))).to_be_visible()
    expect(table).not_to_contain_text("model/hidden")
    best = table.get_by_role("row", name=re.compile("^val.accuracy"))
    expect(best.locator("td.best")).to_have_count(1)
    expect(best.locator(".worse").last).to_contain_text("%")
    page.get_by_role("button", name="set as baseline").last.click()
    expect(table.get_by_role("row", name=re.compile("^val.accuracy")).locator(".better")).to_have_count(2)
    page.get_by_label("also equal params").check()
    expect(table).to_contain_text("model/hidden")
    expect(page.get_by_role("img", name=re.compile("of 3 runs$"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^parallel coordinates of 3 runs"))).to_be_visible()


def test_panels_of_a_plugin(
    visit: Visit, serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tracelet.toml").write_text("")
    (tmp_path / "tracelet_plugins.py").write_text(
        "import tracelet\n\n@tracelet.hookimpl\ndef ui_panels(run):\n"
        "    rows = [{'step': i, 'square': i * i, 'name': '<b>x</b>'} for i in range(5)]\n"
        "    axes = {'x': 'step', 'y': 'square'}\n"
        "    yield {'title': 'Rows', 'data': rows}\n"
        "    for kind in ('line', 'scatter', 'bar'):\n"
        "        yield {'title': kind, 'data': rows, 'chart': {'type': kind, **axes}}\n"
    )
    with tracelet.start_run("first", dir=tmp_path / ".tracelet", plugins=PLAIN) as run:
        run.log_metric("loss", 1.0)
    monkeypatch.chdir(tmp_path)
    page = visit(f"/run/{run.id}?tab=plugins", on=serve(tmp_path))
    panels = panel(page).locator(".pluginpanel")
    expect(panels).to_have_count(4)
    expect(panels.first.locator("tbody tr")).to_have_count(5)
    expect(panels.first).to_contain_text("<b>x</b>")
    expect(page.get_by_role("img", name="line: square over step")).to_be_visible()
    expect(panels.last).to_contain_text("16")


def test_unknown_run_is_explained(visit: Visit) -> None:
    page = visit("/run/nothing")
    page.visitor.wrong.clear()
    expect(page.get_by_role("alert")).to_contain_text("nothing")
    page.visitor.wrong.clear()  # the browser logs the status 404
