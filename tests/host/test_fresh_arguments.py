"""What a hook is given is its own to change: nothing of it reaches the host, another plugin, or the next call."""

from __future__ import annotations

import pytest

import tracelet
from tracelet.core.plugins import PluginManager, PluginState
from tracelet.errors import UsageError


def spoil(plugin):
    """Change everything in the description of a plugin."""
    plugin.metadata.name = "spoiled"
    plugin.metadata.dependencies.append("nobody")
    if plugin.metadata.config_schema:
        plugin.metadata.config_schema.clear()
    plugin.state = PluginState.ERROR
    plugin.error = "spoiled"
    plugin.timings["start"] = -1
    plugin.instance = None


class Spoiler:
    """Changes whatever the host hands to it."""

    @tracelet.hookimpl
    def plugin_state_changed(self, plugin, old, new):
        spoil(plugin)

    @tracelet.hookimpl(wrapper=True)
    def initialize(self, config, plugin):
        spoil(plugin)
        return (yield)

    @tracelet.hookimpl(wrapper=True)
    def start(self, plugin):
        spoil(plugin)
        return (yield)

    @tracelet.hookimpl(wrapper=True)
    def stop(self, plugin):
        spoil(plugin)
        return (yield)


def test_a_description_given_to_a_hook_is_a_copy(manager, make):
    given = []
    schema = {"url": {"type": "string", "default": "there"}}

    def initialize(self, config):
        given.append(dict(config))
        config.clear()

    cls = make("good", methods={"initialize": initialize}, config_schema=schema)
    manager.register_plugin(Spoiler)
    info = manager.register_plugin(cls)
    config = {"url": "here"}
    assert manager.start_plugins({"Spoiler": {}, "good": config}) == {"Spoiler": True, "good": True}
    manager.stop_plugin("good")
    assert manager.start_plugin("good")
    assert manager.plugins["good"] is info
    assert (info.name, info.state, info.error) == ("good", PluginState.ACTIVE, None)
    assert info.metadata.dependencies == []
    assert info.metadata.config_schema == schema
    assert info.instance is cls
    assert info.timings["start"] >= 0
    assert given == [{"url": "here"}, {"url": "here"}]
    assert config == {"url": "here"}


def test_the_configuration_given_to_a_header_is_each_plugins_own(project):
    project.write(
        "tracelet_plugins.py",
        """
        import tracelet

        class One:
            @tracelet.hookimpl
            def report_header(self, config):
                found = len(config)
                config.clear()
                return f"header of One: {found > 3}"

        class Two:
            @tracelet.hookimpl
            def report_header(self, config):
                found = len(config)
                config.clear()
                return f"header of Two: {found > 3}"
        """,
    )
    project.write("train.py", "import tracelet\nwith tracelet.start_run('t') as run: run.log({'loss': 1})\n")
    done = project.tracelet("run", "train.py")
    assert "header of One: True" in done.stdout + done.stderr
    assert "header of Two: True" in done.stdout + done.stderr


# -- one plugin under two names ------------------------------------------------------------------------


def test_a_class_under_two_names_is_two_plugins(manager, make):
    made = []
    cls = make("plain", methods={"initialize": lambda self, config: made.append((self, config["at"]))})
    first, second = manager.register_plugin(cls, name="first"), manager.register_plugin(cls, name="second")
    assert (first.name, second.name) == ("first", "second")
    assert manager.register_plugin(cls, name="first") is first
    assert manager.start_plugins({"first": {"at": 1}, "second": {"at": 2}}) == {"first": True, "second": True}
    assert (first.state, second.state) == (PluginState.ACTIVE, PluginState.ACTIVE)
    assert [at for _, at in made] == [1, 2]
    assert made[0][0] is not made[1][0]
    assert manager.get_plugin_instance("second") is made[1][0]


def test_an_object_under_two_names_is_refused(manager, make):
    plugin = make("plain")()
    assert manager.register_plugin(plugin, name="first").name == "first"
    with pytest.raises(UsageError, match="is registered already, as 'first', and an object is one plugin"):
        manager.register_plugin(plugin, name="second")
    assert list(manager.plugins) == ["first"]


def test_a_module_under_two_names_is_refused(project):
    project.write("hooks_of_mine.py", "import tracelet\n@tracelet.hookimpl\ndef collect(): return {}\n")
    project.write(
        "twice.py",
        """
        import hooks_of_mine
        from tracelet.core.plugins import PluginManager
        manager = PluginManager(use_default_paths=False)
        manager.register_plugin(hooks_of_mine, name="first")
        try:
            manager.register_plugin(hooks_of_mine, name="second")
        except Exception as error:
            print(error)
        """,
    )
    assert "is registered already, as 'first'" in project.python("twice.py").stdout


def test_a_broken_plugin_may_have_a_name():
    with PluginManager(use_default_paths=False) as manager:
        assert manager.register_plugin(3, name="three").name == "three"


def test_a_class_that_is_registered_and_installed_is_one_plugin(project, installed):
    source = """
import tracelet

class Meter:
    @tracelet.hookimpl
    def collect(self):
        return {"a": 1}
"""
    installed("tracelet-meter", {"Meter": "stranger_meter:Meter"}, {"stranger_meter.py": source})
    project.write(
        "train.py",
        """
        import tracelet
        from stranger_meter import Meter
        with tracelet.start_run("t", plugins=[Meter], strict=True) as run:
            run.log({"loss": 1})
            print(run.status()["problems"])
        """,
    )
    assert project.python("train.py").stdout == "[]\n"
