"""Which records go where."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.config import PluginOptions
from tracelet.delivery.pipeline.routes import Patterns, Routes

NAMES = st.text("ab/*?[]!-", min_size=1, max_size=6)
PATTERNS = st.lists(st.builds(str.__add__, st.sampled_from(["", "!"]), NAMES), max_size=4)


@given(PATTERNS, NAMES)
def test_a_name_is_taken_when_a_pattern_matches_and_no_exclusion_does(patterns, name):
    plain = [pattern for pattern in patterns if not pattern.startswith("!")]
    excluded = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    expected = (not plain or any(fnmatchcase(name, each) for each in plain)) and not any(
        fnmatchcase(name, each) for each in excluded
    )
    assert Patterns(patterns).include(name) == expected


@given(PATTERNS, NAMES)
def test_the_order_of_patterns_does_not_matter(patterns, name):
    assert Patterns(patterns).include(name) == Patterns(patterns[::-1]).include(name)


@given(NAMES)
def test_without_patterns_everything_is_taken(name):
    assert Patterns(None).include(name)
    assert Patterns([]).include(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("train/loss", True), ("train/deep/loss", True), ("train/debug/grad", False), ("test/loss", False)],
)
def test_the_example_of_the_contract(name, expected):
    routes = Routes(PluginOptions(metrics=["train/*", "!train/debug/*"]))
    assert routes.metric(name, "scalar", None) is expected


def test_types_and_sources():
    routes = Routes(PluginOptions(types=["scalar"], sources=["program", "gpu*"]))
    assert routes.metric("loss", "scalar", None)
    assert routes.metric("power", "scalar", "gpu0")
    assert not routes.metric("power", "system", "gpu0")
    assert not routes.metric("cpu", "scalar", "system")


def test_a_list_of_types_is_no_ban_on_parameters_unless_it_says_so():
    assert Routes(PluginOptions(types=["scalar"])).kind("parameter")
    assert not Routes(PluginOptions(types=["scalar", "!parameter"])).kind("parameter")
    assert Routes(PluginOptions(types=["!parameter"])).kind("artifact")


def test_ranks():
    routes = Routes(PluginOptions(ranks=(0, 2)))
    assert [routes.rank(rank) for rank in (None, 0, 1, 2)] == [True, True, False, True]
    assert Routes(PluginOptions()).rank(7)
