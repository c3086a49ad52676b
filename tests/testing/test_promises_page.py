"""The page lists every promise, with the words of the tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracelet import testing
from tracelet.testing.conformance.promises import promises_of

PAGE = (Path(__file__).parents[2] / "docs" / "testing-plugins.md").read_text(encoding="utf-8")
SUITES = ("BackendConformance", "CollectorConformance", "ProcessorConformance", "FrameworkConformance")
TOGETHER = {"images", "tables", "histograms", "texts", "figures"}  # one row of the page


@pytest.mark.parametrize("suite", SUITES)
def test_each_promise_is_on_the_page(suite):
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.M))
    for key, promise in promises_of(getattr(testing, suite)).items():
        if key in TOGETHER:
            assert f"`{key}`" in PAGE
        else:
            assert rows[key] == promise.text


def test_each_public_name_is_on_the_page():
    missing = [name for name in testing.__all__ if name not in PAGE]
    assert not [name for name in missing if name not in ("Harness", "Received", "Project", "Result")]


@pytest.mark.parametrize("suite", SUITES)
def test_a_limit_needs_a_promise_and_a_reason(suite):
    base = getattr(testing, suite)
    with pytest.raises(Exception, match=r"there is no promise 'statuss'; did you mean 'status'\?"):
        type("Mine", (base,), {"limits": {"statuss": "x"}})
    with pytest.raises(Exception, match="expected the reason, found ''"):
        type("Mine", (base,), {"limits": {"status": ""}})
