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


class Averaging(contract.ProcessorPlugin):
    """Has a state: a moving average per metric."""

    made: list = []
    stopped: list = []

    @classmethod
    def get_metadata(cls):
        return PluginMetadata("averaging", "1", "processor")

    def initialize(self, config):
        self.factor = config.get("factor", 0.5)
        self.mean = {}
        self.made.append(self)

    def start(self): ...

    def stop(self):
        self.stopped.append(self)

    def get_status(self):
        return {}

    def process_metric(self, metric):
        mean = self.mean.get(metric.name, metric.value)
        metric.value = self.mean[metric.name] = mean + self.factor * (metric.value - mean)
        return metric


def test_each_backend_has_its_own_state_of_a_processor(stage, backend, monkeypatch):
    monkeypatch.setattr(Averaging, "made", [])
    monkeypatch.setattr(Averaging, "stopped", [])
    stage.configure({"averaging": {"factor": 0.25}})
    stage.add(Averaging, deliver=False)
    backends = [stage.add(backend(name)) for name in ("one", "two", "three")]
    for value in (0.0, 8.0, 8.0):
        stage.writer.point("x", value, 0)
        stage.flush()
    for got in backends:
        assert got.values == [0.0, 2.0, 3.5]
        assert {point.id[2] for point in got.points} == {0}
    assert len(Averaging.made) == 3
    assert all(made.factor == made.config["factor"] == 0.25 for made in Averaging.made)
    stage.delivery.finish(1)
    stage.manager.stop_all_plugins(5)
    assert sorted(map(id, Averaging.stopped)) == sorted(map(id, Averaging.made))


def test_an_object_is_shared_and_is_told_the_backend(stage, backend):
    seen = set()

    class Shared(Processor):
        def process_metric(self, metric, backend):
            seen.add((id(self), backend))
            return metric

    processor = Shared(None)
    stage.add(processor, deliver=False)
    for name in ("one", "two"):
        stage.add(backend(name))
    stage.log(1)
    stage.flush()
    assert seen == {(id(processor), "one"), (id(processor), "two")}


def test_a_wrapper_is_around_every_object_of_a_processor(stage, backend):
    wrapped = []

    class Wrapper:
        @contract.hookimpl(wrapper=True)
        def process_metric(self, metric, backend):
            wrapped.append(backend)
            return (yield)

    stage.manager.register_plugin(Wrapper(), name="wrapper")
    stage.manager.start_plugins(["wrapper"])
    stage.add(Averaging, deliver=False)
    for name in ("one", "two"):
        stage.add(backend(name))
    stage.log(1)
    stage.flush()
    assert sorted(wrapped) == ["one", "two"]


def test_an_object_that_cannot_be_made_for_a_second_backend_fails_the_processor_alone(stage, backend):
    class Single(Averaging):
        def start(self):
            if len(type(self).made) > 1:
                raise RuntimeError("there can be only one")

    Single.made = []
    stage.add(Single, deliver=False)
    backends = [stage.add(backend(name)) for name in ("one", "two")]
    values = stage.log(3)
    stage.flush()
    assert [len(got.values) for got in backends] == [3, 3]
    assert values in [got.values for got in backends]
    info = stage.manager.plugins["averaging"]
    assert info.state is PluginState.ERROR
    assert "there can be only one" in info.error


@pytest.mark.parametrize(
    "field",
    [
        {"name": ""},
        {"name": None},
        {"name": 7},
        {"name": b"x"},
        {"name": []},
        {"value": "a text"},
        {"value": None},
        {"value": [1.0, 2.0]},
        {"type": None},
        {"type": "loss"},
        {"type": []},
        {"iteration": "3"},
        {"iteration": 1.5},
        {"timestamp": "now"},
        {"timestamp": True},
        {"source": 3},
        {"metadata": 7},
    ],
    ids=repr,
)
def test_an_answer_with_a_field_of_a_wrong_type_is_the_processors_fault(stage, backend, field):
    def spoil(metric):
        return attrs.evolve(metric, **field) if metric.iteration == 1 else metric

    stage.add(Processor(spoil), deliver=False)
    got = stage.add(backend())
    values = stage.log(3)
    stage.flush()
    assert got.values == values
    assert [point.name for point in got.points] == ["loss"] * 3
    assert stage.manager.handle("processor").cost("process_metric").errors == 1
    assert stage.status()["error"] is None


async def a_coroutine():
    raise AssertionError("never awaited")


@pytest.mark.parametrize("answer", [a_coroutine, object, lambda: "text", lambda: [None], lambda: 5])
def test_an_answer_that_is_no_metric_is_the_processors_fault(stage, backend, answer):
    stage.add(Processor(lambda metric: answer()), deliver=False)
    got = stage.add(backend())
    values = stage.log(2)
    stage.flush()
    assert got.values == values
    assert stage.manager.handle("processor").cost("process_metric").errors == 2
