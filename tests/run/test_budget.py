"""What tracelet takes of the caller's time is measured, shown, and kept below a budget."""

from __future__ import annotations

import threading
import time

import pytest

import tracelet
from tracelet.run.budget import _cpu_seconds

pytestmark = pytest.mark.any_python


def test_the_share_is_measured_and_shown(tmp_path):
    with tracelet.start_run(dir=tmp_path, plugins=["no:system", "no:environment", "no:gpu"]) as run:
        end = time.monotonic() + 1.2
        step = 0
        while time.monotonic() < end:
            run.log_metric("x", step, step)
            step += 1
            sum(range(10_000))  # the training
        overhead = run.status()["overhead"]
    assert 0 < overhead["us_per_point"] < 1000
    assert 0 < overhead["share"] < 1
    assert overhead["call_s"] > 0


def test_what_threads_took_before_the_run_does_not_count(tmp_path):
    """A thread of an earlier run may still be there, as one that waits for a server."""
    stop = threading.Event()

    def compute():
        while time.thread_time() < 1.5:
            pass
        stop.wait(60)

    thread = threading.Thread(target=compute, name="tracelet of an earlier run")
    thread.start()
    while _cpu_seconds(thread.native_id) < 1.5:
        time.sleep(0.05)
    try:
        with tracelet.start_run(dir=tmp_path, plugins=["no:system", "no:environment", "no:gpu"]) as run:
            overhead = run.status()["overhead"]
    finally:
        stop.set()
        thread.join()
    assert overhead["threads_cpu_s"] < 1.4


def test_over_budget_collectors_slow_down_first_and_it_is_told(tmp_path, caplog):
    class Hungry:
        _collection_interval = 0.02

        @tracelet.hookimpl
        def collect(self):
            end = time.perf_counter() + 0.01
            while time.perf_counter() < end:
                pass
            return {"hungry": 1.0}

    plugins = [Hungry(), "no:system", "no:environment", "no:gpu"]
    with tracelet.start_run(dir=tmp_path, plugins=plugins, config={"budget": "0.5%"}) as run:
        deadline = time.monotonic() + 20
        while not run.status()["overhead"]["shed"] and time.monotonic() < deadline:
            run.log_metric("x", 1)
            time.sleep(0.01)
        status = run.status()
    assert status["overhead"]["shed"][0].startswith("collectors measure")
    assert status["collecting"]["Hungry"]["interval"] > 0.02
    assert "above the budget of 0.50%" in caplog.text


def test_what_plugins_take_to_start_slows_nothing_down(tmp_path, monkeypatch):
    class Heavy:
        @tracelet.hookimpl
        def start(self):
            end = time.thread_time() + 0.2
            while time.thread_time() < end:
                pass

        @tracelet.hookimpl
        def collect(self):
            return {"light": 1.0}

    monkeypatch.setattr("tracelet.run.budget.PERIOD", 0.01)
    with tracelet.start_run(
        dir=tmp_path, plugins=[Heavy(), "no:system", "no:environment", "no:gpu"], config={"budget": "0.5%"}
    ) as run:
        time.sleep(0.5)  # six looks
        overhead = run.status()["overhead"]
    assert overhead["threads_cpu_s"] > 0.2
    assert overhead["shed"] == []


@pytest.mark.parametrize("budget", ["a lot", "-1%", "150%", 2])
def test_a_budget_is_a_share(tmp_path, budget):
    with pytest.raises(tracelet.ConfigError, match="budget"):
        tracelet.start_run(dir=tmp_path, config={"budget": budget})
