"""Plugin descriptions that a caller builds and puts into ``manager.plugins``, in any state."""

from __future__ import annotations

from unittest.mock import MagicMock, Mock

import attrs
import pytest

from tracelet.core.plugins import BackendPlugin, PluginInfo, PluginMetadata, PluginState

S = PluginState


def described(name="own", **fields):
    return PluginInfo(PluginMetadata(name=name, version="1.0", plugin_type="backend"), **fields)


@pytest.mark.parametrize("state", [S.DISCOVERED, S.LOADED, S.VALIDATED, S.STOPPED, S.ERROR])
def test_with_a_class_and_no_object_it_is_driven_on_from_any_state(manager, make, state):
    cls = make("own")
    info = manager.plugins["own"] = described(state=state, instance=cls)
    assert manager.initialize_plugin("own", {"a": 1})
    assert manager.start_plugin("own")
    assert manager.stop_plugin("own")
    assert info.state is S.STOPPED
    assert cls.seen == [("initialize", {"a": 1}), ("start",), ("stop",)]


@pytest.mark.parametrize("state", S)
def test_without_an_object_it_can_neither_be_started_nor_need_be_stopped(manager, make, state):
    info = manager.plugins["own"] = described(state=state, instance=make("own"))
    assert manager.start_plugin("own") is False
    assert manager.stop_plugin("own") is True
    assert info.state is state


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (S.INITIALIZED, [("start",)]),
        (S.STOPPED, [("initialize", {}), ("start",)]),
        (S.ERROR, [("initialize", {}), ("start",)]),
        (S.ACTIVE, []),
    ],
)
def test_with_an_object_it_is_started_from_where_it_stands(manager, make, state, seen):
    plugin = make("own")()
    info = manager.plugins["own"] = described(state=state, instance=type(plugin))
    manager._plugin_instances["own"] = plugin
    assert manager.start_plugin("own") is True
    assert info.state is S.ACTIVE
    assert plugin.seen == seen
    assert manager.get_plugin_instance("own") is plugin


@pytest.mark.parametrize("state", [S.INITIALIZED, S.ACTIVE])
def test_with_an_object_it_is_stopped(manager, make, state):
    plugin = make("own")()
    info = manager.plugins["own"] = described(state=state)
    manager._plugin_instances["own"] = plugin
    assert manager.get_status()["plugins"]["own"]["status"] == {"notes": 0}
    assert manager.stop_plugin("own") is True
    assert info.state is S.STOPPED
    assert plugin.seen == [("stop",)]


def test_all_of_them_are_stopped_dependents_first(manager, make):
    order = []
    for name, needs in {"a": [], "b": ["a"], "c": ["b"]}.items():
        cls = make(name, {"stop": lambda self, name=name: order.append(name)}, dependencies=needs)
        manager.plugins[name] = PluginInfo(cls.get_metadata(), state=S.ACTIVE, instance=cls)
        manager._plugin_instances[name] = cls()
    manager.stop_all_plugins()
    assert order == ["c", "b", "a"]


def test_the_dictionaries_may_be_replaced(manager, make):
    cls = make("own")
    manager.plugins = {"own": described(state=S.VALIDATED, instance=cls)}
    manager._plugin_instances = {}
    assert manager.initialize_plugin("own", {"a": 1})
    assert isinstance(manager._plugin_instances["own"], cls)
    assert [info.name for info in manager.list_plugins()] == ["own"]


def test_another_plugin_under_a_name_gets_an_object_of_its_own(manager, make):
    old, new = make("a"), make("a")
    manager.register_plugin(old)
    manager.start_plugins(["a"])
    manager.stop_plugin("a")
    del manager.plugins["a"]
    manager.register_plugin(new)
    assert manager.start_plugins(["a"]) == {"a": True}
    assert type(manager.get_plugin_instance("a")) is new
    manager.plugins["a"] = attrs.evolve(manager.plugins["a"], origin="elsewhere")
    started = manager.get_plugin_instance("a")
    assert manager.stop_plugin("a") is True
    assert started.seen[-1] == ("stop",)


def test_a_key_other_than_the_name_in_the_metadata(manager, make):
    manager.plugins["key"] = described(name="A Long Name", state=S.VALIDATED, instance=make("own"))
    assert manager.initialize_plugin("key")
    assert manager.start_plugin("key")
    assert "key" in manager._plugin_instances
    assert manager.get_status()["plugins"]["key"]["state"] == "active"


def test_it_is_loaded_from_a_module_and_class(manager, write, tmp_path, monkeypatch):
    write(
        "byhand_pkg.py",
        """
        from tracelet.core.plugins import CollectorPlugin, PluginMetadata
        class Mine(CollectorPlugin):
            def get_metadata(self):
                return PluginMetadata(name="mine", version="1.0", plugin_type="collector")
            def initialize(self, config): ...
            def start(self): ...
            def stop(self): ...
            def get_status(self): return {}
            def collect(self): return {"a": 1}
        """,
    )
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    manager.plugins["a"] = described("a", module_path="byhand_pkg", class_name="Mine")
    manager.plugins["b"] = described(
        "b", module_path=tmp_path / "plugins" / "byhand_pkg.py", class_name="Mine"
    )
    manager.plugins["c"] = PluginInfo(PluginMetadata("c", "1", "collector", entry_point="byhand_pkg.Mine"))
    manager.plugins["d"] = PluginInfo(PluginMetadata("d", "1", "collector", entry_point="byhand_pkg:Mine"))
    for name in "abcd":
        assert manager.load_plugin(name), manager.plugins[name].error
        assert manager.plugins[name].instance.__name__ == "Mine"
        assert manager.plugins[name].state is S.LOADED
    assert manager.start_plugins("abcd") == dict.fromkeys("abcd", True)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"module_path": "no.such.module", "class_name": "C"}, "ModuleNotFoundError: No module named 'no'"),
        ({"module_path": "json", "class_name": "NoSuch"}, "json has no 'NoSuch'"),
        (
            {"module_path": "/no/such/file.py", "class_name": "C"},
            "cannot be examined (No such file or directory)",
        ),
        ({}, "its location is unknown"),
    ],
)
def test_what_cannot_be_loaded_says_why(manager, fields, told):
    info = manager.plugins["own"] = described(**fields)
    assert manager.load_plugin("own") is False
    assert info.state is S.ERROR
    assert told in info.error
    assert manager.validate_plugin("own") is False
    assert manager.initialize_plugin("own") is False
    assert manager.start_plugin("own") is False
    assert manager.stop_plugin("own") is True


def test_a_description_in_place_of_a_discovered_one_is_its_own(manager, make):
    manager.register_plugin(make("own"))
    other = make("own")
    manager.plugins["own"] = described(instance=other)
    assert manager.start_plugins({"own": {}}) == {"own": True}
    assert isinstance(manager.get_plugin_instance("own"), other)


@pytest.mark.parametrize("kind", [Mock, MagicMock, lambda: Mock(spec=BackendPlugin)])
def test_a_mock_as_the_object(manager, kind):
    plugin = kind()
    plugin.get_status.return_value = {"ok": True}
    info = manager.plugins["own"] = described(state=S.VALIDATED, instance=type(plugin))
    manager._plugin_instances["own"] = plugin
    assert manager.initialize_plugin("own", {"a": 1}), info.error
    plugin.initialize.assert_called_once_with({"a": 1})
    assert manager.start_plugin("own")
    plugin.start.assert_called_once_with()
    assert manager.get_status()["plugins"]["own"]["status"] == {"ok": True}
    plugin.stop.side_effect = RuntimeError("boom")
    assert manager.stop_plugin("own") is False
    assert "boom" in info.error


def test_an_object_that_is_changed_by_hand_is_used(manager, make):
    info = manager.register_plugin(make("own"))
    manager.initialize_plugin("own")
    plugin = manager._plugin_instances["own"] = make("own")()
    assert manager.start_plugin("own")
    assert plugin.seen == [("start",)]
    assert info.state is S.ACTIVE
