"""Every plugin on a thread of its own; the manager from any thread; and what it all costs."""

from __future__ import annotations

import threading
import time

import pytest

from tracelet.core.plugins import PluginManager, PluginState, hookimpl
from tracelet.host.accounting import Cost


def test_all_calls_of_one_plugin_are_on_its_own_thread(manager, make):
    def threads(self):
        return {call[-1] for call in self.seen}

    def noting(step):
        def method(self, *args):
            self.note(step, threading.current_thread().name)
            return {}

        return method

    methods = {"start": noting("start"), "stop": noting("stop"), "get_status": lambda self: noting("x")(self)}
    methods["__init__"] = lambda self: self.note("made", threading.current_thread().name)
    methods["initialize"] = lambda self, config: self.note("initialize", threading.current_thread().name)
    methods["log_params"] = lambda self, params: self.note("params", threading.current_thread().name)
    for name in ("a", "b"):
        manager.register_plugin(make(name, methods))
    manager.start_plugins(["a", "b"])
    for name in ("a", "b"):
        manager.handle(name).call("log_params", params={}, run=None)
    manager.get_status()
    manager.stop_all_plugins()
    for name in ("a", "b"):
        seen = manager.plugins[name].instance.seen
        assert {step for step, _ in seen} == {"made", "initialize", "start", "params", "x", "stop"}
        assert {thread for _, thread in seen} == {f"tracelet plugin {name}"}


def test_a_plugin_that_is_only_listed_has_no_thread(write, tmp_path):
    write(
        "one.py",
        """
        class One:
            def get_metadata(self):
                return PluginMetadata(name="only_listed", version="1", type="backend")
        """,
    )
    manager = PluginManager([tmp_path / "plugins"], use_default_paths=False)
    manager.discover_plugins()
    assert not [thread for thread in threading.enumerate() if thread.name == "tracelet plugin only_listed"]


def test_no_thread_stays_after_stopping(make):
    before = set(threading.enumerate())
    with PluginManager(use_default_paths=False) as manager:
        for number in range(5):
            manager.register_plugin(make(f"p{number}"))
        manager.register_plugin(make("ill", {"start": lambda self: 1 / 0}))
        manager.start_plugins(list(manager.plugins))
        manager.register_plugin(make("unfit", version="x"))
        manager.validate_plugin("unfit")
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before


def test_many_threads_asking_at_once_start_a_plugin_once(manager, make):
    def slowly(self, config=None):
        time.sleep(0.02)
        self.note("slow")

    for name in "abc":
        manager.register_plugin(make(name, {"initialize": slowly, "start": slowly}))
    barrier, results = threading.Barrier(6), []

    def go():
        barrier.wait()
        results.append(manager.start_plugins(["a", "b", "c"]))

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"a": True, "b": True, "c": True}] * 6
    for name in "abc":
        assert manager.plugins[name].instance.seen == [("slow",)] * 2


def test_stopping_all_while_another_thread_starts_them(manager, make):
    inside, gate = threading.Event(), threading.Event()

    def slowly(self):
        inside.set()
        gate.wait(20)
        self.note("start")

    manager.register_plugin(make("slow", {"start": slowly}))
    manager.register_plugin(make("next"))
    starter = threading.Thread(target=manager.start_plugins, args=(["slow", "next"],))
    starter.start()
    inside.wait(20)
    stopper = threading.Thread(target=manager.stop_all_plugins)
    stopper.start()
    time.sleep(0.1)
    gate.set()
    starter.join(20)
    stopper.join(20)
    assert manager.plugins["slow"].state is PluginState.STOPPED
    assert manager.plugins["slow"].instance.seen[-1] == ("stop",)
    assert manager.plugins["next"].instance.seen == []


def test_stopping_in_little_time_is_bounded(make):
    gate = threading.Event()
    manager = PluginManager(use_default_paths=False)
    for number in range(4):
        manager.register_plugin(make(f"p{number}", {"stop": lambda self: gate.wait(60)}))
    manager.start_plugins(list(manager.plugins))
    began = time.monotonic()
    assert manager.stop_all_plugins(timeout=0.5) is False
    assert time.monotonic() - began < 5
    gate.set()


def test_a_plugin_may_ask_the_host_from_within_its_own_hooks(manager, make):
    def start(self):
        self.note(manager.get_status()["plugins"]["a"]["state"])
        self.note(manager.start_plugins(["b"]))

    manager.register_plugin(make("a", {"start": start}))
    manager.register_plugin(make("b"))
    assert manager.start_plugins(["a"]) == {"a": True}
    assert manager.plugins["a"].instance.seen[1:] == [("initialized",), ({"b": True},)]
    assert manager.plugins["b"].state is PluginState.ACTIVE


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def plugin_state_changed(self, plugin, old, new):
        self.heard.append((plugin.name, old.name, new.name, threading.current_thread().name))


def test_listeners_hear_of_every_change_in_order_their_own_included(manager, make):
    listener = Listener()
    manager.register_plugin(listener, "listener")
    manager.register_plugin(make("a"))
    manager.start_plugins(["listener", "a"])
    manager.stop_plugin("a")
    manager.fail("a", "delivery", RuntimeError("gone"))
    manager.handle("listener").submit(lambda: None, step="get_status")
    states = {
        name: [(old, new) for who, old, new, _ in listener.heard if who == name] for name in ("listener", "a")
    }
    assert states["listener"][-2:] == [("VALIDATED", "INITIALIZED"), ("INITIALIZED", "ACTIVE")]
    assert states["a"][-4:] == [
        ("VALIDATED", "INITIALIZED"),
        ("INITIALIZED", "ACTIVE"),
        ("ACTIVE", "STOPPED"),
        ("STOPPED", "ERROR"),
    ]
    assert {thread for *_, thread in listener.heard} == {"tracelet plugin listener"}


# -- accounting ----------------------------------------------------------------------------------------


def test_calls_errors_wall_and_cpu_time_are_accounted(manager, make):
    def log_metric(self, name, value, iteration):
        if value < 0:
            raise ValueError(value)
        if value:
            time.sleep(value)
        else:
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass

    manager.register_plugin(make("a", {"log_metric": log_metric}))
    manager.start_plugins(["a"])
    handle = manager.handle("a")
    for value in (0.05, 0, 0):
        handle.call("log_metric", name="x", value=value, iteration=None)
    with pytest.raises(Exception, match="ValueError"):
        handle.call("log_metric", name="x", value=-1, iteration=None)
    costs = manager.get_status()["plugins"]["a"]["costs"]
    cost = costs["log_metric"]
    assert (cost["calls"], cost["errors"]) == (4, 1)
    assert 0.09 < cost["cpu_s"] < cost["wall_s"]
    assert cost["wall_s"] > 0.14
    assert costs["initialize"]["calls"] == costs["start"]["calls"] == 1


def test_each_step_of_a_life_is_timed(manager, make):
    info = manager.register_plugin(make("a", {"initialize": lambda self, config: time.sleep(0.1)}))
    manager.start_plugins(["a"])
    manager.stop_plugin("a")
    assert info.timings.keys() == {"validate", "initialize", "start", "stop"}
    assert info.timings["initialize"] >= 0.1
    assert min(info.timings.values()) > 0


def test_a_call_that_goes_on_counts_as_far_as_it_has_come():
    cost, inside, gate = Cost(), threading.Event(), threading.Event()
    thread = threading.Thread(target=cost.measure, args=(lambda: (inside.set(), gate.wait(20)),))
    thread.start()
    inside.wait(20)
    time.sleep(0.05)
    first = cost.as_dict()["wall_s"]
    time.sleep(0.05)
    assert 0.04 < first < cost.as_dict()["wall_s"]
    cost.overrun()
    assert cost.errors == 1
    gate.set()
    thread.join()
    assert (cost.calls, cost.errors) == (1, 1)
    assert cost.as_dict()["wall_s"] == cost.wall_s > 0.09


def test_an_overrun_is_an_error_that_goes_on_costing(hasty, make):
    gate = threading.Event()
    hasty.register_plugin(make("a", {"log_params": lambda self, params: gate.wait(20)}))
    hasty.start_plugins(["a"])
    with pytest.raises(Exception, match="log_params was still running"):
        hasty.handle("a").call("log_params", params={}, run=None)
    cost = hasty.get_status()["plugins"]["a"]["costs"]["log_params"]
    assert (cost["calls"], cost["errors"]) == (1, 1)
    assert cost["wall_s"] >= 0.3
    assert hasty.plugins["a"].state is PluginState.ERROR
    gate.set()


def test_each_plugin_may_have_deadlines_of_its_own(project):
    project.write("tracelet.toml", "[deadlines]\nstart = 20\n[plugins.a.deadlines]\nstart = 0.3\n")
    project.write(
        "drive.py",
        """
        import time
        from tracelet.core.plugins import CollectorPlugin, PluginManager, PluginMetadata
        class A(CollectorPlugin):
            @classmethod
            def get_metadata(cls): return PluginMetadata("a", "1", "collector")
            def initialize(self, config): ...
            def start(self): time.sleep(5)
            def stop(self): ...
            def get_status(self): ...
            def collect(self): ...
        manager = PluginManager()
        manager.register_plugin(A)
        manager.discover_plugins()
        print(manager.start_plugins(["a"]), manager.handle("a").deadline("start"), manager.plugins["a"].error)
        """,
    )
    said = project.python("drive.py").stdout
    assert said.startswith("{'a': False} 0.3 plugin 'a': start was still running at drive.py:7 after 0.3 s")
