"""Backends that are switched off and on while a run goes on, at awkward moments."""

from __future__ import annotations

import threading

from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger
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
