"""Backends that are switched off and on while a run goes on, at awkward moments."""

from __future__ import annotations

import threading

import pytest

from tracelet.core.plugins import PluginMetadata
from tracelet.delivery.attaching import start_and_attach
from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.sync import RecordedRun
from tracelet_hookspecs import MetricType


def test_switched_on_again_while_the_last_call_still_goes_on(stage, backend):
    """Whoever waits waits for the call, too: it is no other process's."""
    go_on = threading.Event()
    got = stage.add(backend(before=lambda hook, given: go_on.wait(10)))
    values = stage.log(10)
    stage.wait_for(lambda: (pipeline := stage.delivery._workers["backend"].pipeline) and pipeline.plan)
    stage.delivery.remove("backend", timeout=0.01)
    stage.delivery.add("backend")
    values += stage.log(10, start=10)
    threading.Timer(0.2, go_on.set).start()
    stage.flush()
    assert got.values == values
    stage.verified()


def test_what_a_backend_takes_is_asked_again_once_it_was_started_anew(stage, backend):
    class Choosy(backend):
        takes = MetricType.SCALAR

        def can_handle_type(self, metric_type):
            return metric_type is self.takes

    got = stage.add(Choosy())
    stage.writer.row({"a": 1.0})
    stage.writer.row({"b": 2.0}, type="system")
    stage.flush()
    stage.manager.stop_plugin("backend")
    stage.wait_for(lambda: stage.status()["state"] == "resting")
    got.takes = MetricType.SYSTEM
    stage.manager.start_plugins(["backend"])
    stage.delivery.reconfigure("backend")
    stage.writer.row({"c": 3.0})
    stage.writer.row({"d": 4.0}, type="system")
    stage.flush()
    assert got.values == [1.0, 4.0]


def test_a_call_that_outlasts_its_lease_does_not_undo_what_the_next_one_booked(stage, backend):
    """A process stood still for so long that another host took over: what it knows is out of date."""
    go_on = threading.Event()
    first = stage.add(backend(before=lambda hook, given: go_on.wait(10)))
    stage.log(10)
    worker = stage.delivery._workers["backend"]
    stage.wait_for(lambda: worker.pipeline and worker.pipeline.plan)
    worker._lease.file.unlink()  # as another host does that takes this process to be dead
    lease = Lease(stage.run_dir, "backend", stage.settings)
    assert lease.acquire()
    ledger = Ledger(stage.run_dir, "backend")
    ledger.page(worker.pipeline._batch.writer).delivered = 11
    for _ in range(10):
        ledger.save()
    worker._lease._beat_at = float("-inf")  # a moment ago is long ago
    go_on.set()
    stage.wait_for(lambda: worker.state == "standby")
    assert len(first.points) == 10, "it comes twice, which cannot be helped"
    assert Ledger(stage.run_dir, "backend").delivered == 11
    lease.release()


class Switch:
    """A service that a backend needs in ``start`` or ``initialize``: it is up or down."""

    def __init__(self):
        self.is_up = True
        self.attempts = 0

    def connect(self):
        self.attempts += 1
        if not self.is_up:
            raise ConnectionError("nobody answers")


@pytest.fixture
def switched(backend):
    """Return a backend that needs a service in the given step."""

    def switched(step, service):
        class Connecting(backend):
            def initialize(self, config):
                if step == "initialize":
                    service.connect()

            def start(self):
                if step == "start":
                    service.connect()

        return Connecting()

    return switched


@pytest.mark.parametrize("step", ["start", "initialize"])
@pytest.mark.parametrize("how", ["start_plugin", "start_plugins", "as a run does"])
def test_an_outage_at_a_restart_is_waited_out(stage, switched, step, how):
    service = Switch()
    got = stage.add(switched(step, service))
    values = stage.log(3)
    stage.flush()
    stage.manager.stop_plugin("backend")
    service.is_up = False
    before = service.attempts
    manager = stage.manager
    if how == "start_plugin":
        assert not (manager.initialize_plugin("backend") and manager.start_plugin("backend"))
    elif how == "start_plugins":
        assert manager.start_plugins(["backend"]) == {"backend": False}
    else:
        run = RecordedRun(stage.run_dir)
        assert start_and_attach(manager, ["backend"], run, stage.delivery.add, delivery=stage.delivery) == []
    values += stage.log(3, start=3)
    stage.wait_for(lambda: stage.status()["state"] == "retrying")
    stage.wait_for(lambda: service.attempts > before + 3)
    assert stage.status()["pending"] == 3
    service.is_up = True
    stage.flush()
    assert got.values == values
    stage.wait_for(lambda: stage.status()["state"] in ("idle", "delivering"))
    stage.verified()


def test_another_failure_at_a_restart_is_not_retried(stage, switched):
    service = Switch()
    got = stage.add(switched("start", service))
    stage.log(1)
    stage.flush()
    stage.manager.stop_plugin("backend")
    service.connect = lambda: 1 / 0
    stage.manager.start_plugins(["backend"])
    stage.log(1)
    assert not stage.delivery.flush(0.3)
    assert stage.status()["state"] == "resting"
    del service.connect
    stage.manager.start_plugins(["backend"])
    stage.flush()
    assert len(got.values) == 2


def test_a_backend_that_only_others_depend_on_waits_for_an_outage_too(stage, switched):
    """And so do those that depend on it, whatever they are."""
    service = Switch()
    service.is_up = False
    base = switched("start", service)

    class Dependent:
        started = False

        @staticmethod
        def get_metadata():
            return PluginMetadata("dependent", "1", "framework", dependencies=["backend"])

        def initialize(self, config): ...
        def start(self):
            self.started = True

        def stop(self): ...
        def get_status(self):
            return {}

    stage.manager.register_plugin(base)
    dependent = Dependent()
    stage.manager.register_plugin(dependent)
    run = RecordedRun(stage.run_dir)

    def attach(name):
        if name == "backend":
            stage.delivery.add(name)

    assert start_and_attach(stage.manager, ["dependent"], run, attach, delivery=stage.delivery) == []
    values = stage.log(3)
    stage.wait_for(lambda: stage.status()["state"] == "retrying")
    assert stage.status()["pending"] == 3
    service.is_up = True
    stage.flush()
    assert base.values == values
    stage.wait_for(lambda: dependent.started)
