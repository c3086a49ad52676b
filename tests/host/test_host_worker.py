"""One plugin, one thread: deadlines, a busy thread, one that hangs, none of the calls lost."""

from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.errors import PluginError
from tracelet.host.worker import Busy, Overrun, Worker


@pytest.fixture
def worker():
    worker = Worker("p")
    yield worker
    worker.retire()


@pytest.fixture
def gate():
    """Return an event that calls may wait for, and that lets them go at the end."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_a_call_returns_its_result_from_the_plugins_own_thread(worker):
    assert worker.run(threading.current_thread, step="start", deadline=5).name == "tracelet plugin p"
    first, second = (worker.run(threading.get_ident, step="start", deadline=5) for _ in range(2))
    assert first == second != threading.get_ident()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_call_raises_reaches_the_caller(worker, error):
    def fail():
        raise error

    with pytest.raises(type(error)) as raised:
        worker.run(fail, step="start", deadline=5)
    assert raised.value is error
    assert worker.usable
    assert worker.run(lambda: "again", step="start", deadline=5) == "again"


def test_an_overrun_says_where_it_hangs_and_who(worker, gate):
    began = time.monotonic()
    with pytest.raises(Overrun) as raised:
        worker.run(gate.wait, step="start", deadline=0.2)
    assert time.monotonic() - began < 5
    assert "plugin 'p': start was still running" in str(raised.value)
    assert "after 0.2 s and was abandoned; fix the plugin or raise deadlines.start" in str(raised.value)
    assert (raised.value.plugin, raised.value.step) == ("p", "start")
    assert "gate" in raised.value.stack or "wait" in raised.value.stack
    assert not worker.usable
    with pytest.raises(PluginError, match="stop not called, because start never returned"):
        worker.run(lambda: None, step="stop", deadline=5)


def test_the_place_of_an_overrun_is_in_the_plugins_own_code(worker, gate):
    def hang():
        gate.wait()

    with pytest.raises(Overrun, match=rf"at test_host_worker.py:{hang.__code__.co_firstlineno + 1} "):
        worker.run(hang, step="start", deadline=0.2)


def test_a_renewed_worker_goes_on_with_another_thread(worker, gate):
    hung = []
    with pytest.raises(Overrun):
        worker.run(lambda: (hung.append(threading.get_ident()), gate.wait()), step="start", deadline=0.2)
    worker.renew()
    assert worker.run(threading.get_ident, step="start", deadline=5) not in hung


def test_a_call_that_comes_late_to_a_busy_thread_is_withdrawn(worker, gate):
    ran = []
    worker.post(gate.wait, step="log_metrics", deadline=60)
    with pytest.raises(Busy, match=r"stop did not begin within 0.1 s; its thread was busy with log_metrics"):
        worker.run(lambda: ran.append(1), step="stop", deadline=0.1)
    gate.set()
    worker.run(lambda: None, step="start", deadline=5)
    assert ran == []
    assert worker.usable


def test_a_call_that_waits_behind_one_that_hangs_blames_that_one(worker, gate):
    worker.post(gate.wait, step="plugin_state_changed", deadline=0.05)
    time.sleep(0.1)
    with pytest.raises(Overrun, match="plugin_state_changed was still running"):
        worker.run(lambda: None, step="stop", deadline=0.2)
    assert worker.stuck == "plugin_state_changed"


def test_the_deadline_counts_from_when_a_call_begins(worker):
    worker.post(lambda: time.sleep(0.3), step="log", deadline=5)
    assert worker.run(lambda: time.sleep(0.3) or "done", step="start", deadline=0.5) == "done"


def test_a_patient_caller_leaves_nothing_behind(worker, gate):
    with pytest.raises(Busy, match=r"get_status has not answered within 0.1 s"):
        worker.run(gate.wait, step="get_status", deadline=0.1, patient=True)
    assert worker.usable
    with pytest.raises(Busy):
        worker.run(lambda: None, step="get_status", deadline=0.1, patient=True)
    assert worker.usable
    gate.set()
    assert worker.run(lambda: "well", step="get_status", deadline=5) == "well"


def test_those_who_wait_behind_a_hanging_call_are_told_at_once(worker, gate):
    task = worker.post(gate.wait, step="start", deadline=0.2)
    waiting = worker.post(lambda: None, step="log", deadline=60)
    with pytest.raises(Overrun):
        worker.wait(task)
    assert waiting.done.wait(5)
    with pytest.raises(PluginError, match="log not called, because start never returned"):
        waiting.outcome()


def test_a_call_from_the_plugins_own_thread_runs_there(worker):
    def outer():
        return worker.run(threading.get_ident, step="inner", deadline=5), threading.get_ident()

    inner, own = worker.run(outer, step="outer", deadline=5)
    assert inner == own


def test_an_endless_deadline_is_one(worker):
    assert worker.run(lambda: 1, step="start", deadline=float("inf")) == 1


def test_a_retired_thread_ends_once_its_calls_are_made(worker):
    done = []
    worker.run(lambda: None, step="start", deadline=5)
    thread = next(each for each in threading.enumerate() if each.name == "tracelet plugin p")
    for number in range(10):
        worker.post(lambda number=number: done.append(number), step="log", deadline=5)
    worker.retire()
    thread.join(5)
    assert not thread.is_alive()
    assert done == list(range(10))
    assert worker.run(lambda: "new", step="start", deadline=5) == "new"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told_and_may_begin_anew(worker):
    worker.run(lambda: None, step="start", deadline=5)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        told = b"nothing"
        try:
            assert not worker.usable
            try:
                worker.run(lambda: None, step="log", deadline=5)
            except PluginError as error:
                told = str(error).encode()
            worker.retire()
            worker.renew()
            told += b" | " + worker.run(lambda: b"again", step="start", deadline=5)
        finally:
            os.write(writer, told)
            os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    assert "log not called, because plugins belong to the process that started them" in said
    assert said.endswith("| again")


class TestAnySequence:
    """Whatever is done from several threads: one call at a time, in order per caller, each with one end."""

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.lists(st.sampled_from(["run", "fail", "post", "retire", "slow"]), max_size=8),
            min_size=1,
            max_size=4,
        )
    )
    def test_no_call_is_lost_and_no_two_run_at_once(self, plans):
        worker, running, overlaps = Worker("p"), threading.Lock(), []
        made = {number: [] for number in range(len(plans))}
        expected = {number: [] for number in range(len(plans))}
        problems, tasks = [], []

        def call(number, at, action):
            if not running.acquire(blocking=False):
                overlaps.append((number, at))
            made[number].append(at)
            if action == "slow":
                time.sleep(0.002)
            running.release()
            if action == "fail":
                raise LookupError(at)
            return at

        def go(number, plan):
            for at, action in enumerate(plan):
                try:
                    if action == "retire":
                        worker.retire()
                        continue
                    expected[number].append(at)
                    if action == "post":
                        tasks.append(
                            worker.post(lambda at=at: call(number, at, "post"), step="s", deadline=20)
                        )
                    else:
                        got = worker.run(lambda at=at, a=action: call(number, at, a), step="s", deadline=20)
                        if got != at:
                            problems.append((number, at, got))
                except LookupError as error:
                    if action != "fail" or error.args != (at,):
                        problems.append((number, at, error))
                except Exception as error:
                    problems.append((number, at, error))

        threads = [threading.Thread(target=go, args=each) for each in enumerate(plans)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for task in tasks:
            assert task.done.wait(20)
        worker.retire()
        assert problems == []
        assert {number: sorted(each) for number, each in made.items()} == expected
        if not any("retire" in plan for plan in plans):
            assert overlaps == []
            assert made == expected
