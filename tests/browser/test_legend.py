"""Which runs the charts show, what the pointer says of them, and what of that is in the address."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.browser.test_charts import card, charts_of, count_pixels
from tests.ui.conftest import Server

from tracelet.journal import Writer
from tracelet.store import open_store

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]
LONG = "a_very_long_metric_name_" * 6
RUNS = 24


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[str]]]:
    """Runs with more colors than there are, long names, and steps that do not all overlap."""
    folder = tmp_path_factory.mktemp("many")
    ids = []
    for number in range(RUNS):
        name = f"trial-{number:02d}-{'long-' * 20 if number == 1 else 'resnet'}"
        id = f"trial-{number:02d}"
        run = {"id": id, "name": name, "project": "trials", "group": f"g{number % 2}"}
        with Writer(folder / "runs" / id, {"run": run}) as writer:
            for step in range(40 if number else 20):
                writer.row({"train/loss": number + step / 100, f"{LONG}/x": float(step)}, step)
            for step in range(4000 if number > 21 else 0):
                writer.row({"dense": float(step)}, step)
            writer.close("finished")
        ids.append(id)
    server = Server(folder)
    yield server, ids
    server.stop()


def address_of(ids: list[str], more: str = "") -> str:
    return f"/charts?{'&'.join(f'run={id}' for id in ids)}{more}"


def query_of(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def hover(page: Any, name: str, x: float, y: int = 80) -> Any:
    """Put the pointer at an x of the data, and return the tooltip."""
    place = card(page, name).evaluate("(card, x) => card.card.plot.scaled.x.at(x)", x)
    card(page, name).locator("canvas.cursor").hover(position={"x": place, "y": y})
    return card(page, name).locator(".tip")


def test_legend_hides_and_isolates_runs_in_all_charts(visit: Visit, many: tuple[Server, list[str]]) -> None:
    server, ids = many
    page = visit(address_of(ids[:4]), on=server)
    entries = page.locator(".runlegend button.toggle")
    assert count_pixels(page, "train/loss", "--line-1") > 20
    entries.nth(1).click()
    assert query_of(page)["hide"] == [ids[1]]
    assert count_pixels(page, "train/loss", "--line-1") == 0
    assert count_pixels(page, "train/loss", "--line-2") > 20
    entries.nth(3).focus()
    page.keyboard.press("Space")
    expect(entries.nth(3)).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(page.get_by_text("show all (2 hidden)")).to_be_visible()
    assert count_pixels(page, "train/loss", "--line-3") == 0
    entries.nth(2).dblclick()
    assert query_of(page)["only"] == [ids[2]]
    assert [count_pixels(page, "train/loss", f"--line-{i}") > 20 for i in range(4)] == [
        False,
        False,
        True,
        False,
    ]
    entries.nth(2).dblclick()  # again: all come back
    expect(page.get_by_text("show all")).to_be_hidden()
    entries.nth(0).focus()
    page.keyboard.press("Alt+Enter")
    assert query_of(page)["only"] == [ids[0]]
    own = card(page, "train/loss").locator(".legend button.toggle")
    own.nth(0).click()
    expect(card(page, "train/loss").get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("of 0 runs")
    )
    page.get_by_text("show all").click()
    own.nth(1).click(modifiers=["Alt"])
    assert query_of(page)["only"] == [ids[1]]
    page.get_by_label("Group runs by").select_option("group")
    expect(entries).to_have_text(["g0", "g1"])
    assert "only" not in query_of(page)
    entries.nth(0).click()
    assert query_of(page)["hide"] == ['"g0"']
    assert count_pixels(page, "train/loss", "--line-0") == 0
    assert count_pixels(page, "train/loss", "--line-1") > 20


def test_many_runs_have_a_short_legend_and_lines_that_differ(
    visit: Visit, many: tuple[Server, list[str]]
) -> None:
    server, ids = many
    page = visit(address_of(ids, "&search=train/loss"), on=server)
    entries = page.locator(".runlegend li")
    hidden = RUNS - page.locator(".runlegend li:visible").count()
    assert page.locator(".runlegend").bounding_box()["height"] < 100
    page.get_by_role("button", name=f"… and {hidden} more").click()
    assert page.locator(".runlegend li:visible").count() == RUNS
    styles = (
        "one => [one.querySelector('.swatch')?.style.background, one.querySelector('line')?.outerHTML].join()"
    )
    assert len({entry.evaluate(styles) for entry in entries.all()}) == RUNS
    page.get_by_role("button", name="fewer").click()
    page.set_viewport_size({"width": 1280, "height": 1000})
    tip = hover(page, "train/loss", 30)
    expect(tip.locator(".row")).to_have_count(RUNS - 1)  # the first run has no value at this step
    assert tip.locator(".row").first.inner_text().startswith(tuple("0123456789"))
    expect(hover(page, "train/loss", 10).locator(".row")).to_have_count(RUNS)
    page.set_viewport_size({"width": 1280, "height": 500})
    tip = hover(page, "train/loss", 10)
    shown = tip.locator(".row").count()
    assert 4 <= shown < RUNS
    expect(tip).to_contain_text(f"and {RUNS - shown} more")


def test_choices_for_one_chart_are_in_the_address_and_long_names_are_cut(
    visit: Visit, many: tuple[Server, list[str]]
) -> None:
    server, ids = many
    page = visit(address_of(ids[:2]), on=server)
    loss = card(page, "train/loss")
    loss.get_by_role("button", name="log").click()
    loss.get_by_role("button", name="Show train/loss large").click()
    page.locator("summary", has_text=LONG).click()
    page.wait_for_url(f"**fold={LONG}*")
    assert query_of(page)["log"] == query_of(page)["large"] == ["train/loss"]
    page.reload()
    expect(card(page, "train/loss").get_by_role("button", name="log")).to_have_attribute(
        "aria-pressed", "true"
    )
    assert card(page, "train/loss").bounding_box()["height"] > 500
    expect(page.locator("details.group[open]")).to_have_count(1)
    page.locator("summary", has_text=LONG).click()
    card(page, "train/loss").get_by_role("button", name="log").click()
    card(page, "train/loss").get_by_role("button", name="Show train/loss large").click()
    page.wait_for_url(lambda url: "fold" not in url)
    assert not {"log", "large", "linear"} & set(query_of(page))
    page.get_by_label("log y").check()
    card(page, "train/loss").get_by_role("button", name="log").click()
    assert query_of(page)["linear"] == ["train/loss"]
    page.get_by_label("Horizontal axis").select_option(f"metric:{LONG}/x")
    assert page.get_by_label("Horizontal axis").get_attribute("title") == f"{LONG}/x"
    legend = card(page, "train/loss").locator(".legend")
    expect(legend).to_contain_text("rightmost")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        edge = legend.bounding_box()["x"] + legend.bounding_box()["width"]
        for value in legend.locator("b").all():
            assert value.bounding_box()["x"] + value.bounding_box()["width"] <= edge + 1


def test_tooltip_says_what_was_logged(visit: Visit, ids: dict[str, str], samples: Any) -> None:
    store = open_store(samples)
    logged = {step: value for step, value, _ in store.run("digits-1").metric("train/loss")}
    page = visit(charts_of(ids, "digits-1", search="train/loss", smooth="0.9"))
    tip = hover(page, "train/loss", 120)
    step = int(re.search(r"step (\d+)", tip.inner_text())[1])  # type: ignore[index]
    assert f"(raw {float(f'{logged[step]:.5g}')})" in tip.inner_text()
    box = card(page, "train/loss").locator("canvas.cursor").bounding_box()
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 80, steps=3)
    with page.expect_response(re.compile(r"/series\?.*from=")):
        page.mouse.up()
    page.wait_for_timeout(300)  # the tooltip moved with the zoom
    step = int(re.search(r"step (\d+)", tip.inner_text())[1])  # type: ignore[index]
    here = card(page, "train/loss").evaluate("card => card.card.plot.scaled.x.invert(300)")
    assert step == pytest.approx(here, abs=1)
    expect(card(page, "train/loss").locator(".legend")).to_contain_text("last in the range")
    resumed = visit(charts_of(ids, "resumed", search="train/loss"))
    expect(hover(resumed, "train/loss", 150)).to_contain_text("attempt 0, recomputed")
    expect(hover(resumed, "train/loss", 100)).to_contain_text("step 100")
    expect(resumed.locator(".tip")).not_to_contain_text("recomputed")


def test_mean_of_several_steps_says_so(visit: Visit, many: tuple[Server, list[str]]) -> None:
    server, ids = many
    page = visit(address_of(ids[-2:], "&by=project&search=dense"), on=server)
    tip = hover(page, "dense", 2000)
    found = re.search(r"mean of steps ([\d ]+)\N{EN DASH}([\d ]+)\s", tip.inner_text())
    assert found, tip.inner_text()
    first, last = (int(one.replace(" ", "")) for one in found.groups())
    assert first < last
    mean = float(tip.locator("b").inner_text().replace(" ", ""))
    assert mean == pytest.approx(
        (first + last) / 2, abs=0.06
    )  # the value is the step, rounded to five digits
