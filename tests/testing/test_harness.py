"""The harness: the life of a plugin in the real host, with faults on command."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from tracelet.testing import drive, make_points
from tracelet.testing.plugins import load_module

#: Loaded from its file, as another process does.
shelf = load_module(str(Path(__file__).with_name("shelf.py")))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "shelf.db")


def stored(path):
    base = sqlite3.connect(path)
    try:
        return base.execute("select name, value, step from points order by rowid").fetchall()
    finally:
        base.close()


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_what_is_sent_is_received_and_expected(tracelet_harness, path, isolation):
    harness = tracelet_harness(shelf.Shelf, {"path": path}, isolation=isolation, strict="all")
    sent = harness.send([("loss", 0.5, 0), ("loss", 0.25, 1)])
    harness.run.log_params({"lr": 0.1})
    harness.wait()
    assert [point.id for point in sent] == [point.id for point in harness.received.points]
    assert harness.received.points == harness.expected.points == sent
    assert harness.received.params == harness.expected.params == {"lr": 0.1}
    assert stored(path) == [("loss", 0.5, 0), ("loss", 0.25, 1)]
    status = harness.status()
    assert status["state"] == "active"
    assert status["status"]["path"] == path
    assert status["delivery"]["delivered"] == 3
    assert (harness.pid == os.getpid()) == (isolation == "thread")
    assert harness.stop() == {}


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_call_that_fails_is_made_again(tracelet_harness, path, isolation):
    harness = tracelet_harness(shelf.Shelf, {"path": path}, isolation=isolation, strict=True)
    harness.fail_with(ConnectionError("down"), times=2)
    harness.send([("loss", 0.5, 0)])
    errors = [call.error for call in harness.calls if call.hook == "log_metrics"]
    assert errors == ["ConnectionError: down", "ConnectionError: down", None]
    assert harness.status()["delivery"]["retries"] == 2
    harness.check()  # what was set here does not count


def test_the_number_of_the_call_that_fails_and_its_metric(tracelet_harness, path):
    harness = tracelet_harness(shelf.Shelf, {"path": path})
    harness.fail_with(ValueError, call=2, hook="log_metrics")
    harness.fail_with(KeyError("x"), metric="other", times=1)
    for name in ("loss", "loss", "other"):
        harness.send([(name, 0.5, 0)])
    errors = [call.error for call in harness.calls if call.hook == "log_metrics"]
    assert errors == [None, "ValueError: ", None, "KeyError: 'x'", None]


def test_a_lost_answer_delivers_twice(tracelet_harness, path):
    harness = tracelet_harness(shelf.Shelf, {"path": path})
    harness.lose_answer()
    [point] = harness.send([("loss", 0.5, 0)])
    calls = [call for call in harness.calls if call.hook == "log_metrics"]
    assert [call.given["points"][0].id for call in calls] == [point.id, point.id]
    assert len(stored(path)) == 1


def test_send_again_delivers_the_last_batch_or_everything(tracelet_harness, path):
    harness = tracelet_harness(shelf.Shelf, {"path": path})
    harness.send([("loss", 0.5, 0)])
    harness.send([("loss", 0.25, 1)])
    harness.send_again("last")
    assert [point.iteration for point in harness.received.points] == [0, 1, 1]
    harness.send_again("all")
    assert [point.iteration for point in harness.received.points] == [0, 1, 1, 0, 1]
    with pytest.raises(Exception, match="expected 'last' or 'all', found 'none'"):
        harness.send_again("none")


def test_a_stall_ends_by_itself_or_when_it_is_cleared(tracelet_harness, path):
    harness = tracelet_harness(shelf.Shelf, {"path": path})
    harness.stall(0.05)
    harness.send([("loss", 0.5, 0)])
    assert max(call.seconds for call in harness.calls) >= 0.05
    hang = harness.stall()
    harness.send([("loss", 0.25, 1)], wait=False)
    assert not harness.delivery.flush(0.05)
    harness.clear(hang)
    harness.wait()
    assert len(stored(path)) == 2


def test_a_stall_beyond_the_deadline_abandons_the_call(tracelet_harness, path):
    harness = tracelet_harness(shelf.Shelf, {"path": path}, deadlines={"log": 0.1})
    hang = harness.stall()
    harness.send([("loss", 0.5, 0)], wait=False)
    harness.wait_for(lambda: harness.info.state.name == "ERROR")
    with pytest.raises(AssertionError, match="did not get everything"):
        harness.wait(0.2)
    harness.clear(hang)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_killed_and_restarted_it_continues(tracelet_harness, path, isolation):
    harness = tracelet_harness(shelf.Shelf, {"path": path}, isolation=isolation)
    harness.send([("loss", 0.5, 0)])
    pid = harness.pid
    harness.kill()
    harness.run.log_metric("loss", 0.25, 1)
    assert harness.restart()
    harness.wait()
    assert [row[2] for row in stored(path)] == [0, 1]
    assert not any(call.hook == "stop" for call in harness.calls)
    assert (harness.pid == pid) == (isolation == "thread")


def test_a_plugin_that_does_not_start(tracelet_harness, tmp_path):
    table = {"path": str(tmp_path / "no" / "such" / "folder")}
    with pytest.raises(Exception, match="unable to open database file"):
        tracelet_harness(shelf.Shelf, table)
    harness = tracelet_harness(shelf.Shelf, table, start="try")
    assert harness.info.state.name == "ERROR"
    with pytest.raises(Exception, match=r"plugins\.shelf\.path"):
        tracelet_harness(shelf.Shelf, {})


class Prints(shelf.Shelf):
    def log_metrics(self, points, run):
        print("posting")
        super().log_metrics(points, run)


class Fails(shelf.Shelf):
    failed = False

    def log_metrics(self, points, run):
        if not self.failed:
            self.failed = True
            raise ConnectionError("once")
        super().log_metrics(points, run)


class Leaks(shelf.Shelf):
    def stop(self):
        super().stop()
        self.done = threading.Event()
        threading.Thread(target=self.done.wait, args=(20,), name="leak", daemon=False).start()


@pytest.mark.parametrize(
    ("plugin", "told"), [(Prints, "it printed 'posting"), (Fails, "once"), (Leaks, "'leak' is left")]
)
def test_strict_all_reports_errors_threads_and_output(tracelet_harness, path, plugin, told):
    harness = tracelet_harness(plugin, {"path": path}, strict="all")
    harness.send([("loss", 0.5, 0)])
    harness.stop()
    with pytest.raises(AssertionError, match=told):
        harness.check()
    harness.strict = False  # the fixture would check again
    if plugin is Leaks:
        harness.instance.done.set()


def test_expected_is_what_processors_and_routes_leave(tracelet_harness, path):
    class Doubles:
        @classmethod
        def get_metadata(cls):
            from tracelet.core.plugins import PluginMetadata

            return PluginMetadata("doubles", "1", "processor")

        def initialize(self, config):
            self.seen = 0

        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {}

        def process_metric(self, metric):
            self.seen += 1
            metric.value *= self.seen
            return metric

    from tracelet import hookimpl

    for hook in ("initialize", "start", "stop", "get_status", "process_metric"):
        setattr(Doubles, hook, hookimpl(getattr(Doubles, hook)))
    table = {"path": path, "metrics": ["loss"]}
    harness = tracelet_harness(shelf.Shelf, table, processors=[Doubles])
    harness.send([("loss", 1.0, 0), ("debug", 1.0, 0), ("loss", 1.0, 1)])
    values = [(point.name, point.value) for point in harness.received.points]
    assert values == [("loss", 1.0), ("loss", 3.0)]
    assert harness.expected.points == harness.received.points


def test_driven_on_the_calling_thread(path):
    with drive(shelf.Shelf, {"path": path}) as driven:
        from tracelet.testing import RunDouble

        run = RunDouble()
        driven.call("log_metrics", points=make_points([("loss", 0.5, 0), ("loss", 0.25)]), run=run)
        assert driven.call("get_status") == {"path": path}
        with pytest.raises(AttributeError):
            driven.call("log_params", params=None, run=run)
    assert stored(path) == [("loss", 0.5, 0), ("loss", 0.25, None)]


def test_a_collector_measures_without_waiting(tracelet_harness):
    harness = tracelet_harness("system", {"interval": 3600, "sections": ["load"]})
    harness.measure(3)
    assert sum(call.hook == "collect" for call in harness.calls) >= 3
    assert harness.collecting.status()["system"]["interval"] == 3600


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        (None, "the test names no plugin"),
        ("no.such.module:Class", "neither an installed plugin nor an importable module"),
        ("json:Missing", "module 'json' has no 'Missing'"),
    ],
)
def test_a_plugin_that_cannot_be_found(tracelet_harness, plugin, told):
    with pytest.raises(Exception, match=told):
        tracelet_harness(plugin)
