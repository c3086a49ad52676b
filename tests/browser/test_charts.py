"""Charts: what they draw is read from the canvas and from what they say to a screen reader."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.ui.sample_runs import PLAIN

import tracelet

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]


def charts_of(ids: dict[str, str], *names: str, **more: str) -> str:
    query = [*(f"run={ids[name]}" for name in names), *(f"{key}={value}" for key, value in more.items())]
    return f"/charts?{'&'.join(query)}"


def card(page: Any, name: str) -> Any:
    found = page.locator(f".card[data-name='{name}'][data-ready]")
    found.wait_for()
    return found


def count_pixels(page: Any, name: str, color: str) -> int:
    """Return how many pixels of a chart's lines have a color of the theme."""
    script = """([canvas, name]) => {
        const probe = document.createElement("canvas").getContext("2d");
        probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        probe.fillRect(0, 0, 1, 1);
        const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) count += data[i] === r && data[i + 1] === g && data[i + 2] === b;
        return count;
    }"""
    canvas = card(page, name).locator("canvas.lines").element_handle()
    return int(page.evaluate(f"(given) => ({script})(given)", [canvas, color]))


def test_lines_of_several_runs_have_their_colors(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-1", "digits-3"))
    card(page, "val/loss")
    expect(page.locator(".card[data-ready]").nth(3)).to_be_attached(timeout=20_000)
    assert count_pixels(page, "train/loss", "--line-0") > 100
    assert count_pixels(page, "train/loss", "--line-1") > 100
    assert count_pixels(page, "train/loss", "--line-2") == 0
    label = card(page, "train/loss").get_by_role("img").get_attribute("aria-label")
    assert label.startswith("train/loss: line chart of 2 runs. digits-1: last ")
    assert page.locator(".group summary h2").all_inner_texts() == ["metrics", "train", "val"]


def test_search_by_regular_expression(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-1"))
    search = page.get_by_label("Search metrics by regular expression")
    search.fill("^val/(loss|acc)")
    expect(page.get_by_text("2 of 5 charts")).to_be_visible()
    assert page.locator(".card h3").all_inner_texts() == ["val/accuracy", "val/loss"]
    search.fill("val/(")
    expect(page.get_by_text("not a regular expression")).to_be_visible()


def test_dragging_zooms_all_charts_and_reads_the_range_again(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-1", search="loss"))
    plot = card(page, "train/loss").locator("canvas.cursor")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 120, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 60, steps=4)
    with page.expect_request(re.compile(r"/series\?.*from=")):
        page.mouse.up()
    query = parse_qs(urlsplit(page.url).query)
    first, last = float(query["from"][0]), float(query["to"][0])
    assert 0 < first < last < 399
    expect(page.get_by_role("button", name="reset zoom")).to_be_visible()
    plot.dblclick()
    expect(page.get_by_role("button", name="reset zoom")).to_be_hidden()
    assert "from" not in parse_qs(urlsplit(page.url).query)


def test_pointer_shows_values_in_all_charts(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-1", "digits-2", search="loss"))
    card(page, "val/loss")
    card(page, "train/loss").locator("canvas.cursor").hover(position={"x": 200, "y": 80})
    tip = card(page, "train/loss").locator(".tip")
    expect(tip).to_contain_text("step ")
    expect(tip).to_contain_text("digits-1")
    expect(tip).to_contain_text("digits-2")
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)"
    assert card(page, "val/loss").locator("canvas.cursor").evaluate(drawn)


def test_keyboard_moves_the_cursor_and_zooms(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-1", search="train/loss"))
    chart = card(page, "train/loss")
    chart.locator("canvas.cursor").focus()
    page.keyboard.press("ArrowRight")
    expect(chart.locator(".tip")).to_contain_text("step ")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="reset zoom")).to_be_visible()
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="reset zoom")).to_be_hidden()


def test_smoothing_keeps_the_raw_line_behind(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-4", search="train/accuracy"))
    sharp = count_pixels(page, "train/accuracy", "--line-0")
    page.get_by_label("Smoothing").fill("0.95")
    assert parse_qs(urlsplit(page.url).query)["smooth"] == ["0.95"]
    smoothed = count_pixels(page, "train/accuracy", "--line-0")
    assert 0 < smoothed < sharp
    pale = """c => {
        const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
        return data.filter((alpha, i) => i % 4 === 3 && alpha > 40 && alpha < 110).length;
    }"""
    assert card(page, "train/accuracy").locator("canvas.lines").evaluate(pale) > 100


def test_what_is_not_finite_is_marked_and_counted(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "digits-0", search="train/loss"))
    expect(card(page, "train/loss").locator(".legend")).to_contain_text("5 not finite")
    logged = visit(charts_of(ids, "digits-0", search="train/loss", logy="1", logx="1"))
    assert count_pixels(logged, "train/loss", "--line-0") > 50


def test_recomputed_stretch_is_shown(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(charts_of(ids, "resumed"))
    expect(card(page, "train/loss").locator(".ghost")).to_have_text(
        re.compile(r"60 steps recomputed: differ by up to 0\.\d+ \(step 1\d\d\)")
    )


@pytest.mark.parametrize(("axis", "said"), [("relative", r"\d+(\.\d+)? (µs|ms|s)"), ("time", r"20\d\d-")])
def test_axis_can_be_time(visit: Visit, ids: dict[str, str], axis: str, said: str) -> None:
    page = visit(charts_of(ids, "digits-1", search="train/loss"))
    card(page, "train/loss")
    page.get_by_label("Horizontal axis").select_option(axis)
    chart = card(page, "train/loss")
    page.wait_for_timeout(500)
    chart.locator("canvas.cursor").hover(position={"x": 200, "y": 80})
    expect(chart.locator(".tip")).to_have_text(re.compile(said))


def test_only_charts_near_the_screen_are_drawn(visit: Visit, ids: dict[str, str]) -> None:
    page = visit(f"/run/{ids['media']}?tab=charts")
    card(page, "quality")
    page.wait_for_timeout(500)
    total = page.locator(".card").count()
    assert 3 <= page.locator("canvas.lines").count() < total
    page.locator(".card").last.scroll_into_view_if_needed()
    page.locator(".card").last.locator("canvas.lines").wait_for()
    expect(page.locator(".card[data-name=quality] canvas")).to_have_count(0)


def test_new_points_of_a_run_appear(visit: Visit, serve: Callable[..., Any], tmp_path: Any) -> None:
    with tracelet.start_run("live", dir=tmp_path / "data", plugins=PLAIN) as run:
        for step in range(50):
            run.log_metric("loss", 1.0 / (1 + step), step=step)
        page = visit(f"/run/{run.id}?tab=charts", on=serve(tmp_path / "data"))
        chart = card(page, "loss")
        expect(page.locator(".runhead .badge")).to_have_text("running")
        page.wait_for_timeout(800)  # until the stream is open
        before = len([url for url in page.visitor.requests if "/series" in url])
        run.log_metric("loss", 42.5, step=50)
        expect(chart.locator(".legend b")).to_have_text("42.5")
        run.log_metric("other", 1.0, step=50)
        card(page, "other")
        after = [url for url in page.visitor.requests if "/series" in url]
        assert not any("name=loss" in url for url in after[before:])  # only increments were sent
    expect(page.locator(".runhead .badge")).to_have_text("finished")
