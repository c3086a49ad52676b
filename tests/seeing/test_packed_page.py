"""The page of a packed run, opened in a browser without a network."""

from __future__ import annotations

import math
import pathlib
import re
import shutil
import time
from itertools import pairwise

import numpy
import pytest

import tracelet
from tracelet.store.packing import pack

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the packages of the nox session 'seeing'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

SWITCHES = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, store, tmp_path):
    """Return the opened page; a message on its console or a request that leaves the file fails the test."""
    pack(store.runs(sort="name"), tmp_path / "runs.html", title="<b>two</b> runs")
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            complaints.append(request.url) if not request.url.startswith(("file:", "blob:")) else None
        ),
    )
    page.goto((tmp_path / "runs.html").as_uri())
    yield page
    assert complaints == []
    context.close()


def wait_drawn(page):
    """Wait for the first chart. The page's policy forbids what ``wait_for_function`` does."""
    end = time.monotonic() + 30
    while page.evaluate("document.querySelector('canvas').width <= 300"):
        assert time.monotonic() < end
        page.wait_for_timeout(50)


def drawn(page, name):
    """Return how many pixels of a chart are not background."""
    script = """(name) => {
        const figure = [...document.querySelectorAll('figure')].find(one => one.textContent.startsWith(name));
        const canvas = figure.querySelector('canvas'), copy = document.createElement('canvas');
        [copy.width, copy.height] = [canvas.width, canvas.height];
        const pen = copy.getContext('2d', { willReadFrequently: true });
        pen.drawImage(canvas, 0, 0);
        const data = pen.getImageData(0, 0, copy.width, copy.height).data;
        return [...data].filter((value, at) => at % 4 === 3 && value > 0).length;
    }"""
    return page.evaluate(script, name)


def test_runs_curves_and_details_are_shown(page):
    assert page.title() == "<b>two</b> runs"
    assert page.locator("h1").inner_text() == "<b>two</b> runs"
    assert page.locator("tbody tr").first.inner_text().split("\t")[1:3] == ["rate-0.01", "finished"]
    assert sorted(page.locator("figcaption").all_inner_texts()) == ["$odd_{x}", "<b>", "train/loss"]
    wait_drawn(page)
    before = drawn(page, "train/loss")
    assert before > 500
    page.get_by_label("Show rate-0.01", exact=True).uncheck()
    page.wait_for_timeout(200)
    assert drawn(page, "train/loss") < before
    assert page.get_by_text("document.title = 'broken'").count() == 1  # the notes, as text


def test_charts_are_filtered_scaled_and_read(page):
    page.get_by_role("searchbox", name="metrics").fill("^train/")
    assert page.locator("figcaption").all_inner_texts() == ["train/loss"]
    page.get_by_label("log scale").check()
    page.get_by_label("x axis").select_option("time")
    page.get_by_label("x axis").select_option("step")
    canvas = page.locator("canvas").first
    wait_drawn(page)
    canvas.hover(position={"x": 200, "y": 80})
    readout = page.locator(".readout").first
    assert "step 1" in readout.inner_text()
    assert "rate-0.1 " in readout.inner_text()
    page.get_by_role("searchbox", name="metrics").fill("nothing like it")
    assert page.get_by_text("no metric matches").count() == 1


def test_files_can_be_saved_and_are_checked(page, store, tmp_path):
    page.get_by_role("button", name="rate-0.1", exact=True).click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="artifacts/weights.bin").click()
    assert saved.value.path().read_bytes() == bytes(range(256)) * 8
    page.get_by_text("SHA-256 verified").wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the points as CSV").click()
    rows = saved.value.path().read_text().splitlines()
    assert rows[0] == "metric,iteration,value,timestamp"
    loss = [float(row.split(",")[2]) for row in rows if row.startswith('"train/loss"')]
    assert loss == store.run("rate-0.1").metric("train/loss").values


def test_it_fits_a_phone_and_has_labels(page):
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert page.locator("canvas:not([aria-label])").count() == 0


BIG = 2**70 + 1
EXTREMES = {
    "max": [1.7976931348623157e308, -1.7976931348623157e308, 1.0],
    "denormal": [5e-324, 1e-323, 0.0],
    "close": [1.0, 1.0 + 1e-9, 1.0 - 1e-9],
    "negative": [-1.0, -2.0, -3.0],
}
HTML = "<h1>Hello</h1><script>parent.document.title = 'broken'; document.body.append('script ran')</script>"


@pytest.fixture(scope="module")
def unusual(tmp_path_factory):
    """Return a store with a run of extreme values and media, which was resumed at step 60."""
    base = tmp_path_factory.mktemp("unusual")
    params = {"seed": BIG, "id": 1234567890123456789, "lr": 0.000123456789, "sizes": [2**60, 0.1], "t": True}
    for start, stop, more in ((0, 100, {"params": params}), (60, 140, {"resume": True})):
        with tracelet.start_run(
            "odd", run_id="odd-1", dir=base / ".tracelet", plugins=["no:system", "no:environment"], **more
        ) as run:
            for step in range(start, stop):
                run.log({"loss": step + (0.5 if more.get("resume") and step == 63 else 0.0)}, step=step)
    with tracelet.start_run("media", dir=base / ".tracelet", plugins=["no:system", "no:environment"]) as run:
        for name, values in EXTREMES.items():
            for step, value in enumerate(values):
                run.log_metric(name, value, step)
        run.log_metric("far", 0.1 + 0.2, 2**53 + 1)
        for step in (0, 10):
            run.log_image("picture", numpy.full((8, 16, 3), 20 * step, numpy.uint8), step=step)
        run.log_histogram("weights", [1.0, 2.0, 2.0, 3.0], step=0)
        run.log_table("rows", [{"id": 2**60 + 1, "text": "<b>x</b>", "score": 0.1, "none": None}], step=0)
        run.log_audio("tone", numpy.sin(numpy.arange(800.0) / 5), step=0, sample_rate=8000)
        run.log_roc_curve("roc", [0, 1, 1, 0], [0.1, 0.9, 0.4, 0.6], step=0)
        run.log_html("markup", HTML, step=0)
        run.log_text("words", "one\ntwo", step=0)
    return tracelet.open_store(base / ".tracelet")


@pytest.fixture(scope="module")
def opened(browser, unusual, tmp_path_factory):
    """Return the page of these runs, with what it said on the console."""
    file = tmp_path_factory.mktemp("page") / "runs.html"
    pack(unusual.runs(sort="name"), file)
    page = browser.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(file.as_uri())
    wait_drawn(page)
    yield page
    page.close()


def chart(page, name, expression):
    """Return what an expression of a chart's object is."""
    script = f"""async (name) => {{
        const figure = [...document.querySelectorAll('figure')].find(
            (one) => one.querySelector('figcaption').textContent === name);
        figure.scrollIntoView();
        await figure.chart.load();
        return (({{ lines, scale, readout, notes, canvas }}) => {expression})(figure.chart);
    }}"""
    return page.evaluate(script, name)


def test_a_resumed_run_is_the_last_attempt_with_the_earlier_one_behind(opened):
    assert chart(opened, "loss", "[...lines[0].raw]") == [step + 0.5 * (step == 63) for step in range(140)]
    assert chart(opened, "loss", "lines[0].ghosts.map((one) => [...one.ys])") == [list(range(60, 100))]
    note = "steps 60 to 99 computed again: the faint line is attempt 0, up to 0.5 apart at step 63"
    assert chart(opened, "loss", "notes.textContent") == note
    assert drawn(opened, "loss") > 500


def test_every_digit_is_shown(opened):
    opened.get_by_role("button", name="odd", exact=True).click()
    shown = opened.locator("section").inner_text()
    for text in (str(BIG), "1234567890123456789", "0.000123456789", str(2**60), "0.1", "true"):
        assert re.search(rf"\t{re.escape(text)}$", shown, re.MULTILINE), text
    started = opened.locator("tbody tr").first.locator("td").nth(3).inner_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", started)
    assert "far" in chart(opened, "far", "canvas.ariaLabel")
    opened.locator("figure", has_text="far").locator("canvas").hover(position={"x": 200, "y": 80})
    readout = chart(opened, "far", "readout.textContent")
    assert readout == f"step {2**53 + 1}: 0.30000000000000004"


def test_extreme_values_are_drawn_and_the_rest_is_counted(opened):
    for name in EXTREMES:
        chart(opened, name, "lines.length")
        assert drawn(opened, name) > 300, name
    opened.get_by_label("log scale").check()
    assert chart(opened, "max", "notes.textContent") == "1 point not shown: 0 or less on a log axis"
    assert chart(opened, "denormal", "notes.textContent") == "1 point not shown: 0 or less on a log axis"
    assert chart(opened, "negative", "notes.textContent") == "3 points not shown: 0 or less on a log axis"
    assert drawn(opened, "max") > 100
    opened.get_by_label("log scale").uncheck()
    assert opened.complaints == []


def test_ticks_can_be_told_apart(opened):
    source = (pathlib.Path(tracelet.__file__).parent / "store/packing/viewer_numbers.js").read_text()
    ranges = [
        (-1.7976931348623157e308, 1.7976931348623157e308),
        (0, 5e-323),
        (1 - 1e-9, 1 + 1e-9),
        (40.78e9, 40.7801e9),
        (0, 500),
        (-5, -4),
    ]
    both = "[ticks(low, high, 4), tickTexts(ticks(low, high, 4))]"
    script = f"(ranges) => {{ {source}; return ranges.map(([low, high]) => {both}); }}"
    for (low, high), (values, texts) in zip(ranges, opened.evaluate(script, ranges), strict=True):
        assert 2 <= len(values) <= 8
        assert all(low <= value <= high for value in values)
        apart = min(second / 2 - first / 2 for first, second in pairwise(values))
        assert all(
            abs(float(text) / 2 - value / 2) <= apart / 9 for value, text in zip(values, texts, strict=True)
        )
    script = f"(ranges) => {{ {source}; return ranges.map(([low, high]) => logTicks(low, high).places); }}"
    for low, high in (5e-324, 1.79e308), (0.1, 1.0), (2.0, 60.0), (1e9, 1e9 + 1):
        [places] = opened.evaluate(script, [[low, high]])
        assert 2 <= len(places) <= 9
        assert all(math.log10(low) - 1e-9 <= place <= math.log10(high) + 1e-9 for place in places)


def test_media_are_shown_and_html_runs_nothing(opened):
    opened.get_by_role("button", name="media", exact=True).click()
    figures = {
        name: opened.locator("figure.media", has_text=name)
        for name in ("picture", "weights", "rows", "tone", "markup", "words", "roc")
    }
    for figure in figures.values():
        figure.scroll_into_view_if_needed()
    picture = figures["picture"].locator("img")
    picture.wait_for()
    assert picture.evaluate("(one) => one.decode().then(() => [one.naturalWidth, one.naturalHeight])") == [
        16,
        8,
    ]
    before = picture.get_attribute("src")
    figures["picture"].locator("input").fill("1")
    figures["picture"].get_by_text("step 10").wait_for()
    end = time.monotonic() + 10
    while figures["picture"].locator("img").get_attribute("src") == before:
        assert time.monotonic() < end
        opened.wait_for_timeout(20)
    counts = [title.split(": ")[1] for title in figures["weights"].locator("rect title").all_text_contents()]
    assert sum(map(int, counts)) == 4
    assert figures["rows"].locator("td").all_inner_texts() == [str(2**60 + 1), "<b>x</b>", "0.1", "\u2013"]
    figures["tone"].locator("audio").evaluate(
        "(one) => one.readyState || new Promise((done) => one.addEventListener('loadedmetadata', done))"
    )
    assert figures["tone"].locator("audio").evaluate("(one) => one.duration") == pytest.approx(0.1)
    assert figures["words"].locator("pre").inner_text() == "one\ntwo"
    points = (
        opened.locator("figure.media", has_text="roc").locator("polyline").get_attribute("points").split()
    )
    assert (points[0], points[-1]) == ("0,200", "200,0")
    frame = figures["markup"].frame_locator("iframe")
    assert frame.locator("h1").inner_text() == "Hello"
    assert frame.locator("body").inner_text().strip() == "Hello"
    assert "broken" not in opened.title()


def test_a_long_readout_wraps(opened):
    opened.set_viewport_size({"width": 380, "height": 800})
    chart(opened, "close", "readout.textContent = 'a run with a long name 0.123456789 \u00b7 '.repeat(6)")
    box = "[readout.scrollWidth <= readout.clientWidth, readout.clientHeight > 30]"
    assert chart(opened, "close", box) == [True, True]
    assert opened.evaluate("document.documentElement.scrollWidth") <= 380
