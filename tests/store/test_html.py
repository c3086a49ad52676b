"""Runs as HTML: self-contained, escaped, whatever was recorded."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

ALLOWED = {"div", "style", "b", "span", "code", "table", "tr", "th", "td", "svg", "polyline", "circle"}


class Checker(HTMLParser):
    """Fails for an element that is not closed, or that none of the pieces has."""

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED
        assert not any(name.startswith("on") or "url" in (value or "") for name, value in attrs)
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


def test_a_run_shows_what_it_is(records):
    records.run(
        "r",
        {"train/loss": [3.0, 1.0, 2.0]},
        params={"lr": 0.1},
        tags={"good": ""},
        outcome="failed",
        error="boom",
    )
    store = records.store()
    store.edit("r", name="<b>bold</b>", notes="a\n<script>alert(1)</script>", group="sweep")
    page = store.run("r")._repr_html_()
    shown = Checker(page).text
    for words in (
        "<b>bold</b>",
        "failed",
        "boom",
        "train/loss",
        "lr",
        "0.1",
        "good",
        "group sweep",
        "<script>",
    ):
        assert words in shown
    assert re.search(r"<td class=n>2</td><td class=n>1</td>", page)
    assert len(page) < 6000
    assert "http" not in page
    assert "<b>bold</b>" in Checker(store._repr_html_()).text
    assert "3 points" in Checker(store.run("r").metric("train/loss")._repr_html_()).text.replace(
        "points 3", "3 points"
    )


@settings(max_examples=40, deadline=None)
@given(
    name=st.text(min_size=1, max_size=80).filter(str.strip),
    values=st.lists(st.floats(), max_size=8),
    tag=st.text(max_size=30),
)
def test_whatever_was_recorded_is_shown(name, values, tag, tmp_path_factory):
    from tests.store.conftest import Records

    base = tmp_path_factory.mktemp("html")
    (base / ".tracelet").mkdir()
    records = Records(base / ".tracelet")
    records.run(
        "r", {"x": values, "<&>'\"": [math.inf, -math.inf]}, params={tag or "p": tag}, tags={"t": tag}
    )
    store = records.store()
    for shown in (store.run("r"), store.run("r").metric("<&>'\""), store):
        Checker(shown._repr_html_())


def test_an_empty_store_and_a_broken_run(records):
    assert "no runs yet" in Checker(records.store()._repr_html_()).text
    folder = records.folder("broken")
    (folder / "journal").mkdir(parents=True)
    (folder / "journal" / ("0" * 32 + "-000000.trj")).write_bytes(b"\xff" * 5000)
    assert Checker(records.store().run("broken")._repr_html_()).text
