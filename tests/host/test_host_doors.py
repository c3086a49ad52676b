"""What one door accepts, every door accepts: names, paths, tables, no:NAME; and each plugin is there once."""

from __future__ import annotations

import os

import pytest

from tracelet.core.plugins import CollectorPlugin, PluginMetadata

pytestmark = pytest.mark.slow

SINK = """
    from tracelet.core.plugins import BackendPlugin, PluginMetadata

    class Sink(BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name="sink", version="1.0", type="backend"%s)
        def initialize(self, config): self.got = 0
        def start(self): pass
        def stop(self): pass
        def get_status(self): return {"got": self.got}
        def log_metric(self, name, value, iteration): self.got += 1
        def log_params(self, params): pass
        def log_artifact(self, local_path, artifact_path=None): pass
"""
HOOK = """
    import tracelet

    @tracelet.hookimpl
    def collect():
        return {"a": 1}
"""
TRAIN = """
    import json, tracelet
    with tracelet.start_run("t") as run:
        run.wait_started(20)
        run.log({"loss": 1.0}, step=0)
        run.flush(timeout=10)
        status = run.status()
    keys = ("state", "status", "error")
    kept = {name: {key: each.get(key) for key in keys} for name, each in status["plugins"].items()}
    print(json.dumps({"plugins": kept, "problems": status["problems"]}))
"""
QUIET = "[plugins]\nsystem = false\nenvironment = false\ngpu = false\n"


def text_of(source, *values):
    import textwrap

    return textwrap.dedent(source % values if values else source)


@pytest.fixture
def trained(project):
    """Return a function that trains under ``tracelet run`` and returns what the run says of its plugins."""
    import json

    project.write("train.py", TRAIN)

    def trained(*words, toml="", **environ):
        project.write("tracelet.toml", toml if "[plugins]" in toml else toml + "\n" + QUIET)
        done = project.tracelet("run", *words, "train.py", environ=environ)
        line = next(line for line in done.stdout.splitlines() if line.startswith('{"plugins"'))
        return {**json.loads(line), "err": done.stderr, "out": done.stdout}

    return trained


# -- entry points ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("gone_mod.plugin:Sink", ["entry point of stranger 2.5", "no module 'gone_mod'"]),
        (
            "stranger_mod:Snik",
            ["entry point of stranger 2.5", "stranger_mod has no 'Snik'", "did you mean 'Sink'?"],
        ),
    ],
)
def test_an_entry_point_that_leads_nowhere_names_its_distribution(project, installed, trained, point, told):
    installed("stranger", {"acme": point}, {"stranger_mod.py": text_of(SINK, "")})
    error = trained("-p", "acme")["plugins"]["acme"]["error"]
    assert all(part in error for part in told), error


def test_a_distribution_that_requires_another_tracelet(project, installed, trained):
    installed(
        "later", {"later": "later_mod"}, {"later_mod.py": "from tracelet.core.plugins import OfTomorrow\n"}
    )
    info = project.path.parent / "site" / "later-2.5.dist-info"
    with info.joinpath("METADATA").open("a") as file:
        file.write("Requires-Dist: tracelet>=99\n")
    error = trained("-p", "later")["plugins"]["later"]["error"]
    assert "later 2.5" in error
    assert "needs tracelet>=99, found" in error


@pytest.mark.parametrize(
    "content",
    [
        b"[tracelet.plugins]\nthis line has no equals sign\n",
        b"[tracelet.plugins]\nx = y:z  # caf\xe9\n",
        b"[console_scripts]\nno equals sign\n",
        b"x = tracelet.plugins\n",
    ],
)
def test_a_damaged_list_of_entry_points_hides_no_other(project, installed, look, content):
    installed("sound", {"sound": "sound_mod:Sink"}, {})
    damaged = project.path.parent / "site" / "damaged-1.0.dist-info"
    damaged.mkdir()
    damaged.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: damaged\nVersion: 1.0\n")
    damaged.joinpath("entry_points.txt").write_bytes(content)
    said = look()
    assert "sound" in said["plugins"]
    assert "jsonl" in said["own"]
    if b"[tracelet" in content:
        [problem] = said["problems"]
        assert "damaged" in problem
        assert "entry_points.txt cannot be read" in problem


@pytest.mark.parametrize(
    ("words", "toml"),
    [
        (["-p", "stranger_mod", "-p", "printer"], ""),
        (["-p", "stranger_mod"], "[plugins.printer]\n"),
        (["-p", "printer", "-p", "again"], ""),
    ],
)
def test_one_class_under_two_names_gets_everything_once(installed, trained, words, toml):
    points = {"printer": "stranger_mod:Sink", "again": "stranger_mod:Sink"}
    installed("stranger", points, {"stranger_mod.py": text_of(SINK, "")})
    plugins = trained(*words, toml=toml)["plugins"]
    active = [each["status"] for each in plugins.values() if "got" in (each["status"] or {})]
    assert active == [{"got": 1}]
    assert not [each["error"] for each in plugins.values() if each["error"]]


def test_a_class_given_by_hand_is_the_one_of_its_entry_point(project, installed):
    installed("stranger", {"printer": "stranger_mod:Sink"}, {"stranger_mod.py": text_of(SINK, "")})
    project.write("tracelet.toml", QUIET)
    project.write(
        "prog.py",
        """
        import stranger_mod, tracelet
        with tracelet.start_run("t", plugins=[stranger_mod.Sink, "printer"]) as run:
            run.wait_started(20)
            run.log({"loss": 1.0}, step=0)
            run.flush(timeout=10)
            status = run.status()
        print([each["status"] for each in status["plugins"].values() if each.get("status")], status["problems"])
        """,
    )
    assert project.python("prog.py").stdout.splitlines()[0] == "[{'got': 1}] []"


def test_a_module_that_reexports_a_class(project, installed, trained):
    installed("stranger", {"ep": "pack"}, {})
    site = project.path.parent / "site" / "pack"
    site.mkdir()
    site.joinpath("backend.py").write_text(text_of(SINK, ""))
    site.joinpath("__init__.py").write_text("from pack.backend import Sink\n")
    assert trained("-p", "pack")["plugins"]["sink"]["status"] == {"got": 1}
    assert trained("-p", "ep")["plugins"]["ep"]["status"] == {"got": 1}


# -- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["my plugin", "übung", "my.plugin", "2fast", "my-plugin", "Weights & Biases", "a/b", "@a"]
)
def test_any_name_can_be_asked_for_and_blocked(project, trained, name):
    project.write("more/one.py", text_of(SINK, "").replace('"sink"', repr(name)))
    path = str(project.path / "more")
    assert trained("-p", name, TRACELET_PLUGIN_PATH=path)["plugins"][name]["state"] == "active"
    table = f"[plugins.'{name}']\n"
    assert trained(toml=table, TRACELET_PLUGIN_PATH=path)["plugins"][name]["state"] == "active"
    blocked = trained("-p", f"no:{name}", toml=table, TRACELET_PLUGIN_PATH=path)
    assert name not in blocked["plugins"]


@pytest.mark.parametrize("name", ["a,b", "no:a", "-a", " a", "a\n", ""])
def test_a_name_that_nobody_could_ask_for_is_refused(manager, name):
    class Odd(CollectorPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name="odd", version="1", type="collector")

        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {}

        def collect(self):
            return {}

    info = manager.register_plugin(Odd)
    info.metadata.name = name
    manager.plugins[name] = manager.plugins.pop("odd")
    assert not manager.validate_plugin(name)
    assert "metadata name: expected" in manager.plugins[name].error


@pytest.mark.parametrize(
    ("words", "toml"),
    [
        (["-p", "no:my_sink"], "[plugins.my-sink]\n"),
        (["-p", "no:MY.SINK"], "[plugins.my-sink]\n"),
        (["-p", "no:stranger_mod"], "[plugins.my-sink]\n"),
        ([], "[plugins.my-sink]\n[plugins.my_sink]\nenabled = false\n"),
    ],
)
def test_what_is_switched_off_by_another_spelling_is_off(installed, trained, words, toml):
    installed("stranger", {"my-sink": "stranger_mod"}, {"stranger_mod.py": text_of(HOOK)})
    plugins = trained(*words, toml=toml)["plugins"]
    assert plugins.get("my-sink", {}).get("state") != "active"


@pytest.mark.parametrize(
    ("words", "toml"),
    [(["-p", "no:my-snik"], ""), ([], "[plugins.my-snik]\nenabled = false\n")],
)
def test_a_slip_in_what_is_switched_off_is_reported(installed, trained, words, toml):
    installed("stranger", {"my-sink": "stranger_mod"}, {"stranger_mod.py": text_of(HOOK)})
    [problem] = trained(*words, toml="[plugins.my-sink]\n" + toml)["problems"]
    assert "no plugin is named 'my-snik'; did you mean 'my-sink'?" in problem


@pytest.mark.parametrize(
    ("words", "toml", "how"),
    [
        (["-p", "no:base"], "", "-p no:base"),
        ([], "[plugins.base]\nenabled = false\n", "plugins.base.enabled = false"),
    ],
)
def test_a_dependency_that_is_switched_off_is_not_started(project, trained, words, toml, how):
    project.write("more/base.py", text_of(SINK, "").replace('"sink"', '"base"'))
    project.write("more/above.py", text_of(SINK, ', dependencies=["base"]').replace('"sink"', '"above"'))
    plugins = trained("-p", "above", *words, toml="plugin_paths = ['more']\n" + toml)["plugins"]
    assert plugins.get("base", {}).get("state") != "active"
    assert f"'base', which is switched off ({how})" in plugins["above"]["error"]


@pytest.mark.parametrize("path", ["lines.py", "./lines.py", "more/lines.py"])
def test_a_path_after_p(project, trained, path):
    project.write("lines.py", text_of(SINK, ""))
    project.write("more/lines.py", text_of(SINK, ""))
    assert trained("-p", path)["plugins"]["sink"]["status"] == {"got": 1}


def test_the_table_of_a_module_is_that_of_its_only_plugin(project, trained):
    schema = ', config_schema={"greeting": {"type": "string", "default": "none"}}'
    project.write("lines_m.py", text_of(SINK, schema).replace("self.got = 0", "self.got = 0; print(config)"))
    said = trained(toml="[plugins.lines_m]\ngreeting = 'hello'\n")
    assert said["plugins"]["sink"]["status"] == {"got": 1}
    assert "{'greeting': 'hello'}" in said["out"]


@pytest.mark.parametrize("version", ["'unknown'", "'1.0-SNAPSHOT'", "(1, 2, 0)", "None"])
def test_a_module_of_hooks_needs_no_version(project, trained, version):
    project.write("hooks.py", text_of(HOOK) + f"__version__ = {version}\n")
    assert trained("-p", "hooks")["plugins"]["hooks"]["state"] == "active"


# -- files -----------------------------------------------------------------------------------------------


def test_a_link_names_the_plugin_and_a_broken_one_is_reported(project, trained):
    project.write("available/notify_v2.py", text_of(HOOK))
    (project.path / "enabled").mkdir()
    (project.path / "enabled" / "notify.py").symlink_to("../available/notify_v2.py")
    (project.path / "enabled" / "gone.py").symlink_to("nowhere.py")
    said = trained("-p", "notify", toml="plugin_paths = ['enabled']\n")
    assert said["plugins"]["notify"]["state"] == "active"
    assert any("gone.py: is a broken link" in problem for problem in said["problems"])


def test_relative_imports_reach_the_neighbors_of_each_file(project, trained):
    for folder, value in (("", 1), ("sub/", 2)):
        project.write(f"{folder}helpers.py", f"X = {value}\n")
        project.write(
            f"{folder}tracelet_plugins.py",
            "import tracelet\nfrom .helpers import X\n@tracelet.hookimpl\ndef collect():\n"
            f"    return {{'x{value}': X}}\n",
        )
    project.write("tracelet.toml", QUIET)
    project.write(
        "sub/train.py",
        TRAIN + "    print([tracelet.open_store().run(run.id).metric(n).last for n in ('x1', 'x2')])\n",
    )
    assert project.python("sub/train.py").stdout.splitlines()[-1] == "[1.0, 2.0]"


def test_relative_imports_leave_the_import_system_in_order(project):
    project.write("tracelet.toml", QUIET)
    project.write("helpers.py", "X = 1\n")
    project.write("tracelet_plugins.py", "from .helpers import X\n" + text_of(HOOK))
    project.write(
        "prog.py",
        """
        import importlib, tracelet
        with tracelet.start_run("t") as run:
            run.wait_started(20)
        importlib.invalidate_caches()
        print("in order", run.status()["problems"])
        """,
    )
    assert project.python("prog.py").stdout.splitlines()[-1] == "in order []"


def test_an_import_that_gives_another_files_neighbor_is_reported(project, look):
    for folder in ("one", "two"):
        project.write(f"{folder}/helpers.py", "X = 1\n")
        project.write(f"{folder}/{folder}.py", "import helpers\n" + text_of(HOOK))
    paths = os.pathsep.join(str(project.path / folder) for folder in ("one", "two"))
    [problem] = look(TRACELET_PLUGIN_PATH=paths)["problems"]
    assert "two.py: 'import helpers' gives" in problem
    assert "write 'from . import helpers'" in problem


def test_an_edited_file_is_imported_again(project):
    project.write("tracelet.toml", QUIET)
    project.write(
        "prog.py",
        """
        import pathlib, tracelet
        for value in (1, 2):
            pathlib.Path("tracelet_plugins.py").write_text(
                f"import tracelet\\n@tracelet.hookimpl\\ndef collect():\\n    return {{'value': {value}}}\\n")
            with tracelet.start_run("t") as run:
                run.wait_started(20)
            print(tracelet.open_store().run(run.id).metric("value").last)
        """,
    )
    assert project.python("prog.py").stdout.split() == ["1.0", "2.0"]


def test_the_functions_of_a_plugin_file_can_be_pickled(project, tmp_path):
    project.write("tracelet.toml", QUIET)
    project.write("tracelet_plugins.py", text_of(HOOK) + "def job(x):\n    return x + 1\n")
    project.write(
        "prog.py",
        """
        import multiprocessing, sys, tracelet
        if __name__ == "__main__":
            with tracelet.start_run("t") as run:
                run.wait_started(20)
                module = run.manager.plugins["tracelet_plugins"].instance
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.apply(module.job, (1,)))
        """,
    )
    assert project.python("prog.py").stdout.split()[0] == "2"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("script.py", "open('ran', 'w').close()\nprint('hello')\n", ""),
        (
            "train2.py",
            "open('ran', 'w').close()\nimport tracelet\ntracelet.start_run('x')\nclass A: pass\n",
            "line 3 starts a run",
        ),
        ("guarded.py", "if __name__ == '__main__':\n    open('ran', 'w').close()\n", ""),
    ],
)
def test_a_script_in_a_plugin_folder_is_not_run(project, look, name, text, told):
    project.write(f"more/{name}", text)
    said = look(TRACELET_PLUGIN_PATH=str(project.path / "more"))
    assert not (project.path / "ran").exists()
    assert told in " ".join(said["problems"])
    assert bool(said["problems"]) == bool(told)


def test_the_program_is_not_a_plugin_of_its_own_run(project):
    project.write("tracelet.toml", "plugin_paths = ['.']\n" + QUIET)
    project.write(
        "train.py", "open('times', 'a').write('x')\nimport tracelet\nclass Local: pass\n" + text_of(TRAIN)
    )
    project.python("train.py")
    assert (project.path / "times").read_text() == "x"
    assert len(list((project.path / ".tracelet" / "runs").iterdir())) == 1


# -- start_run(plugins=...) --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        "(Sink,)",
        "{Sink}",
        "(each for each in [Sink])",
        "{'sink': Sink}.values()",
        "[[Sink]]",
        "Sink",
        "'lines'",
    ],
)
def test_any_collection_of_plugins(project, given):
    project.write("tracelet.toml", QUIET)
    project.write("lines.py", text_of(SINK, ""))
    project.write(
        "train.py",
        TRAIN.replace('start_run("t")', f'start_run("t", plugins={given})').replace(
            "import json", "from lines import Sink\n    import json"
        ),
    )
    assert '"got": 1' in project.python("train.py").stdout


def test_a_mapping_of_plugins_is_a_clear_error(project):
    project.write("train.py", "import tracelet\ntracelet.start_run('t', plugins={'sink': {}})\n")
    done = project.python("train.py", status=1)
    assert (
        "start_run(plugins=...): expected names, classes, instances or modules, found a mapping"
        in done.stderr
    )


# -- packages, and what is switched off by its place ---------------------------------------------------


def test_a_package_in_place_of_the_project_file(project, trained):
    project.write("tracelet_plugins/__init__.py", "from .parts import Sink\n")
    project.write("tracelet_plugins/parts.py", SINK % "")
    assert trained()["plugins"]["sink"]["state"] == "active"
    assert "sink" not in trained("-p", "no:tracelet_plugins")["plugins"]


@pytest.mark.parametrize("switched_off", ["more", "more.parts", "more:Sink", "more.parts:Sink"])
def test_a_reexported_class_is_switched_off_by_each_of_its_places(project, trained, switched_off):
    project.write("more/__init__.py", "from .parts import Sink\n")
    project.write("more/parts.py", SINK % "")
    for asked in ("more", "more:Sink"):
        assert "sink" not in trained("-p", asked, "-p", f"no:{switched_off}")["plugins"]


def test_a_file_is_switched_off_by_any_path_to_it(project, trained):
    project.write("lines.py", SINK % "")
    assert "sink" not in trained("-p", "lines.py", "-p", "no:./lines.py")["plugins"]
