"""One run read back: what it was, what it measured, how it ended."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.errors import StoreError
from tracelet.store import open_store

KILLED = """
    import os, sys, time
    from pathlib import Path
    from tracelet.journal import Writer

    writer = Writer(Path(sys.argv[1]) / "runs" / sys.argv[2], {"run": {"name": "doomed", "project": "p"}})
    for step in range(1000):
        writer.point("loss", 1 / (step + 1), step)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_was_recorded_is_read(records):
    records.run(
        "20260101-000000-aaaaaa",
        {"loss": [3.0, 2.0, 1.0]},
        name="first",
        params={"lr": 0.1, "optimizer/name": "sgd"},
        tags={"team": "vision"},
    )
    run = records.store().run("first")
    assert (run.id, run.name, run.project) == ("20260101-000000-aaaaaa", "first", "digits")
    assert run.params == {"lr": 0.1, "optimizer/name": "sgd"}
    assert run.tags == {"team": "vision"}
    assert (run.outcome, run.error, run.problem) == ("finished", None, None)
    assert run.metrics() == ["loss"]
    series = run.metric("loss")
    assert series.iterations == [0, 1, 2]
    assert series.values == [3.0, 2.0, 1.0]
    assert series.timestamps == sorted(series.timestamps)
    assert run.started_at <= series.timestamps[0] <= series.timestamps[-1] <= run.ended_at
    assert run.duration == run.ended_at - run.started_at
    assert (len(series), series.last, series.min, series.max, series.mean) == (3, 1.0, 1.0, 3.0, 2.0)
    assert [type(item) for item in (series.iterations[0], series.values[0])] == [int, float]


def test_points_are_like_a_sequence(records):
    records.run("r", {"loss": [3.0, 2.0, 1.0]})
    series = records.store().run("r").metric("loss")
    assert series[-1] == (2, 1.0, series.timestamps[-1])
    assert series[-1].value == 1.0
    assert [point.iteration for point in series] == [0, 1, 2]
    assert series[1:].values == [2.0, 1.0]
    assert series.between(1, 1).values == [2.0]
    assert series.between(last=1).values == [3.0, 2.0]
    assert repr(series) == "<Series 'loss' of run r: 3 points, last 1.0>"


bits = st.integers(0, 2**64 - 1).map(lambda number: struct.unpack("<d", struct.pack("<Q", number))[0])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**63) + 1, 2**63 - 1), bits | st.floats()), min_size=1, max_size=50))
def test_every_value_and_step_comes_back_to_the_bit(tmp_path_factory, points):
    from tracelet.journal import Writer

    data = tmp_path_factory.mktemp("data")
    with Writer(data / "runs" / "r", {"run": {"name": "r"}}) as writer:
        for step, value in points:
            writer.point("a", value, step)
            writer.row({"b": value, "c": 1}, step)
    run = open_store(data).run("r")
    for name in ("a", "b"):
        series = run.metric(name)
        assert series.iterations == [step for step, _ in points]
        assert struct.pack(f"{len(points)}d", *series.values) == struct.pack(
            f"{len(points)}d", *(value for _, value in points)
        )


def test_not_a_number_and_infinities(records):
    records.run("r", {"loss": [math.nan, math.inf, -math.inf, 1.0, math.nan], "none": [math.nan]})
    run = records.store().run("r")
    series = run.metric("loss")
    assert series.values[1:4] == [math.inf, -math.inf, 1.0]
    assert math.isnan(series.values[0])
    assert math.isnan(series.last)
    assert (series.min, series.max, series.count) == (-math.inf, math.inf, 5)
    assert math.isnan(series.mean)
    assert math.isnan(run.metric("none").min)
    assert run.summary()["loss"]["nans"] == 2


def test_a_run_that_is_going_on_is_read_again_and_again(records):
    writer = records.start("r")
    store = records.store()
    assert store.run("r").metrics() == []
    for step in range(3):
        writer.point("loss", step * 0.5)
        run = store.run("r")
        assert run.outcome == "running"
        assert run.ended_at is None
        assert run.duration > 0
        assert run.metric("loss").values == [0.5 * n for n in range(step + 1)]
    before = run
    writer.close("finished")
    assert before.outcome == "running"
    assert before.refresh().outcome == "finished"


def test_a_killed_run(records, program):
    process = program(KILLED, "r")
    assert process.stdout.readline() == "ready\n"
    store = records.store()
    assert store.run("r").outcome == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = store.run("r")
    assert run.outcome == "killed"
    assert run.name == "doomed"
    assert run.metric("loss").values == [1 / (step + 1) for step in range(1000)]
    assert run.metric("loss").timestamps[-1] <= run.ended_at <= time.time()
    [listed] = store.runs()
    assert (listed.outcome, listed.ended_at) == ("killed", run.ended_at)


def test_a_failed_run(records):
    records.run("r", {"loss": [1.0]}, outcome="failed", error="ValueError: no data")
    run = records.store().run("r")
    assert (run.outcome, run.error) == ("failed", "ValueError: no data")


def test_reading_leaves_the_runs_folder_alone(records):
    writer = records.start("r")
    writer.point("loss", 1.0)
    folder = records.folder("r")

    def contents():
        return {(path, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}

    before = contents()
    store = records.store()
    store.runs()
    store.run("r").metric("loss").dataframe()
    store.run("r").to_dict()
    assert {path for path, _ in contents()} == {path for path, _ in before}


def test_a_later_word_counts(records):
    first = records.start("r", name="draft")
    second = records.start("r", name="other")
    first.event("params", {"params": {"lr": 0.1, "seed": 1}})
    second.event("params", {"params": {"lr": 0.2}})
    first.event("run", {"name": "final"})
    run = records.store().run("r")
    assert run.params == {"lr": 0.2, "seed": 1}
    assert run.name == "final"
    assert len(run.writers) == 2


def test_facts_artifacts_drops_and_delivery(records):
    writer = records.start("r")
    writer.event("fact", {"source": "environment", "facts": {"python": "3.11", "git/commit": "abc"}})
    writer.event("fact", {"source": "environment", "facts": {"python": "3.12"}})
    writer.event("artifact", {"path": "artifacts/a.txt", "name": "a.txt", "files": []})
    writer.event("drops", {"drops": {"disk full": 3}})
    writer.event("drops", {"drops": {"disk full": 5}})
    delivery = records.folder("r") / "delivery"
    delivery.mkdir()
    (delivery / "jsonl.json").write_text('{"delivered": 7}')
    (delivery / "broken.json").write_text("{")
    run = records.store().run("r")
    assert run.facts == {"environment": {"python": "3.12", "git/commit": "abc"}}
    assert [artifact["path"] for artifact in run.artifacts] == ["artifacts/a.txt"]
    assert run.dropped == {"disk full": 5}
    assert run.status["jsonl"] == {"delivered": 7}
    assert "cannot be read" in run.status["broken"]["problem"]


def test_unknown_names_are_answered_with_the_closest(records):
    records.run("20260101-000000-aaaaaa", {"train/loss": [1.0]}, name="baseline")
    store = records.store()
    with pytest.raises(StoreError, match=r"no run 'basline'.*did you mean 'baseline'"):
        store.run("basline")
    with pytest.raises(StoreError, match=r"no metric 'train/los'.*did you mean 'train/loss'"):
        store.run("baseline").metric("train/los")


def test_runs_are_found_by_id_name_prefix_and_age(records):
    for number, name in enumerate(("one", "two", "one")):
        records.run(f"20260101-00000{number}-aaaaa{number}", {"loss": [float(number)]}, name=name)
    store = records.store()
    assert store.run("20260101-000001-aaaaa1").name == "two"
    assert store.run("one").id == "20260101-000002-aaaaa2"  # the newest of that name
    assert store.run("20260101-000001").name == "two"
    assert store.run("latest").id == store.run("last").id == store.run().id == "20260101-000002-aaaaa2"
    with pytest.raises(StoreError, match="expected one run, found 3 whose ids begin with '2026'"):
        store.run("2026")
    for nobody in ("", ".", "..", "../runs", "three"):
        with pytest.raises(StoreError):
            store.run(nobody)


def test_without_numpy_all_is_the_same(records, tmp_path):
    """What NumPy makes quick works without it, too: a program that cannot import it reads the same."""
    for rank in range(2):
        writer = records.start("r", rank=rank, world_size=2)
        for step in (3, 1, 2):
            writer.point("loss", step + rank / 10, step)
        writer.point("big", math.nan)
        for step in range(1000):
            writer.point("wave", math.sin(step / 10), step)
        writer.close("finished")
    text = """
import json, sys
if sys.argv[2] == "without":
    sys.modules["numpy"] = None
from tracelet.store import open_store
run = open_store(sys.argv[1]).run("r")
series = run.metric("loss")
print(json.dumps([series.iterations, series.values, series.rank(1).values, series.ranks, run.summary(),
    run.metric("wave").downsample(50).between(3, 900).iterations != [], series.between(2, 2).values,
    series[1:].values]))
if sys.argv[2] == "without":
    try:
        series.arrays()
    except ImportError as error:
        assert "tracelet[numpy]" in str(error), error
    else:
        raise SystemExit("arrays without NumPy?")
"""
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", text, str(records.data), how],
                capture_output=True,
                check=True,
                env=os.environ,
            ).stdout
        )
        for how in ("with", "without")
    ]
    assert str(found[0]) == str(found[1])
    assert found[0][0] == [1, 1, 2, 2, 3, 3]
    assert found[0][1] == [1.0, 1.1, 2.0, 2.1, 3.0, 3.1]
    assert found[0][2] == [3.1, 1.1, 2.1]
