"""Selecting metrics: names, patterns, and names that look like patterns."""

from __future__ import annotations

import pytest

from tracelet.errors import StoreError
from tracelet.store.metric_keys import select_metrics

KNOWN = ["loss", "!loss", "*", "[a]", "a", "train/loss", "train/acc", "a?", "\\x", "x@system"]


@pytest.mark.parametrize(
    ("patterns", "selected"),
    [
        ("loss", ["loss"]),
        ("*", sorted(KNOWN)),
        ("!loss", ["!loss"]),
        ("[a]", ["[a]"]),
        ("a?", ["a?"]),
        ("\\x", ["\\x"]),
        (["!loss", "[a]"], ["!loss", "[a]"]),
        ("\\*", ["*"]),
        ("\\!loss", ["!loss"]),
        ("[*]", ["*"]),
        ("[!]loss", []),  # as in a shell: "[!" begins a set of characters
        ("train/*", ["train/acc", "train/loss"]),
        (["train/*", "!train/acc"], ["train/loss"]),
        (["train/*", "!*acc"], ["train/loss"]),
        ("x@system", ["x@system"]),
        ([], []),
    ],
)
def test_selection(patterns, selected):
    assert select_metrics(patterns, KNOWN) == selected


def test_exclusions_alone_begin_with_all():
    assert select_metrics(["!train/*"], ["a", "train/b"]) == ["a"]


def test_missing_names():
    with pytest.raises(StoreError, match=r"no metric 'los'.*did you mean 'loss'"):
        select_metrics("los", KNOWN)
    assert select_metrics(["los", "loss"], KNOWN, missing_ok=True) == ["loss"]


def test_odd_names_of_a_run(records):
    writer = records.start("r")
    for name in KNOWN:
        writer.point(name, 1.0, 0)
    writer.close("finished")
    for run in (records.store().run("r"), records.store().runs()[0]):
        assert [series.name for series in run.series()] == sorted(KNOWN)
        assert [series.name for series in run.series(run.metrics())] == sorted(KNOWN)
        for name in KNOWN:
            assert run.metric(name).name == name
        assert sorted(set(run.dataframe()) - {"iteration"}) == sorted(KNOWN)
    assert len(records.store().series("*")) == len(KNOWN)


class CountedName(str):
    """A name that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, other)


def test_selecting_compares_each_name_a_few_times_only():
    names = [f"layer{one}/grad" for one in range(5000)]
    CountedName.compared = 0
    assert select_metrics([*map(CountedName, names)], [*map(CountedName, names)]) == names
    assert 0 < CountedName.compared < 10 * len(names)  # each with each: 25 million times
