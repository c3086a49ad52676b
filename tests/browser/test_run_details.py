"""The page of a run and the comparison, with values, names, labels and damage that are hard to show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ui.conftest import Server
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.journal import Writer
from tracelet.store import open_store

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
numpy = pytest.importorskip("numpy")
Visit = Callable[..., Any]

EXACT = {
    "lr": 0.000123456789,
    "seed": 2**70 + 1,
    "big": -1234567890123456789,
    "edge": 2**53,
    "threshold": 0.1234567890123,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "text": "0012",
    "digits in a text": "[1234567890123456789]",
    "model/hidden": 64,
    "model/act/kind": "relu",
    "model/act/slope": 0.1,
    "models": 3,
    "model": "of its own",
    "/model/ends/": 1,
    "one/alone": True,
}
LONG = "a/very/long/" + "name_without_end_" * 20
LABELS = ["cat", "very long label name here", "hörse", "日本語のとても長いラベル名です", "x" * 80]
NOTES = "Results:\n\n| run | loss |\n|:--|--:|\n| **a** | `x|y` |\n| b | 2 |\n\nSee ![curve](https://example.com/c.png)."


def record_matrix(run: tracelet.Run, labels: list[str]) -> None:
    truth = [i % len(labels) for i in range(400)]
    guesses = [(one + (i % 9 == 0)) % len(labels) for i, one in enumerate(truth)]
    run.log_confusion_matrix(f"classes {len(labels)}", truth, guesses, labels=labels)


def record_hard_runs(folder: Path) -> None:
    with tracelet.start_run("sweep", dir=folder, plugins=PLAIN) as sweep:
        sweep.log_params({LONG: LONG})
    with tracelet.start_run(
        "exact", dir=folder, plugins=PLAIN, params=EXACT, parent=sweep.id, notes=NOTES
    ) as run:
        for step in range(5):
            run.log({"acc": 0.9876543210123, LONG: step, "loss": 1.0 / (step + 1)}, step=step)
            run.log_image("picture", numpy.full((8, 8), step * 20, "uint8"), step=step)
        record_matrix(run, LABELS)
        for count in (2, 12, 50):
            record_matrix(run, [f"class number {i}" for i in range(count)])
        run.log_table("rows", [[2**60 + 1, 0.1234567890123]], columns=["id", "value"])
        run.log_embedding("words", numpy.random.default_rng(0).normal(size=(30, 5)), labels=list("abc" * 10))
        run.log_mesh("shape", numpy.zeros((3, 3), "float32"))
    for number in range(4):
        params = {"lr": 10.0 ** -(number + 1), "opt": ["adam", "sgd"][number % 2], "batch": 2 ** (number + 5)}
        if number == 3:
            del params["batch"]
        with tracelet.start_run(f"try {number}", dir=folder, plugins=PLAIN, params=params) as run:
            run.log({"loss": 0.5 + number, "extreme": (-1.7e308, 0.0, 5e-324, 1.7e308)[number]})
    with tracelet.start_run("damaged", dir=folder, plugins=PLAIN) as run:
        for step in range(3000):
            run.log_metric("loss", 1.0, step=step)
        run.log_metric("loss", "a text")
    for number in range(51):
        id = f"small-{number}"
        with Writer(folder / "runs" / id, {"run": {"id": id, "name": id, "project": "small"}}) as writer:
            writer.row({"loss": float(number)}, 0)
            writer.close("finished")
    journal = max((folder / "runs" / run.id).rglob("*"), key=lambda one: one.is_file() and one.stat().st_size)
    data = bytearray(journal.read_bytes())
    middle = len(data) // 8
    data[middle : middle + 4000] = bytes(one ^ 0x5A for one in data[middle : middle + 4000])
    journal.write_bytes(data)


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("hard") / ".tracelet"
    record_hard_runs(folder)
    server = Server(folder)
    yield server, {record.name: record.id for record in open_store(folder).runs()}
    server.stop()


@pytest.fixture
def open_run(visit: Visit, hard: tuple[Server, dict[str, str]]) -> Visit:
    server, ids = hard

    def open_view(path: str, **more: Any) -> Any:
        for name, id in ids.items():
            path = path.replace(f"{{{name}}}", id)
        page = visit(path, on=server, **more)
        page.set_viewport_size({"width": 1400, "height": 900})
        return page

    return open_view


def violations(page: Any) -> list[tuple[str, str]]:
    """What keeps people from using the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found]


def values_of(page: Any) -> dict[str, str]:
    """What the tree of params says, by whole name."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => {
          const name = (one) => one.title || one.textContent;
          const above = (one) => {
            const fold = one.closest("details.tree");
            return fold ? `${above(fold.parentElement)}${name(fold.querySelector("summary"))}/` : "";
          };
          const heads = [...document.querySelectorAll(".overview dt")];
          return Object.fromEntries(heads.map((one) => [above(one) + name(one), one.nextElementSibling.textContent]));
        }"""
    )


def test_overview_has_every_digit_relatives_and_notes(open_run: Visit, hard: Any) -> None:
    page = open_run("/run/{exact}")
    page.locator(".overview").wait_for()
    found = values_of(page)
    assert {name: found.get(name) for name in EXACT} == {
        name: "true" if value is True else str(value) for name, value in EXACT.items()
    }
    metric = page.get_by_role("row", name=re.compile("^acc"))
    expect(metric.locator("td").first).to_have_text("0.98765")
    expect(metric.locator("td").first).to_have_attribute("title", "0.9876543210123")
    expect(page.get_by_role("link", name="sweep")).to_have_attribute("href", f"/run/{hard[1]['sweep']}")
    notes = page.locator(".notes")
    expect(notes.locator("tbody tr")).to_have_text(["ax|y", "b2"])
    expect(notes.locator("td.number strong, td.number code")).to_have_text("x|y")
    expect(notes.get_by_role("link", name="image: curve")).to_have_attribute(
        "href", "https://example.com/c.png"
    )
    expect(page.locator(".damage")).to_have_count(0)
    assert violations(page) == []
    page.locator("summary", has_text="model").first.click()
    expect(page.get_by_text("hidden", exact=True)).to_be_hidden()
    page.get_by_role("link", name="sweep").click()
    expect(page.get_by_role("link", name="exact")).to_be_visible()
    expect(page.get_by_role("link", name="show them in the table")).to_be_visible()
    expect(page.get_by_text("this run recorded no metrics")).to_be_visible()
    assert violations(page) == []


def test_table_and_comparison_have_every_digit(open_run: Visit) -> None:
    page = open_run("/?col=params.seed&col=params.lr&col=metrics.acc&where=name == 'exact'")
    cells = page.locator("tr[data-run] td:not(.check):not(.name)")
    expect(cells).to_have_text([str(EXACT["seed"]), str(EXACT["lr"]), "0.98765"])
    expect(cells.last).to_have_attribute("title", "0.9876543210123")
    page = open_run("/compare?run={exact}&run={try 0}")
    for name in ("seed", "threshold", "tiny", "huge"):
        row = page.get_by_role("region", name="Comparison").get_by_role("row", name=re.compile(f"^{name} "))
        expect(row.locator("td").first).to_have_text(str(EXACT[name]))


def test_long_names_stretch_no_tab(open_run: Visit) -> None:
    page = open_run("/run/{exact}")
    too_wide = []
    for tab in ("Media", "Console", "Code", "Artifacts", "Plugins", "Overview"):
        page.get_by_role("tab", name=tab).click()
        page.locator("#panel[data-ready]").wait_for()
        for width in (390, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                too_wide.append((tab, width))
    assert too_wide == []
    region = page.get_by_role("region", name="Metrics")
    inside, outside = region.evaluate("(one) => [one.scrollWidth, one.clientWidth]")
    assert inside <= outside
    last = region.locator("thead th").last.bounding_box()
    card = page.locator(".overview .metrics").bounding_box()
    assert last["x"] + last["width"] <= card["x"] + card["width"]
    expect(region.locator("tbody th").first).to_have_attribute("title", LONG)


OVERLAPS = """(drawing) => {
  const boxOf = (one) => one.getBoundingClientRect();
  const texts = [...drawing.querySelectorAll(":scope > text.axis")].map((one) => [one.textContent, boxOf(one)]);
  const frame = boxOf(drawing);
  const isCut = (box) => box.left < frame.left - 1 || box.right > frame.right + 1
    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  const shared = (a, b, low, high) => Math.min(a[high], b[high]) - Math.max(a[low], b[low]);
  const meet = (a, b) => shared(a, b, "left", "right") > 1 && shared(a, b, "top", "bottom") > 3;
  const others = (a, i) => texts.slice(i + 1).filter(([, b]) => meet(a, b)).map(([name]) => name);
  const over = texts.flatMap(([name, a], i) => others(a, i).map((other) => `${name} and ${other}`));
  return [...texts.filter(([, box]) => isCut(box)).map(([name]) => `cut: ${name}`), ...over];
}"""


def test_media_is_readable_and_opens_large(open_run: Visit) -> None:
    page = open_run("/run/{exact}?tab=media")
    matrices = page.locator("svg.matrix")
    expect(matrices).to_have_count(4)
    for drawing in matrices.all():
        assert drawing.evaluate(OVERLAPS) == []
    titles = matrices.first.locator("text title").all_text_contents()
    assert set(titles) == set(LABELS)
    table = page.locator(".mediacard[data-name=rows] tbody td")
    expect(table).to_have_text([str(2**60 + 1), "0.12346"])
    expect(table.last).to_have_attribute("title", "0.1234567890123")
    expect(page.locator(".mediacard[data-kind=embedding] circle")).to_have_count(30)
    expect(page.locator(".mediacard[data-kind=mesh]")).to_contain_text("viewer of PLY files")
    page.get_by_role("button", name="Open picture large").click()
    large = page.get_by_role("dialog", name="Picture")
    expect(large).to_contain_text("picture, step 4 · 5 of 5")
    for _ in range(7):  # more than there are: the keys go on to work at the first
        page.keyboard.press("ArrowLeft")
    expect(large).to_contain_text("step 0 · 1 of 5")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(large).to_contain_text("step 2 · 3 of 5")
    page.keyboard.press("ArrowRight")
    expect(large).to_contain_text("step 3 · 4 of 5")
    assert large.locator("img").bounding_box()["height"] > 600
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(page.locator(".mediacard[data-name=picture] output")).to_have_text("step 3")


def test_damage_is_said_at_the_top(open_run: Visit, hard: Any) -> None:
    server, ids = hard
    page = open_run("/run/{damaged}")
    notice = page.locator(".damage")
    expect(notice).to_contain_text(re.compile(r"\d+ records? (has|have) a wrong checksum"))
    expect(notice).to_contain_text("1 value was not recorded: a text")
    expect(notice).to_contain_text(f"tracelet verify {ids['damaged']}")
    answer = page.request.get(f"{server.address}/api/v1/runs/{ids['damaged']}/losses").json()
    said = int(re.search(r"([\d ]+) records? ha", notice.inner_text())[1].replace(" ", ""))  # type: ignore[index]
    assert said == answer["damage"]["damaged"] > 0
    page.get_by_role("tab", name="Plugins").click()
    expect(page.locator("#panel")).to_contain_text("a wrong checksum")


def test_parallel_coordinates_are_chosen_brushed_and_colored(open_run: Visit) -> None:
    runs = "&".join(f"run={{try {number}}}" for number in range(4))
    page = open_run(f"/compare?{runs}")
    card = page.get_by_role("region", name="Parallel coordinates")
    texts = card.locator("svg text").evaluate_all("(all) => all.map((one) => one.firstChild.textContent)")
    assert texts == [
        *("lr", "0.0001", "0.1", "opt", "adam", "sgd", "batch", "32", "128", "none"),
        *("extreme", "-1.700e308", "1.700e308", "loss", "0.5", "3.5"),
    ]
    page.get_by_label("Vertical").select_option("metrics.extreme")
    expect(page.get_by_role("img", name="extreme against lr of 4 runs").locator("circle")).to_have_count(4)
    card.get_by_label("Color of the lines").select_option("metrics.loss")
    expect(card.locator(".rampline")).to_have_text("color: loss0.53.5")
    card.locator(".axes summary").click()
    card.locator(".axisrow", has_text="lr").get_by_label("log").check()
    expect(card.locator("text.name").first).to_have_text(re.compile(r"^lr \(log\)"))
    card.locator(".axisrow", has_text="extreme").get_by_label("metrics.extreme").uncheck()
    card.locator(".axisrow", has_text="opt").get_by_label("params.opt").uncheck()
    expect(card.locator("text.name")).to_have_count(3)
    line = card.locator(".axisline").first.bounding_box()
    page.mouse.move(line["x"] + 1, line["y"] + 2)
    page.mouse.down()
    page.mouse.move(line["x"] + 1, line["y"] + line["height"] / 2, steps=3)
    page.mouse.up()
    expect(card.get_by_role("status")).to_contain_text("2 of 4 runs inside the chosen ranges: try 0, try 1")
    expect(card.locator("polyline[data-inside=false]")).to_have_count(2)
    page.reload()  # all of it is in the address
    expect(card.get_by_role("status")).to_contain_text("2 of 4 runs")
    expect(card.locator("text.name")).to_have_count(3)
    assert violations(page) == []
    card.get_by_label("Color of the lines").select_option("params.batch")
    expect(card.locator(".rampline")).to_contain_text("32")
    card.get_by_role("button", name="clear").click()
    expect(card.locator("polyline[data-inside=true]")).to_have_count(4)


def test_comparison_of_too_many_runs_and_its_table(open_run: Visit) -> None:
    some = "&".join(f"run={{try {number}}}" for number in range(4))
    page = open_run(f"/compare?{'&'.join(f'run=small-{i}' for i in range(51))}")
    expect(page.get_by_text("51 runs were chosen. These are the first 50")).to_be_visible()
    expect(page.locator(".sheet thead th")).to_have_count(50)
    expect(page.get_by_role("link", name="Choose fewer in the table")).to_be_visible()
    page = open_run(f"/compare?all=1&run={{exact}}&{some}")
    page.set_viewport_size({"width": 700, "height": 400})
    table = page.get_by_role("region", name="Comparison")
    table.evaluate("(one) => { one.scrollLeft = 300; one.scrollTop = 200; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    box, name = table.bounding_box(), table.get_by_role("rowheader", name="acc").bounding_box()
    assert abs(name["x"] - box["x"]) <= 2
    head = table.locator("thead th").last.bounding_box()
    assert abs(head["y"] - box["y"]) <= 2


def test_overview_of_a_running_run_is_fresh(visit: Visit, serve: Callable[..., Any], tmp_path: Path) -> None:
    with tracelet.start_run("live", dir=tmp_path / "data", plugins=PLAIN) as run:
        page = visit(f"/run/{run.id}", on=serve(tmp_path / "data"))
        expect(page.get_by_text("none so far")).to_be_visible()
        page.wait_for_timeout(700)  # the stream is open
        for step in range(2):
            run.log_metric("loss", 100 + step, step=step)
            expect(page.get_by_role("row", name=re.compile("^loss"))).to_contain_text(
                str(100 + step), timeout=4000
            )
