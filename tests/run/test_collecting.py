"""Collectors are asked at the start, at their interval and once at the end, each on its own thread."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

import tracelet

OFF = ["no:system", "no:environment", "no:gpu"]


def collector(interval, measure):
    class Collector:
        _collection_interval = interval

        @tracelet.hookimpl
        def collect(self):
            return measure()

    return Collector()


def read(run):
    return tracelet.open_store(run.dir.parent.parent).run(run.id)


def until(condition, timeout=20.0):
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_a_slow_interval_measures_at_the_start_and_at_the_end(tmp_path):
    threads = []

    def measure():
        threads.append(threading.current_thread())
        return {"n": len(threads)}

    with tracelet.start_run(dir=tmp_path, plugins=[collector(3600, measure), *OFF]) as run:
        until(lambda: threads)
    series = read(run).metric("n")
    assert list(series.values) == [1.0, 2.0]
    assert list(series.iterations) == [0, 1]
    assert series.type == "system"
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()


def test_an_interval_is_kept(tmp_path):
    calls = []
    measure = lambda: calls.append(time.monotonic())  # noqa: E731
    with tracelet.start_run(dir=tmp_path, plugins=[collector(0.05, measure), *OFF]):
        until(lambda: len(calls) >= 8)
    gaps = [after - before for before, after in itertools.pairwise(calls[:-1])]
    assert sorted(gaps)[len(gaps) // 2] >= 0.02


def test_the_configuration_sets_the_interval(tmp_path):
    calls = []

    def measure():
        calls.append(1)
        return {"n": 1}

    config = {"plugins": {"Collector": {"interval": 0.02}}}
    with tracelet.start_run(dir=tmp_path, plugins=[collector(3600, measure), *OFF], config=config):
        until(lambda: len(calls) > 3)


def test_one_that_overruns_skips_ticks_and_is_never_called_twice_at_once(tmp_path):
    inside, most, calls = [0], [0], []

    def measure():
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.2)
        inside[0] -= 1
        calls.append(1)
        return {"n": 1}

    with tracelet.start_run(dir=tmp_path, plugins=[collector(0.02, measure), *OFF]) as run:
        until(lambda: len(calls) >= 3)
        skipped = run.status()["collecting"]["Collector"]["skipped"]
    assert most == [1]
    assert skipped > 5


def test_one_that_hangs_is_put_into_error_and_the_others_go_on(tmp_path):
    class Hangs:
        _collection_interval = 0.05

        @tracelet.hookimpl
        def collect(self):
            time.sleep(3600)

    healthy = []
    plugins = [Hangs(), collector(0.05, lambda: healthy.append(1)), *OFF]
    with tracelet.start_run(
        dir=tmp_path, plugins=plugins, config={"deadlines": {"collect": 0.3}, "finish_timeout": 1}
    ) as run:
        until(lambda: run.status()["plugins"]["Hangs"]["state"] == "error")
        before = len(healthy)
        until(lambda: len(healthy) > before + 2)
        assert "collect was still running" in run.status()["plugins"]["Hangs"]["error"]


@pytest.mark.parametrize("failure", [ValueError("no sensor"), SystemExit(1), KeyError("x")])
def test_one_that_fails_loses_that_measurement_alone(tmp_path, failure):
    calls = []

    def measure():
        calls.append(1)
        if len(calls) % 2:
            raise failure
        return {"n": len(calls)}

    with tracelet.start_run(dir=tmp_path, plugins=[collector(0.02, measure), *OFF]) as run:
        until(lambda: len(calls) >= 6)
        status = run.status()["plugins"]["Collector"]
    assert status["state"] == "active"
    assert status["costs"]["collect"]["errors"] >= 3
    assert len(read(run).metric("n").values) >= 2


def test_a_failure_that_repeats_is_told_once(tmp_path, caplog):
    calls = []

    def measure():
        calls.append(1)
        raise ValueError("no sensor" if len(calls) < 5 else "no driver")

    with tracelet.start_run(dir=tmp_path, plugins=[collector(0.02, measure), *OFF]):
        until(lambda: len(calls) > 10)
    told = [record.getMessage() for record in caplog.records if "collect failed" in record.getMessage()]
    assert [message.rpartition(": ")[2] for message in told] == ["no sensor", "no driver"]


def test_nested_results_strings_and_truths(tmp_path):
    measured = {
        "a": {"b": [1, 2.5]},
        "name": "node7",
        "healthy": True,
        "nothing": None,
        "api_key": "sk-123456",
    }
    with tracelet.start_run(dir=tmp_path, plugins=[collector(3600, lambda: measured), *OFF]) as run:
        until(lambda: read(run).facts)
    record = read(run)
    assert sorted(record.metrics()) == ["a/b/0", "a/b/1"]
    assert record.facts == {"Collector": {"name": "node7", "healthy": True, "api_key": "***"}}


def test_a_result_that_is_no_mapping_is_an_error_of_the_collector(tmp_path, caplog):
    with tracelet.start_run(dir=tmp_path, plugins=[collector(3600, lambda: [1, 2]), *OFF]):
        until(lambda: "expected a mapping" in caplog.text)


def test_a_summary_of_any_kind_ends_the_run_all_the_same(tmp_path):
    class Odd:
        @tracelet.hookimpl
        def report_summary(self):
            return 7

    with tracelet.start_run(dir=tmp_path, plugins=[Odd(), *OFF]) as run:
        run.log_metric("x", 1)
    assert run.plugins.summary == ["7"]
    assert run.outcome == "finished"


def test_run_started_comes_before_the_first_point_and_run_ended_after_the_last(tmp_path):
    heard = []

    class Backend:
        @tracelet.hookimpl
        def run_started(self, run):
            time.sleep(0.2)
            heard.append("started")

        @tracelet.hookimpl
        def log_metric(self, value):
            heard.append(value)

        @tracelet.hookimpl
        def run_ended(self, outcome):
            heard.append(outcome)

        @tracelet.hookimpl
        def stop(self):
            heard.append("stop")

    with tracelet.start_run(dir=tmp_path, plugins=[Backend(), *OFF]) as run:
        for step in range(100):
            run.log_metric("x", step, step)
    assert heard[0] == "started"
    assert heard[-1] == "stop"
    assert [each for each in heard if isinstance(each, float)] == list(range(100))
    assert "finished" in heard


def test_a_backend_switched_on_in_the_middle_gets_every_point_once(tmp_path):
    class Late:
        def __init__(self):
            self.values = []

        @tracelet.hookimpl
        def log_metric(self, value):
            self.values.append(value)

    late = Late()
    with tracelet.start_run(dir=tmp_path, plugins=OFF) as run:
        for step in range(50):
            run.log_metric("x", step, step)
        assert run.add_plugin(late)
        for step in range(50, 100):
            run.log_metric("x", step, step)
        assert run.flush()
        assert run.remove_plugin("Late")
        run.log_metric("x", 100, 100)
    assert late.values == [float(step) for step in range(100)]


def test_strict_raises_for_a_plugin_that_cannot_be_started(tmp_path):
    with pytest.raises(tracelet.PluginError, match="no_such_plugin"):
        tracelet.start_run(dir=tmp_path, plugins=["no_such_plugin"], strict=True)
    assert tracelet.active_run() is None


def test_without_strict_an_unknown_plugin_is_told_and_the_run_goes_on(tmp_path, caplog):
    with tracelet.start_run(dir=tmp_path, plugins=["jsonll", *OFF]) as run:
        run.log_metric("x", 1)
    assert "did you mean 'jsonl'?" in caplog.text
    assert read(run).outcome == "finished"
