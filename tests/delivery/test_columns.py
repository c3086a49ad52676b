"""A backend with log_columns gets the same points as one with log_metrics, in the same order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.exact_points import exact_fields

import tracelet_hookspecs as contract
from tracelet.core.plugins import PluginMetadata, PluginType
from tracelet.delivery.ledger.verify import verify
from tracelet.journal import Writer
from tracelet.testing import expected

VALUES = st.floats() | st.sampled_from([0.0, -0.0, 1e308, 5e-324])
STEPS = st.none() | st.integers(-(1 << 63) + 1, (1 << 63) - 1000)  # a row without a step has the next one
NAMES = st.sampled_from(["loss", "acc", "debug/x", "int", "two", "big"])
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]  # shrinking would take minutes: each example is a run
OPERATIONS = st.lists(
    st.tuples(st.just("point"), st.integers(0, 1), NAMES, VALUES, STEPS)
    | st.tuples(st.just("row"), st.integers(0, 1), st.dictionaries(NAMES, VALUES, min_size=1), STEPS)
    | st.tuples(st.just("params"), st.integers(0, 1), st.integers(0, 5)),
    max_size=40,
)


class Processor(contract.ProcessorPlugin):
    """Changes a metric according to its name."""

    def get_metadata(self):
        return PluginMetadata("processor", "1", PluginType.PROCESSOR)

    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...

    def get_status(self):
        return {}

    def process_metric(self, metric):
        if metric.name == "acc":
            return None
        if metric.name == "int":
            metric.value, metric.metadata = (1 << 60) + 1, {"unit": ["s"]}
        elif metric.name == "two":
            return [
                metric,
                attrs.evolve(metric, name="debug/two"),
                attrs.evolve(metric, value=3, iteration=None),
            ]
        elif metric.name == "big":
            metric.iteration = 1 << 70  # refused: the metric stays as it is
        return metric


def in_columns(backend):
    """Return a backend that keeps columns, and refuses to get points in another way."""

    class Columns(backend):
        def log_metrics(self, points):
            raise AssertionError("log_columns is preferred")

        def log_columns(self, columns, run):
            self._take("log_columns", columns)
            assert columns.points()
            self.points += columns.points()
            self.runs.add(run.id)

    return Columns


def by_writer(points):
    found = {}
    for point in points:
        found.setdefault(point.id[0], []).append(exact_fields(point))
    return found


@pytest.mark.parametrize("processed", [False, True])
@settings(
    max_examples=8, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=OPERATIONS)
def test_both_ways_give_the_same_points(make_stage, backend, processed, operations):
    stage = make_stage()
    other = Writer(stage.run_dir, {"rank": 1})
    writers = [stage.writer, other]
    for kind, which, *arguments in operations:
        writer = writers[which]
        if kind == "params":
            writer.event("params", {"params": {"n": arguments[0]}})
        else:
            getattr(writer, kind)(*arguments)
    tables = {name: {"metrics": ["!debug/*"]} for name in ("columns", "points")}
    stage.configure(tables)
    if processed:
        stage.add(Processor(), deliver=False)
    columns, points = stage.add(in_columns(backend)("columns")), stage.add(backend("points"))
    stage.flush()
    other.close()
    assert by_writer(columns.points) == by_writer(points.points)
    assert columns.params == points.params
    assert by_writer(expected(stage.run_dir, "columns", stage.manager).points) == by_writer(columns.points)
    stage.close()
    first, second = verify(stage.run_dir).backends
    assert first.agrees
    assert first[1:] == second[1:]


def refuse_negatives(hook, given):
    if hook == "log_columns" and min(given.values) < 0:
        raise ValueError("negative")


def test_refused_points_are_found_and_dropped_and_all_others_arrive(stage, backend):
    values = [-1.0 if at in (0, 300, 301, 777) else float(at) for at in range(1000)]
    for at, value in enumerate(values):
        stage.writer.point("loss", value, at)
    got = stage.add(in_columns(backend)(before=refuse_negatives))
    stage.flush(20)
    assert got.values == [value for value in values if value >= 0]
    assert stage.status()["dropped"] == {"refused (ValueError)": 4}
    stage.delivery.finish(1)
    (row,) = stage.verified().backends
    assert (row.recorded, row.delivered, row.pending) == (1000, 996, 0)


def test_a_retry_gets_what_the_first_attempt_got(stage, backend):
    seen = []

    def before(hook, given):
        seen.append(given)
        if len(seen) < 3:
            raise ConnectionError("down")

    stage.log(10)
    got = stage.add(in_columns(backend)(before=before))
    stage.flush()
    assert got.values == [float(at) for at in range(10)]
    assert [by_writer(given.points()) for given in seen] == [by_writer(got.points)] * 3


def test_a_backend_that_stops_between_two_calls_of_a_batch_goes_on_with_the_second(stage, backend):
    stopped = threading.Event()

    def before(hook, given):
        if stopped.is_set():
            raise ConnectionError("down")
        if hook == "log_params":
            stopped.set()
            raise ConnectionError("down")

    stage.log(3)
    stage.writer.event("params", {"params": {"lr": 1}})
    stage.log(3, start=3)
    first = stage.add(in_columns(backend)(before=before))
    stage.wait_for(stopped.is_set)
    stage.again(second := in_columns(backend)())
    stage.flush()
    assert first.values == [0.0, 1.0, 2.0]
    assert second.values == [3.0, 4.0, 5.0]
    assert second.params == {"lr": 1}


class Watch:
    """A plugin that wraps a hook, as a recipe for debugging does."""

    def __init__(self):
        self.calls = 0

    @contract.hookimpl(wrapper=True)
    def log_metrics(self, points):
        self.calls += len(points)
        return (yield)


def test_a_wrapper_of_log_metrics_still_sees_all_points(stage, backend):
    class Both(in_columns(backend)):
        def log_metrics(self, points):
            self._take("log_metrics", points)
            self.points += points

    watch = Watch()
    stage.manager.pluggy.register(watch, "watch")
    got = stage.add(Both())
    stage.log(5)
    stage.flush()
    assert (watch.calls, got.values) == (5, [0.0, 1.0, 2.0, 3.0, 4.0])
    assert set(got.calls) == {"log_metrics"}


PLUGIN = """
import json, os, tracelet

@tracelet.hookimpl
def log_columns(columns, run):
    with open("got.jsonl", "a") as file:
        names = [columns.keys[at].name for at in columns.key_indices]
        json.dump([os.getpid(), names, columns.values.tolist(), columns.steps.tolist()], file)
        file.write("\\n")
"""

PROGRAM = """
import os, tracelet
with tracelet.start_run("x", run_id="r1") as run:
    for step in range(500):
        run.log({"loss": step / 2, "acc": step / 4}, step)
print(os.getpid())
"""


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_module_with_nothing_but_log_columns_is_a_backend(tmp_path, isolation):
    (tmp_path / "table.py").write_text(PLUGIN)
    (tmp_path / "tracelet.toml").write_text(
        f'plugins = ["table", "no:system", "no:environment"]\n[plugins.table]\nisolation = "{isolation}"\n'
    )
    (tmp_path / "train.py").write_text(PROGRAM)
    env = {**os.environ, "TRACELET_MODE": "online"}
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = [json.loads(line) for line in (tmp_path / "got.jsonl").read_text().splitlines()]
    assert {pid == int(done.stdout.split()[-1]) for pid, *_ in calls} == {isolation == "thread"}
    assert [name for _, names, *_ in calls for name in names] == ["loss", "acc"] * 500
    assert [value for *_, values, _ in calls for value in values] == [
        s / d for s in range(500) for d in (2, 4)
    ]
    assert [step for *_, steps in calls for step in steps] == [s for s in range(500) for _ in range(2)]
