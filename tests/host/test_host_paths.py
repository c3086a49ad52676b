"""Plugin paths: files and folders of plugin files, listed without being run wherever their source says enough."""

from __future__ import annotations

import os

import pytest

from tracelet.core.plugins import PluginManager, PluginState, PluginType

PLAIN = """
    from tracelet.core.plugins import BackendPlugin, PluginMetadata, PluginType
    {before}
    class {cls}(BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name="{name}", version="1.2", type=PluginType.BACKEND, description="a plain one")
        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self): return {{}}
        def log_metric(self, name, value, iteration): ...
        def log_params(self, params): ...
        def log_artifact(self, local_path, artifact_path=None): ...
"""


def plain(name, before=""):
    return PLAIN.format(name=name, cls=name.title(), before=before)


@pytest.fixture
def found(tmp_path):
    """Return what a manager finds in this test's folder, by name."""

    def found():
        manager = PluginManager(plugin_paths=[str(tmp_path / "plugins")], use_default_paths=False)
        infos = manager.discover_plugins()
        assert infos == list(manager.plugins.values())
        return manager

    return found


def test_exactly_the_plugins_there_are_found(write, found):
    write("one.py", plain("one"))
    write("two.py", plain("two"))
    write("_skipped.py", plain("skipped"))
    write("notes.txt", "not a plugin")
    write("deeper/three.py", plain("three"))
    manager = found()
    assert sorted(manager.plugins) == ["one", "two"]
    info = manager.plugins["one"]
    assert info.state is PluginState.DISCOVERED
    assert info.metadata.type is PluginType.BACKEND
    assert (info.metadata.version, info.metadata.description) == ("1.2", "a plain one")
    assert info.class_name == "One"
    assert info.module_path.endswith("one.py")
    assert info.instance is None
    assert manager.problems == []


def test_several_classes_in_one_file(write, found):
    several = plain("one") + plain("two").replace("from tracelet", "# from tracelet")
    write("several.py", several)
    manager = found()
    assert sorted(manager.plugins) == ["one", "two"]
    assert manager.start_plugins(["one", "two"]) == {"one": True, "two": True}


def test_a_file_of_literals_is_not_run_until_it_is_wanted(write, found, tmp_path):
    write("one.py", plain("one", before=f"open({str(tmp_path / 'ran')!r}, 'w').close()"))
    manager = found()
    assert not (tmp_path / "ran").exists()
    assert manager.load_plugin("one")
    assert (tmp_path / "ran").exists()


OTHER_WAYS = {
    "a name that is computed": ('NAME = "one"', {'name="one"': "name=NAME"}),
    "a base in the same file": (
        "class Base(BackendPlugin):\n        def get_status(self): return {{}}",
        {"class One(BackendPlugin)": "class One(Base)"},
    ),
    "a class in a condition": ("import sys\n    if sys:\n        class Inner: ...", {}),
    "a helper class": ("class Helper:\n        pass", {}),
    "metadata from an instance method": (
        "",
        {"@classmethod\n        def get_metadata(cls)": "def get_metadata(self)"},
    ),
    "metadata in two ways": ("", {"return Plug": "if not cls: return None\n            return Plug"}),
    "plugin_type": ("", {"type=PluginType.BACKEND": 'plugin_type="backend", entry_point="x.y.One"'}),
    "positional metadata": (
        "",
        {'name="one", version="1.2", type=PluginType.BACKEND': '"one", "1.2", "backend"'},
    ),
    "an encoding of its own": ("", {}),
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_files_written_in_other_ways(write, found, way):
    before, changes = OTHER_WAYS[way]
    text = plain("one", before=before.replace("{{}}", "{}"))
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = write("one.py", text)
    if way.startswith("an encoding"):
        path.write_bytes(b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + path.read_bytes())
    manager = found()
    assert list(manager.plugins) == ["one"]
    assert manager.start_plugins(["one"]) == {"one": True}, manager.plugins["one"].error
    assert manager.get_plugin("backend", "one").__name__ == "One"


def test_a_file_of_functions_is_a_plugin_named_after_it(write, found):
    write("load.py", "import tracelet\n@tracelet.hookimpl\ndef collect(): return {'load': 1}\n")
    manager = found()
    assert list(manager.plugins) == ["load"]
    assert manager.plugins["load"].metadata.type is PluginType.COLLECTOR


def test_functions_and_classes_in_one_file(write, found):
    text = plain("one") + "    import tracelet\n    @tracelet.hookimpl\n    def collect(): return {}\n"
    write("both.py", text)
    assert sorted(found().plugins) == ["both", "one"]


def test_a_hook_without_its_decorator_is_named(write, found):
    write("forgot.py", "def collect(): return {'x': 1}")
    write("helpers.py", "def other(): ...")
    manager = found()
    assert list(manager.plugins) == ["forgot"]
    assert "collect() is not a hook implementation; put @tracelet.hookimpl above it" in manager.problems[0]


def test_classes_with_an_underscore_and_abstract_bases_are_no_plugins(write, found):
    text = plain("one", before="class _Hidden(BackendPlugin): ...\n    class Base(BackendPlugin): ...")
    write("one.py", text.replace("class One(BackendPlugin)", "class One(Base)"))
    assert list(found().plugins) == ["one"]


def test_a_file_may_import_what_stands_beside_it(write, found):
    write("_shared_beside.py", "NAME = 'one'")
    write("one.py", plain("one", before="from _shared_beside import NAME").replace('name="one"', "name=NAME"))
    assert list(found().plugins) == ["one"]


def test_files_and_folders_may_both_be_paths(write, tmp_path):
    write("one.py", plain("one"))
    write("more/two.py", plain("two"))
    folder = tmp_path / "plugins"
    manager = PluginManager([folder / "one.py", folder / "more"], use_default_paths=False)
    assert [info.name for info in manager.discover_plugins()] == ["one", "two"]
    alone = PluginManager(str(folder), use_default_paths=False)
    assert alone.plugin_paths == [str(folder)]
    assert [info.name for info in alone.discover_plugins()] == ["one"]


@pytest.mark.parametrize("path", ["no/such/folder", "notes.txt", "pipe.py"])
def test_a_path_that_leads_nowhere_is_reported(tmp_path, path):
    (tmp_path / "notes.txt").write_text("hello")
    if path == "pipe.py":  # reading it would wait for ever
        os.mkfifo(tmp_path / path)
    manager = PluginManager([tmp_path / path], use_default_paths=False)
    assert manager.discover_plugins() == []
    [problem] = manager.problems
    assert str(tmp_path / path) in problem


def test_discovering_again_finds_what_is_new_and_reports_nothing_twice(write, found):
    write("one.py", plain("one"))
    write("broken.py", "import no_such_module_anywhere")
    manager = found()
    info = manager.plugins["one"]
    problems = list(manager.problems)
    write("two.py", plain("two"))
    manager.discover_plugins()
    assert sorted(manager.plugins) == ["broken", "one", "two"]
    assert manager.plugins["one"] is info
    assert manager.problems == problems


@pytest.mark.parametrize(("second", "shown"), [("one.py", "Two"), ("other.py", "Two")])
def test_a_name_taken_twice_is_reported_with_both_origins(write, found, tmp_path, second, shown):
    twin = plain("one").replace("class One", "class Two")
    if second == "one.py":
        write("one.py", plain("one") + twin)
    else:
        write("one.py", plain("one"))
        write(second, twin)
    manager = found()
    assert manager.plugins["one"].class_name == "One"
    [problem] = manager.problems
    folder = os.path.realpath(tmp_path / "plugins")
    assert f"plugin name 'one' is taken: One from {folder}/one.py keeps it" in problem
    assert f"{shown} from {folder}/{second} is left out" in problem


def test_a_file_that_cannot_be_read_hides_no_plugin_of_its_name(write, found, tmp_path):
    write("a.py", "def (")
    write("b.py", plain("a"))
    manager = found()
    file = tmp_path / "plugins" / "a.py"
    assert manager.plugins["a"].state is PluginState.DISCOVERED
    assert manager.plugins[f"a ({file})"].state is PluginState.ERROR
    assert manager.plugins[f"a ({file})"].error.endswith("SyntaxError: invalid syntax (a.py, line 1)")
    assert "    def (\n" in manager.plugins[f"a ({file})"].traceback
    assert "ast.py" not in manager.plugins[f"a ({file})"].traceback
    assert not any("taken" in problem for problem in manager.problems)
    assert [manager.discover_plugins(), manager.start_plugins(["a"])][1] == {"a": True}
    manager.stop_all_plugins()


def test_two_that_cannot_tell_their_names_are_both_told_of(write, found):
    for name in ("one", "two"):
        write(
            f"{name}.py", f"class Ill:\n    def get_metadata(self):\n        raise RuntimeError({name!r})\n"
        )
    manager = found()
    first, second = manager.plugins.values()
    assert first.name == "Ill"
    assert second.name.startswith("Ill (/")
    assert "RuntimeError: one" in first.error
    assert "RuntimeError: two" in second.error
    assert manager.problems == [first.error, second.error]
    manager.discover_plugins()
    assert len(manager.plugins) == 2


def test_a_mended_file_can_be_loaded_after_all(write, found):
    path = write("one.py", "import no_such_module_anywhere")
    manager = found()
    info = manager.plugins["one"]
    assert info.state is PluginState.ERROR
    assert "ModuleNotFoundError: No module named 'no_such_module_anywhere' (at one.py:1)" in info.error
    assert manager.start_plugins(["one"]) == {"one": False}
    path.write_text("import tracelet\n@tracelet.hookimpl\ndef collect(): return {}\n")
    assert manager.load_plugin("one"), info.error
    assert manager.start_plugins(["one"]) == {"one": True}
