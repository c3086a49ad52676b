"""The page of a packed run, opened in a browser without a network."""

from __future__ import annotations

import shutil
import time

import pytest

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
