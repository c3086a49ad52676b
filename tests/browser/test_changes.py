"""Runs that are changed in the table, and a server that goes and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.ui.conftest import Server
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.store import Store, open_store

expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect
Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / ".tracelet"
    for number in range(60):
        with tracelet.start_run(f"run-{number:02}", tags={"old": ""}, dir=folder, plugins=PLAIN):
            pass
    return folder


@pytest.fixture(scope="module")
def server(own: Path) -> Iterator[Server]:
    server = Server(own)
    yield server
    server.stop()


@pytest.fixture
def store(own: Path) -> Store:
    return open_store(own)


def test_many_runs_are_changed_at_once(visit: Visit, store: Store) -> None:
    page = visit("/?sort=name")
    page.on("dialog", lambda dialog: dialog.accept())
    rows = page.locator("table.runs tbody tr[data-run]")
    page.get_by_label("Select all runs").click()
    expect(page.get_by_text("60 runs, 60 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Charts")).to_be_disabled()
    page.reload()  # more than an address can hold
    expect(page.get_by_text("60 runs, 60 selected")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Filter runs").fill("run-0")
    expect(rows).to_have_count(10)
    page.get_by_label("Select all runs").click()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit 10 runs")
    dialog.get_by_label("Group", exact=True).fill("sweep")
    dialog.get_by_label("Set tags").fill("good\nteam=vision")
    dialog.get_by_label("Remove tags").fill("old")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    records = store.runs(where="'run-0'")
    assert len(records) == len(store.runs(group="sweep")) == 10
    assert {(one.group, *sorted(one.tags.items())) for one in records} == {
        ("sweep", ("good", ""), ("team", "vision"))
    }

    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.get_by_text("no run matches")).to_be_visible()
    page.get_by_label("Filter runs").fill("run-1")
    expect(rows).to_have_count(10)
    page.get_by_label("Select run-10").click()
    page.get_by_label("Select run-12").click(modifiers=["Shift"])
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("7 runs", exact=True)).to_be_visible()
    assert [one.name for one in store.runs(archived=True, sort="name")] == [f"run-{i:02}" for i in range(10)]
    assert {one.name for one in store.trash()} == {"run-10", "run-11", "run-12"}


def test_one_run_is_edited_from_the_table(visit: Visit, store: Store) -> None:
    page = visit("/?where=run-5&sort=name")
    parent = store.run("run-59").id
    page.locator("table.runs tbody tr[data-run]").first.wait_for()
    page.keyboard.press("Space")
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Edit run-50")
    dialog.get_by_label("Job type").fill("eval")
    dialog.get_by_label("Parent").fill(parent)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    record = store.run("run-50")
    assert (record.job_type, record.parent) == ("eval", parent)
    page.on("dialog", lambda dialog: dialog.accept())
    page.keyboard.press("e")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("9 runs", exact=True)).to_be_visible()  # and none is selected


def test_page_says_that_the_server_is_gone_and_goes_on_when_it_is_back(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / ".tracelet"
    with tracelet.start_run("before", dir=folder, plugins=PLAIN):
        pass
    first = Server(folder)
    table, trash = visit("/", on=first), visit("/trash", on=first)
    expect(table.locator("tr[data-run]")).to_have_count(1)
    for page in (table, trash):
        page.visitor.ignore_errors()
    first.stop()
    for page in (table, trash):  # one with a stream, one without
        expect(page.get_by_text("Connection lost")).to_be_visible(timeout=8000)
    trash.get_by_role("link", name="runs").click()
    expect(trash.get_by_role("button", name="Try again")).to_be_visible()

    with tracelet.start_run("meanwhile", dir=folder, plugins=PLAIN):
        pass
    second = Server(folder, "--port", str(urlsplit(first.address).port))
    try:
        for page in (table, trash):
            expect(page.get_by_text("Connection lost")).to_be_hidden(timeout=8000)
        expect(table.locator("tr[data-run]")).to_have_count(2)
        expect(trash.locator("table.runs")).to_be_visible()
    finally:
        second.stop()
