"""All sources together, in the contract's order, seen from the outside: programs in small projects."""

from __future__ import annotations

import json
import os

import pytest

FUNCTION = "import tracelet\n@tracelet.hookimpl\ndef collect(): return {'x': 1}\n"


def cls(name, number=1):
    return (
        "from tracelet.core.plugins import CollectorPlugin, PluginMetadata\n"
        f"class C{number}(CollectorPlugin):\n"
        "    @classmethod\n"
        f"    def get_metadata(cls): return PluginMetadata(name={name!r}, version='1', type='collector')\n"
        "    def initialize(self, config): ...\n"
        "    def start(self): ...\n"
        "    def stop(self): ...\n"
        "    def get_status(self): ...\n"
        "    def collect(self): ...\n"
    )


def test_entry_points_are_listed_without_an_import(look, installed):
    installed(
        "stranger",
        {"strange": "stranger_mod:C1", "odd": "stranger_gone:Nothing"},
        {"stranger_mod.py": cls("x")},
    )
    said = look()
    assert said["plugins"] == {
        "strange": ["entry point of stranger 2.5", "DISCOVERED", "2.5", None],
        "odd": ["entry point of stranger 2.5", "DISCOVERED", "2.5", None],
    }
    assert said["imported"] == []
    assert {"environment", "gpu", "jsonl", "system"} <= set(said["own"])


def test_an_entry_point_is_a_class_an_instance_or_a_module(project, installed):
    installed(
        "stranger",
        {
            "a": "stranger_a:C1",
            "b": "stranger_b:plugin",
            "c": "stranger_c",
            "d": "stranger_d",
            "e": "stranger_e",
        },
        {
            "stranger_a.py": cls("own name"),
            "stranger_b.py": cls("b") + "plugin = C1()\n",
            "stranger_c.py": FUNCTION,
            "stranger_d.py": cls("d"),
            "stranger_e.py": cls("e") + cls("f", 2),
        },
    )
    project.write(
        "drive.py",
        """
        import json
        from tracelet.config import load_config
        from tracelet.core.plugins import PluginManager
        manager = PluginManager(config=load_config())
        manager.discover_plugins()
        print(json.dumps([manager.start_plugins("abcde"), manager.plugins["e"].error,
            [manager.plugins[n].metadata.type.value for n in "abcd"]]))
        """,
    )
    started, error, kinds = json.loads(project.python("drive.py").stdout)
    assert started == {"a": True, "b": True, "c": True, "d": True, "e": False}
    assert "found C1, C2; name one as stranger_e:C1" in error
    assert kinds == ["collector"] * 4


def test_project_files_from_the_root_down_to_the_script(project, look):
    for folder in ("", "deep/", "deep/er/", "beside/"):
        project.write(f"{folder}tracelet_plugins.py", FUNCTION)
    script = project.write("deep/er/train.py", "")
    said = look(str(script))
    root = os.path.realpath(project.path)
    assert {name: origin for name, (origin, *_) in said["plugins"].items()} == {
        "tracelet_plugins": f"{root}/tracelet_plugins.py",
        "deep/tracelet_plugins": f"{root}/deep/tracelet_plugins.py",
        "deep/er/tracelet_plugins": f"{root}/deep/er/tracelet_plugins.py",
    }
    assert said["chosen"] == dict.fromkeys(said["plugins"], True)


def test_a_project_file_names_more_modules_which_may_name_each_other(project, look):
    project.environ["PYTHONPATH"] = str(project.path)
    project.write("tracelet_plugins.py", "tracelet_plugins = ['stranger_one', 'jsonl', 'stranger_gone']\n")
    project.write("stranger_one.py", "tracelet_plugins = 'stranger_two'\n" + FUNCTION)
    project.write("stranger_two.py", "tracelet_plugins = ['stranger_one']\n" + cls("second"))
    said = look()
    assert set(said["plugins"]) == {"stranger_one", "second"}
    assert said["chosen"] == {"stranger_one": True, "second": True, "jsonl": True}
    [problem] = said["problems"]
    assert "tracelet_plugins names 'stranger_gone'" in problem


@pytest.mark.parametrize("text", ["", "import os\n\ndef helper(): ...\n", "class Helper: ...\n"])
def test_a_project_file_may_hold_no_plugin(project, look, text):
    project.write("tracelet_plugins.py", text)
    said = look()
    assert said["plugins"] == {}
    assert said["problems"] == []


def test_a_project_file_with_a_hook_that_is_not_decorated(project, look):
    project.write("tracelet_plugins.py", "def collect(): return {'x': 1}\n")
    assert "collect() is not a hook implementation; put @tracelet.hookimpl above it" in str(
        look()["problems"]
    )


@pytest.mark.parametrize("names", ["3", "[1]", "{'a': 1}"])
def test_names_of_more_modules_that_are_none(project, look, names):
    project.write("tracelet_plugins.py", f"tracelet_plugins = {names}\n{FUNCTION}")
    said = look()
    assert list(said["plugins"]) == ["tracelet_plugins"]
    assert "tracelet_plugins: expected a list of module names, found" in said["problems"][0]


@pytest.mark.parametrize("way", ["-p", "TRACELET_PLUGINS"])
def test_an_entry_point_or_a_module_is_asked_for_by_name(project, look, installed, way):
    installed(
        "stranger", {"strange": "stranger_mod:C1"}, {"stranger_mod.py": cls("x"), "stranger_fun.py": FUNCTION}
    )
    if way == "-p":
        said = look("train.py", "strange,stranger_fun")
    else:
        said = look(TRACELET_PLUGINS="strange,stranger_fun")
    assert said["chosen"] == {"strange": True, "stranger_fun": True}
    assert said["plugins"]["stranger_fun"][0] == "module stranger_fun"
    assert said["imported"] == ["stranger_fun"]


def test_a_module_of_classes_stands_for_what_it_holds(project, look):
    project.write("stranger_many.py", cls("x", 1) + cls("y", 2))
    said = look("train.py", "stranger_many,missing", PYTHONPATH=str(project.path))
    assert said["chosen"] == {"missing": True, "x": True, "y": True}


def test_a_module_asked_for_that_cannot_be_imported(project, look):
    project.environ["PYTHONPATH"] = str(project.path)
    project.write("stranger_bad.py", "1 / 0")
    origin, state, _, error = look("train.py", "stranger_bad")["plugins"]["stranger_bad"]
    assert (origin, state) == ("module stranger_bad", "ERROR")
    assert error == (
        "plugin 'stranger_bad' (module stranger_bad): import failed: ZeroDivisionError: division by zero"
        " (at stranger_bad.py:1)"
    )


def test_a_plugin_named_like_a_library_is_not_taken_for_it(project, look):
    project.environ["PYTHONPATH"] = str(project.path)
    project.write("stranger_lib.py", "raise RuntimeError('the library is not to be imported')")
    project.write("tracelet_plugins.py", cls("stranger_lib"))
    project.write("tracelet.toml", "[plugins.stranger_lib]\na = 1\n")
    said = look()
    assert said["plugins"]["stranger_lib"][1] == "DISCOVERED"
    assert said["chosen"] == {"stranger_lib": True}


def test_the_first_source_keeps_a_name(project, look, installed):
    installed("stranger", {"same": "stranger_mod:C1"}, {"stranger_mod.py": cls("x")})
    project.write("tracelet_plugins.py", cls("same"))
    paths = project.write("paths/one.py", cls("same")).parent
    said = look(TRACELET_PLUGIN_PATH=str(paths))
    assert said["plugins"]["same"][0].endswith("project/tracelet_plugins.py")
    first, second = said["problems"]
    assert "plugin name 'same' is taken: C1 from" in first
    assert "entry point of stranger 2.5 is left out" in first
    assert "paths/one.py is left out" in second
    assert look("train.py", "same")["plugins"]["same"][0] == "entry point of stranger 2.5"


def test_a_blocked_name_is_left_out_everywhere(project, look, installed):
    installed("stranger", {"strange": "stranger_mod:C1"}, {"stranger_mod.py": cls("x")})
    project.write("tracelet_plugins.py", cls("mine"))
    said = look("train.py", "no:mine,no:strange,no:system")
    assert said["plugins"] == {}
    assert "system" not in said["own"]


def test_a_blocked_name_stays_out_where_the_program_gives_the_class_itself(project):
    project.write(
        "train.py",
        cls("mine")
        + "import tracelet\n"
        + "with tracelet.start_run('x', plugins=[C1, 'jsonl']) as run: pass\n"
        + "print({name: run.manager.plugins[name].state.name for name in ('mine',)}, run.status()['problems'])\n",
    )
    done = project.tracelet("run", "--quiet", "-p", "no:mine", "-p", "no:jsonl", "train.py")
    assert done.stdout.splitlines()[0] == "{'mine': 'LOADED'} []"
    assert project.python("train.py").stdout.splitlines()[0] == "{'mine': 'STOPPED'} []"


def test_autoload_off_leaves_the_built_in_ones_and_what_is_asked_for(project, look, installed):
    installed(
        "stranger", {"strange": "stranger_mod:C1", "other": "stranger_mod:C1"}, {"stranger_mod.py": cls("x")}
    )
    project.write("tracelet_plugins.py", FUNCTION)
    paths = project.write("paths/one.py", cls("one")).parent
    environ = {"TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1", "TRACELET_PLUGIN_PATH": str(paths)}
    said = look("train.py", "strange", **environ)
    assert list(said["plugins"]) == ["strange"]
    assert {"environment", "gpu", "jsonl", "system"} <= set(said["own"])


def test_plugin_paths_of_the_environment_and_the_user(project, look):
    first = project.write("first/one.py", cls("one")).parent
    second = project.write("second.py", cls("two"))
    home = project.path.parent / "home"
    user = home / ".config" / "tracelet" / "plugins"
    user.mkdir(parents=True)
    user.joinpath("mine.py").write_text(cls("mine"))
    said = look(TRACELET_PLUGIN_PATH=os.pathsep.join([str(first), str(second)]))
    assert set(said["plugins"]) == {"one", "two", "mine"}
    assert said["chosen"] == {}


def test_a_damaged_distribution_spoils_nothing(look, installed, project):
    installed("stranger", {"strange": "stranger_mod:C1"}, {"stranger_mod.py": cls("x")})
    damaged = project.path.parent / "site" / "damaged-1.0.dist-info"
    damaged.mkdir()
    damaged.joinpath("entry_points.txt").write_text("[tracelet.plugins]\nhurt = stranger_mod:C1\n")
    said = look()
    assert {"strange", "hurt"} <= set(said["plugins"])


def test_entry_points_come_in_the_same_order_everywhere(look, installed, project):
    for name in ("b", "c", "a"):
        installed(name, {"twice": f"{name}_mod:C1", name: f"{name}_mod:C1", "system": f"{name}_mod:C1"}, {})
    said = look()
    assert [name for name in said["plugins"] if name != "tracelet_plugins"] == ["a", "b", "c", "twice"]
    assert said["plugins"]["twice"][0] == "entry point of a 2.5"
    assert "system" in said["own"]
    assert sum("'system' is taken: SystemCollector" in problem for problem in said["problems"]) == 3


def test_an_entry_point_that_points_nowhere_says_what_was_expected(look, installed):
    installed("stranger", {"strange": "a module"}, {})
    assert "expected module or module:attribute, found 'a module'" in look()["plugins"]["strange"][3]


def test_a_plugin_is_loaded_to_learn_what_it_depends_on(project, installed):
    installed(
        "stranger",
        {"base": "stranger_base:C1", "top": "stranger_top:C1"},
        {
            "stranger_base.py": cls("base"),
            "stranger_top.py": cls("top").replace("type=", "dependencies=['base'], type="),
        },
    )
    project.write(
        "drive.py",
        """
        from tracelet.config import load_config
        from tracelet.core.plugins import PluginManager
        manager = PluginManager(config=load_config())
        manager.discover_plugins()
        print(manager.resolve_dependencies(["top"]), manager.start_plugins(["top"]), manager.active())
        """,
    )
    assert project.python("drive.py").stdout == "['base', 'top'] {'top': True} ['base', 'top']\n"


def test_importing_tracelet_loads_no_plugin(project, installed):
    installed("stranger", {"strange": "stranger_mod:C1"}, {"stranger_mod.py": "raise SystemExit('imported')"})
    project.write("tracelet_plugins.py", "raise SystemExit('imported')")
    project.write(
        "look.py",
        """
        import sys
        import tracelet
        from tracelet.core.plugins import PluginManager
        PluginManager()
        print([name for name in sys.modules if "stranger" in name])
        """,
    )
    assert project.python("look.py").stdout == "[]\n"
