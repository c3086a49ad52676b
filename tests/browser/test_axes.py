"""Axes: every number has a place and every label can be told from the next, whatever was logged."""

from __future__ import annotations

import itertools
import json
import math
import re
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.browser.test_charts import card, count_pixels
from tests.ui.conftest import Server
from tests.ui.sample_runs import PLAIN

import tracelet

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]
MOST, LEAST = 1.7976931348623157e308, 5e-324
LABELS = """([low, high, kind, isLog]) => import("/static/chart/scales.js").then(({ Scale, axisTicks }) => {
    const scale = new Scale(low, high, 0, 330, isLog);
    const { ticks, offset } = axisTicks(scale, kind, 76);
    return { offset, ticks: ticks.map(({ at, label }) => ({ at, label, place: scale.at(at) })) };
})"""
RANGES = [
    (-MOST, MOST), (0, MOST), (0, LEAST), (0, 100 * LEAST), (LEAST, MOST), (LEAST, LEAST), (MOST, MOST),
    (-MOST, -MOST), (0, 0), (1 - 1e-9, 1 + 1e-9), (1, 1 + 2.3e-16), (1e9, 1e9 + 0.2), (40.78e9, 40.781e9),
    (1e15, 1e15 + 4), (-123456.8, -123456.7), (0, 1), (0, 1e-300), (1e300, 2e300), (99999, 100001),
    (2**53, 2**53 + 1), (37.1, 37.1 + 2e-9), (1e-5, 1.00001e-5), (0.97, 1.03),
]  # fmt: skip


MOMENTS = [
    (1.8e9 + 0.25, 0.5, "time", r"\d\d:\d\d:\d\d\.\d"),
    (1.8e9, 0.004, "time", r"\d\d:\d\d:\d\d\.\d{3}"),
    (1.8e9, 86400.0 * 2, "time", r"(\d\d-\d\d )?\d\d:\d\d"),
    (1.8e9, 86400.0 * 1000, "time", r"\d{4}-\d\d-\d\d"),
    (0.0, 4e-5, "relative", r"0|\d+ µs"),
    (0.0, 0.004, "relative", r"0|\d+ ms"),
    (100000.0, 0.004, "relative", r"100000(\.\d+)? s"),
    (0.0, 1e10, "relative", r"0|\d+ d"),
]


@pytest.fixture(scope="module")
def extremes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A run with the greatest and least numbers, and several that are hard to tell apart."""
    folder = tmp_path_factory.mktemp("extremes")
    with tracelet.start_run("extremes", dir=folder, plugins=PLAIN) as run:
        for step in range(60):
            run.log(
                {
                    "ends": MOST if step % 2 else -MOST,
                    "mixed": (MOST, LEAST, -MOST, 0.0, 1.0)[step % 5],
                    "positive": (MOST, LEAST, 1.0)[step % 3],
                    "denormal": step * LEAST,
                    "span": 10.0 ** (10 * step - 300),
                    "free": 40.78e9 + step * 12288.0,
                    "fine": 1 + 1e-9 * math.sin(step / 5),
                    "below": -1.0 - step,
                    "constant": 3.14159,
                    "halves": step - 30.0,
                },
                step=step - 2,
            )
        run.log({"one": MOST}, step=7)
        run.log({"least": LEAST}, step=7)
    server = Server(folder)
    yield server
    server.stop()


def id_of(server: Server) -> str:
    with urllib.request.urlopen(f"{server.address}/api/v1/runs", timeout=20) as answer:
        return str(json.load(answer)["runs"][0]["id"])


def number_of(label: str) -> float:
    """The number that a label says."""
    units = {"T": 1e12, "G": 1e9, "M": 1e6}
    return float(label.rstrip("TGM").replace("\u202f", "").replace(" ", "")) * units.get(label[-1], 1.0)


def test_labels_differ_and_say_where_they_are(visit: Visit) -> None:
    page = visit("/trash")
    for (low, high), is_log in itertools.product(RANGES, (False, True)):
        if is_log and low <= 0:
            continue
        made = page.evaluate(LABELS, [low, high, "value", is_log])
        labels = [one["label"] for one in made["ticks"]]
        what = f"{low} to {high}, log {is_log}: {made}"
        assert labels, what
        assert len(set(labels)) == len(labels), what
        assert all(-1 <= one["place"] <= 331 for one in made["ticks"]), what
        assert len(labels) > 1 or high - low < 10 * LEAST, what
        offset = number_of(made["offset"].removesuffix(" + …")) if made["offset"] else 0.0
        room = min((b["at"] / 2 - a["at"] / 2 for a, b in itertools.pairwise(made["ticks"])), default=MOST)
        for one in made["ticks"]:
            said = offset + number_of(one["label"])
            assert abs(said - one["at"]) <= room / 5, what

    for low, span, kind, said in MOMENTS:
        labels = [one["label"] for one in page.evaluate(LABELS, [low, low + span, kind, False])["ticks"]]
        assert 2 <= len(labels) <= 20, (low, span, labels)
        assert len(set(labels)) == len(labels), (low, span, labels)
        assert all(re.fullmatch(said, label) for label in labels), (low, span, labels)


DRAWN = ("ends", "mixed", "positive", "denormal", "span", "free", "fine", "one", "least")
CUT = """card => {
    const { scaled, base } = card.card.plot;
    const measure = base.getContext("2d");
    const labels = scaled.y.ticks.map(({ label }) => label);
    return labels.filter((label) => measure.measureText(label).width > scaled.left - 6);
}"""


def test_extreme_values_are_drawn_with_whole_labels_or_counted(visit: Visit, extremes: Server) -> None:
    page = visit(f"/charts?run={id_of(extremes)}", on=extremes)
    page.set_viewport_size({"width": 1280, "height": 1800})
    for axes in ((), ("log y",), ("log x",)):
        for axis in axes:
            page.get_by_label(axis, exact=True).check()
        for name in DRAWN:
            assert count_pixels(page, name, "--line-0") >= 4, (name, axes)
            assert card(page, name).evaluate(CUT) == [], (name, axes)
        below, halves = (card(page, name).locator(".legend") for name in ("below", "halves"))
        if axes == ("log y",):
            expect(below).to_contain_text("60 values ≤ 0: not on the log axis")
            expect(halves).to_contain_text("31 values ≤ 0: not on the log axis")
            assert count_pixels(page, "below", "--line-0") > 50  # the marks
    expect(halves).to_contain_text("28 values ≤ 0: not on the log axis")
    expect(halves).to_contain_text("3 points with x ≤ 0: not on the log x axis")
    assert "57 values ≤ 0" in card(page, "below").get_by_role("img").get_attribute("aria-label")
    for axis in ("log x", "log y"):
        page.get_by_label(axis, exact=True).uncheck()
    expect(halves).not_to_contain_text("≤ 0")
    with page.expect_response(re.compile(r"/series\?.*x=metric")):
        page.get_by_label("Horizontal axis").select_option("metric:mixed")
    script = "card => card.card.plot.scaled.x.high > 1e308"
    assert any(card(page, "ends").evaluate(script) or page.wait_for_timeout(100) for _ in range(100))
    assert count_pixels(page, "ends", "--line-0") >= 4
    page.get_by_label("Horizontal axis").select_option("step")
    page.get_by_label("Smoothing").fill("0.9")
    for name in ("constant", "one", "least"):  # the mean of equal numbers is that number
        script = "card => card.card.plot.lines.at(-1).y.every((one) => one === card.card.plot.lines[0].y[0])"
        assert card(page, name).evaluate(script), name


def test_line_between_two_points_of_a_zoom_is_drawn(visit: Visit, extremes: Server) -> None:
    address = f"/charts?run={id_of(extremes)}&search=free|one|ends&from=20.4999999&to=20.5"
    page = visit(address, on=extremes)
    for name in ("free", "ends"):
        assert count_pixels(page, name, "--line-0") > 50
        expect(card(page, name).locator(".legend")).to_have_text(re.compile("last in the range *–"))  # noqa: RUF001
    assert count_pixels(page, "one", "--line-0") == 0
    for axis in ("log x", "log y"):
        page.get_by_label(axis, exact=True).check()
        assert count_pixels(page, "free", "--line-0") > 50
