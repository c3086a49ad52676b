"""Selecting metrics: names, patterns, and names that look like patterns."""

from __future__ import annotations

import gc
import time

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


def test_selecting_takes_time_in_proportion():
    def cost(number: int) -> float:
        names = [f"layer{one}/grad" for one in range(number)]
        began = time.process_time()
        assert len(select_metrics(names, names)) == number
        return time.process_time() - began

    cost(1000)
    gc.disable()  # a collection takes as long as there are objects of other tests
    try:
        small, large = (min(cost(number) for _ in range(5)) for number in (10_000, 80_000))
    finally:
        gc.enable()
    assert large < 32 * max(small, 0.002)  # in proportion: 8 times; each with each: 64 times
