"""Which value of a metric is the best: the run's rule, the project's, or the words of the name."""

from __future__ import annotations

import math

import pytest

from tracelet.store.goals import best_value, find_goal


@pytest.mark.parametrize(
    ("name", "own", "configured", "goal"),
    [
        ("val/loss", {}, {}, "min"),
        ("val/acc", {}, {}, "max"),
        ("val/x", {}, {}, None),
        ("val/loss", {"val/loss": "max"}, {}, "max"),
        ("val/x", {"val/*": "max"}, {"val/x": "min"}, "max"),
        ("val/x", {}, {"val/x": "min", "val/*": "max"}, "min"),  # an exact name comes first
        ("val/x", {}, {"*": "max", "val/*": "last"}, "last"),  # then the last pattern
        ("cpu@system", {"cpu": "min"}, {}, "min"),
        ("val/*", {"val/*": "max"}, {}, "max"),
    ],
)
def test_rules(name, own, configured, goal):
    assert find_goal(name, own, configured) == goal


def test_the_best_value_of_nothing_but_nan_is_unknown():
    summary = {"last": math.nan, "min": math.nan, "max": math.nan}
    assert [best_value(summary, goal) for goal in ("min", "max", "last", None)] == [None] * 4


def record_metrics(records):
    (records.data.parent / "tracelet.toml").write_text('[goals]\n"a/*" = "min"\n"b" = "last"\n')
    for run, values in (("r", [3.0, 1.0, 2.0]), ("s", [5.0, 9.0, 4.0])):
        writer = records.start(run)
        if run == "s":
            writer.event("metric", {"name": "a/*", "goal": "max"})
            writer.event("metric", {"name": "odd", "goal": "max"})
            writer.event("metric", {"name": "odd", "goal": "min"})  # a later rule replaces it
        for step, value in enumerate(values):
            writer.row({"a/x": value, "b": value, "c": value, "odd": value}, step)
        writer.close()


def test_records_lists_and_tables_agree(records):
    record_metrics(records)
    store = records.store()
    best = {
        "r": {"a/x": 1.0, "b": 2.0, "c": None, "odd": None},
        "s": {"a/x": 9.0, "b": 4.0, "c": None, "odd": 4.0},
    }
    for run in (*store.runs(), store.run("r"), store.run("s"), store.run("r").refresh()):
        points = {name: run.best(name) for name in best[run.id]}
        assert {name: point and point.value for name, point in points.items()} == best[run.id]
    assert store.run("r").best("a/x").iteration == 1
    assert store.run("r").best("b").iteration == 2
    for name in ("a/x", "b", "c", "odd"):
        for run in "rs":
            value = best[run][name]
            found = [one.id for one in store.runs(where=f"metrics.{name}.best = {value}")] if value else []
            assert (run in found) is (value is not None)
            [has] = [
                one.id in [r.id for r in store.runs(where=f"metrics.{name}.best != none")]
                for one in store.runs(where=f"id = '{run}'")
            ]
            assert has or value is None
    assert [run.id for run in store.runs(sort="-metrics.a/x.best")] == ["s", "r"]
    assert [run.id for run in store.runs(sort="metrics.odd.best")] == ["s", "r"]  # without one: last
    frame = store.dataframe(sort="id", statistic="best", library="pandas")
    assert list(frame["metrics.a/x"]) == [1.0, 9.0]


def test_a_faulty_configuration_does_not_keep_anybody_from_reading(records):
    records.run("r", {"loss": [2.0, 1.0]})
    (records.data.parent / "tracelet.toml").write_text('[goals]\nloss = "large"\n')
    assert records.store().run("r").best("loss").value == 1.0
