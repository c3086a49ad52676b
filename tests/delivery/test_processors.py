"""Plugins that change metrics on their way to the backends."""

from __future__ import annotations

import threading
import time

import attrs
import pytest

import tracelet_hookspecs as contract
from tracelet.core.plugins import MetricData, PluginMetadata, PluginState, PluginType


class Processor(contract.ProcessorPlugin):
    """Does with a metric what it was made for."""

    def __init__(self, work, name: str = "processor") -> None:
        self.work = work
        self.name = name

    def get_metadata(self) -> PluginMetadata:
        return PluginMetadata(self.name, "1", PluginType.PROCESSOR)

    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...

    def get_status(self):
        return {}

    def process_metric(self, metric):
        return self.work(metric)


def only_even(metric):
    return metric if metric.value % 2 == 0 else None


def doubled(metric):
    metric.value *= 2
    return metric


def with_square(metric):
    return [metric, attrs.evolve(metric, name=f"{metric.name}/squared", value=metric.value**2)]


def test_dropping_changing_and_deriving(stage, backend):
    stage.add(Processor(with_square, "last"), deliver=False)
    stage.add(Processor(doubled, "middle"), deliver=False)
    stage.add(Processor(only_even, "first"), deliver=False)
    got = stage.add(backend())
    stage.log(6)
    stage.flush()
    assert [(p.name, p.value) for p in got.points] == [
        *(("loss", 0), ("loss/squared", 0)),
        *(("loss", 4), ("loss/squared", 16)),
        *(("loss", 8), ("loss/squared", 64)),
    ]
    assert len({point.id for point in got.points}) == 6
    status = stage.status()
    assert (status["delivered"], status["excluded"]) == (3, 3)
    stage.delivery.finish(1)
    stage.verified()
    assert stage.manager.handle("first").costs["process_metric"].calls == 6


def test_routes_see_what_processors_made(stage, backend):
    stage.configure({"backend": {"metrics": ["*/squared"]}})
    stage.add(Processor(with_square), deliver=False)
    got = stage.add(backend())
    stage.log(3)
    stage.flush()
    assert {point.name for point in got.points} == {"loss/squared"}
    assert stage.status()["delivered"] == 3


def spoil(metric):
    metric.value = -1
    raise ValueError("odd")


@pytest.mark.parametrize(
    "work", [spoil, lambda metric: "no metric", lambda metric: [3], lambda metric: exec("raise SystemExit")]
)
def test_what_it_fails_at_goes_on_unchanged_and_is_counted(stage, backend, work):
    stage.add(Processor(work), deliver=False)
    got = stage.add(backend())
    values = stage.log(100)
    stage.flush()
    assert got.values == values
    cost = stage.manager.handle("processor").costs["process_metric"]
    assert (cost.calls, cost.errors) == (100, 100)
    assert stage.manager.plugins["processor"].state is PluginState.ACTIVE


def test_one_that_hangs_is_left_behind_and_the_metrics_go_on(stage, backend):
    stage.configure({}, deadlines={"process": 0.2})
    hang = threading.Event()
    stage.add(Processor(lambda metric: hang.wait() or metric), deliver=False)
    got = stage.add(backend())
    values = stage.log(10)
    stage.flush()
    assert got.values == values
    assert stage.manager.plugins["processor"].state is PluginState.ERROR
    hang.set()


def test_a_retry_does_not_process_twice(stage, backend):
    seen = []

    def note(metric):
        seen.append(metric.value)
        return metric

    failures = iter([ConnectionError(), ConnectionError(), None])

    def before(hook, given):
        if (error := next(failures, None)) is not None:
            raise error

    stage.add(Processor(note), deliver=False)
    got = stage.add(backend(before=before))
    values = stage.log(20)
    stage.flush()
    assert (got.values, seen) == (values, values)


def test_one_metric_given_back_twice_gets_two_ids(stage, backend):
    stage.add(Processor(lambda metric: [metric, metric]), deliver=False)
    got = stage.add(backend())
    stage.log(2)
    stage.flush()
    assert got.values == [0, 0, 1, 1]
    assert len({point.id for point in got.points}) == 4


def test_metrics_made_from_scratch(stage, backend):
    stage.add(Processor(lambda metric: MetricData("other", metric.value)), deliver=False)
    got = stage.add(backend())
    stage.log(2)
    stage.flush()
    assert [(point.name, point.value) for point in got.points] == [("other", 0), ("other", 1)]
    assert all(point.id and point.timestamp <= time.time() for point in got.points)
