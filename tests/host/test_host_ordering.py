"""Dependency order: right for any graph, or the whole cycle named."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.host.plugins.launching import CircularDependencyError, order

NAMES = "abcdefgh"


@st.composite
def graphs(draw):
    """Draw any graph over a few names, in which everything that is needed is there."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    return {name: draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) for name in names}


def reachable(names, graph):
    due, found = list(names), set()
    while due:
        name = due.pop()
        if name not in found:
            found.add(name)
            due += graph[name]
    return found


@given(graphs(), st.data())
def test_any_graph_is_ordered_or_its_cycle_named(graph, data):
    wanted = data.draw(st.lists(st.sampled_from(sorted(graph)), unique=True))
    try:
        found = order(wanted, graph.__getitem__)
    except CircularDependencyError as error:
        cycle = error.cycle
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert set(cycle) <= reachable(wanted, graph)
        assert all(after in graph[before] for before, after in pairwise(cycle))
    else:
        assert set(found) == reachable(wanted, graph)
        assert len(set(found)) == len(found)
        place = {name: at for at, name in enumerate(found)}
        assert all(place[need] < place[name] for name in found for need in graph[name])
        free = [name for name in wanted if not graph[name]]
        first = {name: at for at, name in enumerate(wanted)}
        if all(not graph[name] for name in wanted):
            assert found == sorted(free, key=first.__getitem__)


def test_independent_names_keep_their_order():
    graph = {"c": [], "a": ["z"], "b": [], "z": []}
    assert order(["c", "a", "b"], graph.__getitem__) == ["c", "z", "a", "b"]
    assert order(["b", "b", "c"], graph.__getitem__) == ["b", "c"]


def test_the_whole_cycle_is_named_as_people_read_it():
    graph = {"start": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}
    with pytest.raises(ValueError, match="Circular dependency detected: ") as raised:
        order(["start"], graph.__getitem__)
    told = str(raised.value).removeprefix("Circular dependency detected: ").split(" -> ")
    assert told[0] == told[-1]
    assert all(after in graph[before] for before, after in pairwise(told))
    assert set(told) == {"a", "b", "c"}


@pytest.mark.parametrize(("given", "told"), [(["a", "b"], "a -> b -> a"), (["b", "a"], "b -> a -> b")])
def test_the_cycle_is_told_from_the_name_that_was_given_first(given, told):
    with pytest.raises(ValueError, match=f"^Circular dependency detected: {told}$"):
        order(given, {"a": ["b"], "b": ["a"]}.__getitem__)


def test_one_that_needs_itself():
    with pytest.raises(ValueError, match=r"^Circular dependency detected: a -> a$"):
        order(["a"], {"a": ["a"]}.__getitem__)


def test_a_chain_of_thousands():
    graph = {str(at): [str(at + 1)] for at in range(5000)} | {"5000": []}
    assert order(["0"], graph.__getitem__) == [str(at) for at in range(5000, -1, -1)]
