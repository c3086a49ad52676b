"""The manager's members, each as the contract has it."""

from __future__ import annotations

import json
import logging

import pluggy
import pytest

from tracelet.core.plugins import (
    CollectorPlugin,
    PluginInfo,
    PluginManager,
    PluginMetadata,
    PluginState,
    PluginType,
)
from tracelet.errors import ConfigError, UsageError

S = PluginState


class Collector(CollectorPlugin):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata("collector", "2.0", "collector")

    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self): ...
    def collect(self):
        return {"x": 1}


def test_it_is_an_adapter_over_one_pluggy_manager(manager, make):
    assert isinstance(manager.pluggy, pluggy.PluginManager)
    assert manager.hook is manager.pluggy.hook
    manager.register_plugin(make())
    manager.start_plugins({"plain": {}})
    plugin = manager.get_plugin_instance("plain")
    assert manager.pluggy.get_plugin("plain") is plugin
    assert manager.pluggy.get_plugins() == {plugin}
    assert manager.pluggy.project_name == "tracelet"


def test_the_documented_attributes(tmp_path):
    manager = PluginManager(plugin_paths=[tmp_path], use_default_paths=False)
    assert manager.plugins == {}
    assert manager.plugin_paths == [str(tmp_path)]
    assert manager._plugin_instances == {}
    assert PluginManager().plugin_paths == []


def test_one_step_at_a_time(manager, make):
    info = manager.register_plugin(make())
    assert info is manager.plugins["plain"]
    assert info.state is S.LOADED
    assert manager.load_plugin("plain") is True
    assert manager.validate_plugin("plain") is True
    assert info.state is S.VALIDATED
    assert manager.initialize_plugin("plain", {"a": 1}) is True
    assert info.state is S.INITIALIZED
    assert manager.start_plugin("plain") is True
    assert info.state is S.ACTIVE
    assert manager.get_plugin_instance("plain")._active is True
    assert manager.stop_plugin("plain") is True
    assert info.state is S.STOPPED
    assert manager.get_plugin_instance("plain")._active is False
    assert info.instance.seen == [("initialize", {"a": 1}), ("start",), ("stop",)]


def test_each_step_makes_up_those_before(manager, make):
    info = manager.register_plugin(make())
    assert manager.initialize_plugin("plain") is True
    assert info.state is S.INITIALIZED


def test_each_step_may_be_repeated(manager, make):
    info = manager.register_plugin(make())
    manager.initialize_plugin("plain")
    manager.start_plugin("plain")
    for step in ("load", "validate", "initialize", "start"):
        assert getattr(manager, f"{step}_plugin")("plain") is True
    assert info.state is S.ACTIVE
    assert info.instance.seen.count(("start",)) == 1
    assert manager.stop_plugin("plain") is True
    assert manager.stop_plugin("plain") is True
    assert info.instance.seen.count(("stop",)) == 1


def test_start_wants_an_initialized_plugin(manager, make):
    info = manager.register_plugin(make())
    manager.validate_plugin("plain")
    assert manager.start_plugin("plain") is False
    assert info.state is S.VALIDATED


def test_stop_of_one_never_initialized_is_true(manager, make):
    info = manager.register_plugin(make())
    assert manager.stop_plugin("plain") is True
    assert info.state is S.LOADED
    assert info.instance.seen == []


@pytest.mark.parametrize("step", ["load", "validate", "initialize", "start", "stop"])
def test_an_unknown_name_is_false_and_the_log_names_the_closest(manager, make, caplog, step):
    manager.register_plugin(make("mlflow"))
    assert getattr(manager, f"{step}_plugin")("mlfow") is False
    assert "no plugin is named 'mlfow'; did you mean 'mlflow'?" in caplog.text


@pytest.mark.parametrize("step", ["initialize", "start", "stop"])
def test_a_failing_step_is_false_with_the_reason_and_the_traceback_in_the_log(manager, make, caplog, step):
    def fail(self, config=None):
        raise RuntimeError("no such host")

    info = manager.register_plugin(make("plain", {step: fail}))
    for each in ("initialize", "start", "stop"):
        went_well = getattr(manager, f"{each}_plugin")("plain")
        assert went_well is (each != step)
        if not went_well:
            break
    assert info.state is S.ERROR
    assert info.error.startswith(
        f"plugin 'plain': {step} failed: RuntimeError: no such host (at test_host_manager.py:"
    )
    assert "Traceback (most recent call last)" in caplog.text
    assert 'raise RuntimeError("no such host")' in caplog.text
    assert "RuntimeError: no such host" in info.traceback


@pytest.mark.parametrize("failed", [True, False])
def test_stopped_and_failed_plugins_start_again_as_they_were(manager, make, failed):
    trouble = [failed]

    def start(self):
        self.note("start")
        if trouble[0]:
            raise OSError("not yet")

    info = manager.register_plugin(make("plain", {"start": start}))
    manager.initialize_plugin("plain", {"a": 1})
    assert manager.start_plugin("plain") is not failed
    if not failed:
        manager.stop_plugin("plain")
    trouble[0] = False
    assert info.state is (S.ERROR if failed else S.STOPPED)
    assert manager.start_plugin("plain") is True
    assert info.state is S.ACTIVE
    assert info.error is None
    assert info.instance.seen[-2:] == [("initialize", {"a": 1}), ("start",)]


def test_initialized_again_after_stopping(manager, make):
    info = manager.register_plugin(make())
    manager.start_plugins({"plain": {"a": 1}})
    manager.stop_plugin("plain")
    assert manager.initialize_plugin("plain", {"a": 2}) is True
    assert info.state is S.INITIALIZED
    assert info.instance.seen[-1] == ("initialize", {"a": 2})


def test_one_that_failed_to_start_is_stopped_all_the_same(manager, make):
    def start(self):
        raise OSError("port taken")

    info = manager.register_plugin(make("plain", {"start": start}))
    manager.start_plugins({"plain": {}})
    assert manager.stop_plugin("plain") is True
    assert info.instance.seen == [("initialize", {}), ("stop",)]
    assert info.state is S.ERROR
    assert "port taken" in info.error


def test_plugins_start_dependencies_first_and_stop_in_reverse(manager, make):
    order = []

    def named(name, **metadata):
        methods = {
            "start": lambda self: order.append(f"+{name}"),
            "stop": lambda self: order.append(f"-{name}"),
        }
        manager.register_plugin(make(name, methods, **metadata))

    named("c", dependencies=["b"])
    named("a")
    named("b", dependencies=["a"])
    named("d")
    assert manager.start_plugins({"d": {}, "c": {}}) == {"d": True, "c": True}
    assert order == ["+d", "+a", "+b", "+c"]
    assert manager.active() == ["d", "a", "b", "c"]
    assert manager.stop_all_plugins() is True
    assert order[4:] == ["-c", "-b", "-a", "-d"]


def test_plugins_started_one_by_one_stop_in_reverse_too(manager, make):
    order = []
    for name in "abc":
        manager.register_plugin(make(name, {"stop": lambda self, name=name: order.append(name)}))
    for name in "bca":
        manager.initialize_plugin(name)
        manager.start_plugin(name)
    manager.stop_all_plugins()
    assert order == ["a", "c", "b"]


def test_stopping_tries_every_one(manager, make):
    def fail(self):
        raise SystemExit("refuse to stop")

    for name, stop in (("a", None), ("b", fail), ("c", None)):
        manager.register_plugin(make(name, {"stop": stop} if stop else {}))
    manager.start_plugins(dict.fromkeys("abc"))
    assert manager.stop_all_plugins() is False
    assert [manager.plugins[name].state for name in "abc"] == [S.STOPPED, S.ERROR, S.STOPPED]
    assert "SystemExit: refuse to stop" in manager.plugins["b"].error


def test_a_dependent_of_a_failed_plugin_does_not_start_and_says_whose_failure_it_was(manager, make):
    def fail(self, config):
        raise ConnectionError("refused")

    manager.register_plugin(make("base", {"initialize": fail}))
    manager.register_plugin(make("middle", dependencies=["base"]))
    manager.register_plugin(make("top", dependencies=["middle"]))
    manager.register_plugin(make("other"))
    started = manager.start_plugins(["top", "other"])
    assert started == {"top": False, "other": True}
    assert "not started, because it depends on 'base', which failed:" in manager.plugins["middle"].error
    assert "ConnectionError: refused" in manager.plugins["middle"].error
    assert "it depends on 'middle', which failed" in manager.plugins["top"].error
    assert "ConnectionError: refused" in manager.plugins["top"].error
    assert manager.plugins["top"].instance.seen == []
    # Whoever retries the last of them learns that what is missing may come back.
    assert isinstance(manager.handle("top").failure.cause, ConnectionError)


def test_resolve_dependencies(manager, make):
    for name, needs in {"a": ["b"], "b": ["c", "requests>=2"], "c": [], "d": []}.items():
        manager.register_plugin(make(name, dependencies=needs))
    assert manager.resolve_dependencies(["d", "a"]) == ["d", "c", "b", "a"]
    assert manager.resolve_dependencies([]) == []


def test_resolve_dependencies_names_the_whole_cycle(manager, make):
    for name, need in {"a": "b", "b": "a"}.items():
        manager.register_plugin(make(name, dependencies=[need]))
    with pytest.raises(ValueError, match=r"^Circular dependency detected: a -> b -> a$"):
        manager.resolve_dependencies(["a"])


def test_plugins_in_a_circle_fail_and_the_others_start(manager, make):
    for name, needs in {"a": ["b"], "b": ["c"], "c": ["a"], "on_a": ["a"], "free": []}.items():
        manager.register_plugin(make(name, dependencies=needs))
    started = manager.start_plugins(["a", "b", "c", "on_a", "free"])
    assert started == {"a": False, "b": False, "c": False, "on_a": False, "free": True}
    for name in "abc":
        assert "Circular dependency detected: a -> b -> c -> a" in manager.plugins[name].error
    assert "depends on 'a', which failed" in manager.plugins["on_a"].error


def test_a_plugin_that_needs_itself(manager, make):
    info = manager.register_plugin(make("no-such-library", dependencies=["no-such-library"]))
    with pytest.raises(
        ValueError, match=r"^Circular dependency detected: no-such-library -> no-such-library$"
    ):
        manager.resolve_dependencies(["no-such-library"])
    assert manager.start_plugins(["no-such-library"]) == {"no-such-library": False}
    assert "pip install no-such-library" in info.error
    assert manager.validate_plugin("no-such-library") is False
    assert "which is itself" in info.error


def test_as_a_context_manager_it_stops_every_plugin(make):
    with PluginManager(use_default_paths=False) as manager:
        info = manager.register_plugin(make())
        manager.start_plugins({"plain": {}})
    assert info.state is S.STOPPED


def test_lists_and_look_ups(manager, make):
    backend = make("backend")
    manager.register_plugin(backend)
    manager.register_plugin(Collector)
    assert [info.name for info in manager.list_plugins()] == ["backend", "collector"]
    for kind in ("backend", PluginType.BACKEND):
        assert [info.name for info in manager.list_plugins(type=kind)] == ["backend"]
        assert [info.name for info in manager.list_plugins(kind)] == ["backend"]
        assert [info.name for info in manager.get_plugins_by_type(kind)] == ["backend"]
        assert manager.get_plugin(kind, "backend") is backend
        assert manager.get_plugin(kind, "collector") is None
    assert manager.get_plugin_by_name("backend") is backend
    assert manager.get_plugin_by_name("nothing") is None
    assert manager.get_plugin("collector", "nothing") is None
    assert manager.get_plugin_instance("backend") is None
    with pytest.raises(UsageError, match="expected one of 'backend', "):
        manager.list_plugins(type="backed")


def test_looking_up_a_failed_plugin_leaves_it_as_it_is(manager, make):
    def start(self):
        raise OSError("no")

    cls = make("a", {"start": start})
    info = manager.register_plugin(cls)
    manager.start_plugins(["a"])
    assert manager.get_plugin_by_name("a") is manager.get_plugin("backend", "a") is cls
    assert info.state is PluginState.ERROR
    assert "OSError: no" in info.error


def test_registering_a_class_an_instance_and_a_module(manager, make, write, tmp_path, monkeypatch):
    cls = make("cls")
    assert manager.register_plugin(cls).instance is cls
    plugin = make("obj")()
    info = manager.register_plugin(plugin, name="renamed")
    assert info.name == "renamed"
    assert info.instance is plugin
    assert plugin.get_metadata().name == "obj"
    write(
        "a_module_by_hand.py",
        """
        '''Measures one.'''
        import tracelet
        @tracelet.hookimpl
        def collect():
            return {"one": 1}
        """,
    )
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    module = pytest.importorskip("a_module_by_hand")
    info = manager.register_plugin(module)
    assert (info.name, info.metadata.type) == ("a_module_by_hand", PluginType.COLLECTOR)
    assert info.metadata.description == "Measures one."
    started = manager.start_plugins(["cls", "renamed", "a_module_by_hand"])
    assert started == dict.fromkeys(["cls", "renamed", "a_module_by_hand"], True)
    assert manager.get_plugin_instance("renamed") is plugin
    assert manager.handle("a_module_by_hand").call("collect") == {"one": 1}


def test_registering_a_module_takes_its_classes_too(manager, write, tmp_path, monkeypatch):
    write(
        "classes_by_hand.py",
        """
        from tracelet.core.plugins import *
        class One(CollectorPlugin):
            @classmethod
            def get_metadata(cls): return PluginMetadata("one_by_hand", "1", "collector")
            def initialize(self, config): ...
            def start(self): ...
            def stop(self): ...
            def get_status(self): ...
            def collect(self): ...
        class Two(One):
            @classmethod
            def get_metadata(cls): return PluginMetadata("two_by_hand", "1", "collector")
        """,
    )
    write("empty_by_hand.py", "x = 1")
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    import classes_by_hand
    import empty_by_hand

    assert manager.register_plugin(classes_by_hand).name == "one_by_hand"
    assert list(manager.plugins) == ["one_by_hand", "two_by_hand"]
    with pytest.raises(
        UsageError, match="module empty_by_hand: expected hook implementations or plugin classes"
    ):
        manager.register_plugin(empty_by_hand)


def test_a_name_that_is_taken_names_who_has_it(manager, make):
    first = make("same")
    info = manager.register_plugin(first)
    assert manager.register_plugin(first) is info
    with pytest.raises(ValueError, match="plugin name 'same' is taken by the one from by hand"):
        manager.register_plugin(make("same"))
    assert manager.plugins["same"].instance is first


def test_load_config_by_suffix(manager, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"a": {"b": [1, 2.5]}}))
    (tmp_path / "a.toml").write_text("[a]\nb = [1, 2.5]\n")
    for suffix in ("json", "toml"):
        assert manager.load_config(str(tmp_path / f"a.{suffix}")) == {"a": {"b": [1, 2.5]}}
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError):
        manager.load_config(tmp_path / "bad.json")


def test_the_status_has_the_documented_keys_and_values(manager, make):
    def fail(self):
        raise RuntimeError("no answer")

    manager.register_plugin(make("good"))
    manager.register_plugin(make("mute", {"get_status": fail}))
    manager.register_plugin(make("broken", {"start": fail}))
    manager.register_plugin(make("idle", version="3.1"))
    manager.plugins["listed"] = PluginInfo(PluginMetadata("listed", "1", "processor"), "nowhere", "C")
    manager.start_plugins(["good", "mute", "broken"])
    status = manager.get_status()
    assert {key: status[key] for key in ("discovered", "loaded", "active", "errors")} == {
        "discovered": 5,
        "loaded": 4,
        "active": 2,
        "errors": 1,
    }
    plugins = status["plugins"]
    assert {name: plugin["state"] for name, plugin in plugins.items()} == {
        "good": "active",
        "mute": "active",
        "broken": "error",
        "idle": "loaded",
        "listed": "discovered",
    }
    assert plugins["good"]["type"] == "backend"
    assert plugins["good"]["status"] == {"notes": len(manager.plugins["good"].instance.seen)}
    assert plugins["idle"]["version"] == "3.1"
    assert "RuntimeError: no answer" in plugins["mute"]["status_error"]
    assert "status" not in plugins["mute"]
    assert "no answer" in plugins["broken"]["error"]
    assert not {"error", "status_error"} & plugins["good"].keys()
    assert json.loads(json.dumps(status)) == status


def test_the_status_counts_every_state_from_loaded_on(manager):
    for state in S:
        name = state.name.lower()
        manager.plugins[name] = PluginInfo(PluginMetadata(name, "1", "backend"), state=state)
    status = manager.get_status()
    assert (status["discovered"], status["loaded"], status["active"], status["errors"]) == (7, 6, 1, 1)
    assert [plugin["state"] for plugin in status["plugins"].values()] == [state.name.lower() for state in S]


def test_unknown_names_among_those_to_start(manager, make, caplog):
    caplog.set_level(logging.WARNING)
    manager.register_plugin(make("mlflow"))
    assert manager.start_plugins(["mlfow", "mlflow"]) == {"mlfow": False, "mlflow": True}
    assert "no plugin is named 'mlfow'; did you mean 'mlflow'?" in manager.problems
