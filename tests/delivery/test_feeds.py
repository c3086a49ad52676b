"""What is recorded reaches the backends: all of it, once, in order, as it was."""

from __future__ import annotations

import math
import threading
import time

import pytest

from tracelet.core.plugins import MetricType
from tracelet.journal import Writer


def test_everything_arrives_in_order(stage, backend):
    got = stage.add(backend())
    stage.writer.event("params", {"params": {"lr": 0.1}})
    values = stage.log(5000)
    stage.writer.event("tags", {"tags": {"team": "vision"}})
    stage.flush()
    assert got.values == values
    assert [point.iteration for point in got.points] == list(range(5000))
    assert (got.params, got.tags) == ({"lr": 0.1}, {"team": "vision"})
    assert (got.calls[0], got.calls[-1]) == ("log_params", "set_tags")
    assert got.runs == {"run-1"}
    assert stage.status()["delivered"] == 5002


def test_points_are_as_they_were_recorded(stage, backend):
    got = stage.add(backend())
    before = time.time()
    stage.writer.point("loss", math.nan, 7)
    stage.writer.point("cpu", math.inf, type="system", source="host")
    stage.writer.row({"a": 1.5, "b": {"c": -0.0}}, 2**60)
    stage.flush()
    loss, cpu, a, c = got.points
    assert math.isnan(loss.value)
    assert (loss.name, loss.iteration, loss.type, loss.source) == ("loss", 7, MetricType.SCALAR, None)
    assert before - 1 <= loss.timestamp <= time.time()
    assert (cpu.value, cpu.type, cpu.source) == (math.inf, MetricType.SYSTEM, "host")
    assert [(p.name, p.value, p.iteration) for p in (a, c)] == [("a", 1.5, 2**60), ("b/c", -0.0, 2**60)]
    assert math.copysign(1, c.value) == -1
    assert len({point.id for point in got.points}) == 4


def test_a_backend_without_a_batch_hook_is_called_point_by_point(stage, one_by_one):
    got = stage.add(one_by_one())
    values = stage.log(3000)
    stage.flush()
    assert got.values == values
    cost = stage.manager.handle("backend").costs["log_metric"]
    assert cost.calls == 3000


def test_artifacts_come_with_the_path_under_the_run(stage, backend):
    got = stage.add(backend())
    file = stage.run_dir / "artifacts" / "model.bin"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    stage.writer.event("artifact", {"path": "artifacts/model.bin", "artifact_path": "models", "media": None})
    stage.writer.event("artifact", {"path": "artifacts/gone.bin", "artifact_path": None, "media": None})
    stage.flush()
    assert got.artifacts == [(str(file), "models")]
    assert stage.status()["dropped"] == {"file is gone": 1}
    stage.verified()


def test_a_backend_added_late_gets_everything_and_a_slow_one_keeps_nobody_waiting(stage, backend):
    values = stage.log(500)
    slow = stage.add(backend("slow", before=lambda hook, given: time.sleep(0.2)))
    quick = stage.add(backend("quick"))
    values += stage.log(500, start=500)
    stage.wait_for(lambda: len(quick.points) == 1000, 5)
    assert quick.values == values
    stage.flush()
    assert slow.values == values


def test_switched_off_and_on_again_a_backend_gets_every_point_once(stage, backend):
    got = stage.add(backend())
    stop = threading.Event()
    recorded = []

    def record():
        while not stop.is_set():
            recorded.extend(stage.log(10, start=len(recorded)))
            time.sleep(0.001)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        for _ in range(10):
            time.sleep(0.02)
            stage.delivery.remove("backend")
            count = len(got.points)
            time.sleep(0.01)
            assert len(got.points) == count
            stage.delivery.add("backend")
    finally:
        stop.set()
        thread.join()
    stage.flush()
    assert got.values == recorded
    stage.delivery.remove("backend")
    stage.verified()


def test_several_writers_each_in_its_own_order(stage, backend):
    got = stage.add(backend())
    others = [Writer(stage.run_dir, {"run": {"id": "run-1"}, "rank": rank}) for rank in (1, 2)]
    for step in range(2000):
        for rank, writer in enumerate([stage.writer, *others]):
            writer.point(f"rank{rank}", step, step)
    stage.flush()
    for rank in range(3):
        mine = [point.value for point in got.points if point.name == f"rank{rank}"]
        assert mine == list(range(2000))
    for writer in others:
        writer.close()


def test_only_the_writers_that_are_named(stage, backend):
    other = Writer(stage.run_dir, {"run": {"id": "run-1"}})
    other.point("other", 1, 1)
    stage.again(writers=lambda: [stage.writer.id])
    got = stage.add(backend())
    stage.log(3)
    stage.flush()
    assert {point.name for point in got.points} == {"loss"}
    other.close()


@pytest.mark.parametrize("options", [{"metrics": ["train/*", "!*/debug"]}, {"types": ["!system"]}])
def test_routes_from_the_configuration(stage, backend, options):
    stage.configure({"backend": options})
    got = stage.add(backend())
    for name, kind in (("train/loss", "scalar"), ("train/debug", "system"), ("cpu", "system")):
        stage.writer.point(name, 1.0, 1, type=kind)
    stage.flush()
    assert [point.name for point in got.points] == ["train/loss"]
    status = stage.status()
    assert (status["delivered"], status["excluded"], status["pending"]) == (1, 2, 0)
    stage.delivery.finish(1)
    (row,) = stage.verified().backends
    assert (row.recorded, row.delivered, row.excluded, row.pending) == (3, 1, 2, 0)


def test_ranks_from_the_configuration(stage, backend):
    stage.configure({"backend": {"ranks": [1]}})
    got = stage.add(backend())
    other = Writer(stage.run_dir, {"run": {"id": "run-1"}, "rank": 1})
    third = Writer(stage.run_dir, {"run": {"id": "run-1"}, "rank": 2})
    for value, writer in enumerate((other, third)):
        writer.point("loss", value, 0)
        writer.event("params", {"params": {"rank": value}})
        writer.close()
    stage.flush()
    assert (got.values, got.params) == ([0.0], {"rank": 0})
    assert stage.status()["excluded"] == 2


def test_hooks_that_a_backend_has_not_are_no_trouble(stage):
    class OnlyParams:
        """Knows nothing of numbers."""

        def get_metadata(self):
            from tracelet.core.plugins import PluginMetadata

            return PluginMetadata("backend", "1", "backend")

        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {}

        def log_params(self, params):
            got.update(params)

    got: dict[str, object] = {}
    stage.add(OnlyParams())
    stage.log(10)
    stage.writer.event("params", {"params": {"lr": 1}})
    stage.writer.event("tags", {"tags": {"a": "b"}})
    stage.flush()
    assert got == {"lr": 1}
    assert (stage.status()["delivered"], stage.status()["excluded"]) == (1, 11)


def test_types_that_a_backend_cannot_handle_are_left_out(stage, backend):
    class NoSystem(backend):
        def can_handle_type(self, metric_type):
            return metric_type is not MetricType.SYSTEM

    got = stage.add(NoSystem())
    stage.log(3)
    stage.writer.point("cpu", 1.0, type="system")
    stage.flush()
    assert {point.name for point in got.points} == {"loss"}
    assert stage.status()["excluded"] == 1


def test_flush_waits_for_what_was_recorded_and_not_for_what_comes(stage, backend):
    got = stage.add(backend())
    stop = threading.Event()

    def record():
        step = 0
        while not stop.is_set():
            stage.writer.point("noise", 1.0, step)
            step += 1
            time.sleep(0)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        time.sleep(0.05)
        stage.writer.point("mark", 1.0, 0)
        stage.flush()
        assert any(point.name == "mark" for point in got.points)
    finally:
        stop.set()
        thread.join()


def test_finish_says_what_is_still_due_and_a_later_process_delivers_it(stage, backend):
    def down(hook, given):
        raise ConnectionError("down")

    stage.add(backend(before=down))
    values = stage.log(1234)
    assert stage.delivery.finish(5) == {"backend": "1 234 records"}
    (row,) = stage.verified().backends
    assert row.pending == 1234
    got = backend()
    stage.again(got)
    stage.flush()
    assert got.values == values
    assert stage.delivery.finish(5) == {}


def test_a_changed_configuration_is_taken_up(stage, backend):
    stage.configure({"backend": {"metrics": ["a"]}})
    got = stage.add(backend())
    stage.writer.row({"a": 1, "b": 2})
    stage.flush()
    stage.manager.config.tables["backend"]["metrics"] = ["b"]
    stage.delivery.reconfigure("backend")
    stage.writer.row({"a": 3, "b": 4})
    stage.flush()
    assert got.values == [1, 4]


def test_in_a_forked_child_delivery_does_nothing(stage, backend):
    import os

    stage.add(backend())
    stage.log(10)
    stage.flush()
    child = os.fork()
    if not child:
        delivery = stage.delivery
        delivery.add("other")
        ok = delivery.flush(1) and delivery.finish(1) == {} and delivery.status() == {}
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_batches_for_a_quick_backend_stay_at_a_size(stage, backend):
    """Rows of ten do not come out even."""
    sizes = []
    for step in range(1000):
        stage.writer.row({f"metric{at}": 0.5 for at in range(10)}, step)
    stage.settings = stage.settings._replace(call_quick=10.0, batch_aim=100.0)  # also on a busy machine
    stage.configure()
    stage.add(backend(before=lambda hook, given: sizes.append(len(given))))
    stage.flush()
    assert sum(sizes) == 10_000
    assert set(sizes[4:-1]) == {520}, sizes
