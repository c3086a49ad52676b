"""Backends that hang, and endings that are bounded all the same."""

from __future__ import annotations

import threading
import time

import pytest

from tracelet.core.plugins import PluginState


def hanging(hook, given):
    threading.Event().wait()


def test_a_hang_ends_the_feed_and_the_journal_keeps_everything(stage, backend):
    stage.configure({}, deadlines={"log": 0.2})
    stage.add(backend(before=hanging))
    stage.log(50)
    stage.wait_for(lambda: stage.status()["state"] == "resting")
    assert stage.manager.plugins["backend"].state is PluginState.ERROR
    status = stage.status()
    assert (status["state"], status["pending"], status["delivered"]) == ("resting", 50, 0)
    assert "0.2 s" in status["error"]
    assert stage.delivery.finish(5) == {"backend": "50 records"}
    got = backend()
    stage.again(got)
    stage.flush()
    assert len(got.points) == 50


def test_flush_and_finish_are_bounded_with_any_number_of_hung_backends(stage, backend):
    for number in range(30):
        stage.add(backend(f"hung{number}", before=hanging))
    quick = stage.add(backend("quick"))
    stage.log(100)
    began = time.monotonic()
    assert not stage.delivery.flush(0.5)
    assert time.monotonic() - began < 1.5
    began = time.monotonic()
    due = stage.delivery.finish(0.5)
    assert time.monotonic() - began < 2
    assert due == {f"hung{number}": "100 records" for number in range(30)}
    assert len(quick.points) == 100


def test_a_slow_backend_called_point_by_point_loses_and_repeats_nothing_at_the_end(stage, one_by_one):
    got = stage.add(one_by_one(before=lambda hook, given: time.sleep(0.01)))
    values = stage.log(500)
    due = stage.delivery.finish(0.7)
    assert due
    assert 0 < len(got.points) < 500
    rest = one_by_one()
    stage.again(rest)
    stage.wait_for(
        lambda: len(got.points) + len(rest.points) == 500
    )  # the first one may be at its last batch still
    assert got.values + rest.values == values
    stage.verified()


def test_slow_does_not_mean_hung(stage, one_by_one):
    stage.configure({}, deadlines={"log": 0.5})
    got = stage.add(one_by_one(before=lambda hook, given: time.sleep(0.02)))
    stage.log(100)
    stage.flush(20)
    assert len(got.points) == 100


def test_batches_shrink_for_a_slow_backend(stage, backend):
    stage.settings = stage.settings._replace(batch_aim=0.05)
    stage.configure()
    sizes = []

    def before(hook, given):
        sizes.append(len(given))
        time.sleep(0.01 * len(given))

    stage.log(200)
    stage.add(backend(before=before))
    stage.flush(20)
    assert min(sizes[2:]) <= 16


@pytest.mark.parametrize("program", ["hung", "open"])
def test_the_interpreter_exits(project, program):
    project.write(
        "train.py",
        """
        import sys, threading, time
        import tracelet
        from tracelet.core.plugins import BackendPlugin, PluginMetadata, PluginType

        class Backend(BackendPlugin):
            @classmethod
            def get_metadata(cls):
                return PluginMetadata("backend", "1", PluginType.BACKEND)
            def initialize(self, config): ...
            def start(self): ...
            def stop(self): ...
            def get_status(self): return {}
            def log_params(self, params): ...
            def log_artifact(self, local_path, artifact_path=None): ...
            def log_metric(self, name, value, iteration):
                if sys.argv[1] == "hung":
                    threading.Event().wait()
                time.sleep(0.01)

        run = tracelet.start_run("x", plugins=[Backend], config={"finish_timeout": 1})
        for step in range(1000):
            run.log_metric("loss", step)
        print("done", flush=True)
        """,
    )
    began = time.monotonic()
    done = project.python("train.py", program)
    assert "done" in done.stdout
    assert "pending for backend" in done.stderr
    assert time.monotonic() - began < 10


def test_a_signal_may_come_while_it_waits(stage, backend):
    """SIGTERM ends a run from a handler, on top of a flush that has the same locks."""
    import signal

    stage.add(backend(before=lambda hook, given: time.sleep(0.3)))
    stage.log(10)
    finished = []
    previous = signal.signal(signal.SIGALRM, lambda *_: finished.append(stage.delivery.finish(0.2)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        stage.delivery.flush(1.0)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert finished
