"""A package in a plugin folder is one plugin; one that is not loaded is reported."""

from __future__ import annotations

import json

import pytest

INIT = """
    \"\"\"A collector.\"\"\"
    import tracelet
    from .helpers import x
    from .deep import y

    @tracelet.hookimpl
    def collect():
        return {"sum": x + y}
"""
CLASS = """
    from tracelet.core.plugins import CollectorPlugin, PluginMetadata

    class Meter(CollectorPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name="meter", version="1.5", type="collector")
        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self): return {}
        def collect(self): return {"sum": 3}
"""
TRAIN = """
    import json, tracelet
    with tracelet.start_run("t") as run:
        run.wait_started(20)
        run.log({"loss": 1})
    record = tracelet.open_store().run(run.id)
    print(json.dumps([name for name in record.metrics() if not name.startswith("system")]))
"""


@pytest.fixture
def packed(project):
    """Return a project with a package of hooks in its folder of plugins."""
    project.write("plug/pk/__init__.py", INIT)
    project.write("plug/pk/helpers.py", "x = 1\n")
    project.write(
        "plug/pk/deep/__init__.py",
        "from ..helpers import x\nfrom pk.helpers import x as same\ny = x + same\n",
    )
    project.write("train.py", TRAIN)
    return project


def names_in(project, *words, toml='plugin_paths = ["plug"]\n', **environ):
    project.write("tracelet.toml", toml)
    return json.loads(project.tracelet("run", "-q", *words, "train.py", environ=environ).stdout)


def test_a_package_in_a_plugin_folder_is_listed_and_runs(packed):
    assert names_in(packed, "-p", "pk") == ["loss", "sum"]
    listed = json.loads(packed.tracelet("plugins", "--json").stdout)["plugins"]
    assert [(one["name"], one["state"]) for one in listed if one["name"] == "pk"] == [("pk", "discovered")]


def test_a_package_named_by_the_environment_or_a_path(packed):
    folder = packed.path / "plug"
    assert names_in(packed, "-p", "pk", toml="", TRACELET_PLUGIN_PATH=str(folder)) == ["loss", "sum"]
    assert names_in(packed, "-p", "pk", toml="", TRACELET_PLUGIN_PATH=str(folder / "pk")) == ["loss", "sum"]
    for path in ("./plug/pk", "plug/pk", "plug/pk/", str(folder / "pk"), "plug/pk/__init__.py"):
        assert names_in(packed, "-p", path, toml="") == ["loss", "sum"], path
        assert names_in(packed, "-p", "plug/pk", "-p", f"no:{path}", toml="") == ["loss"], path
    assert names_in(packed, "-p", "./plug", toml="") == ["loss", "sum"]
    assert names_in(packed, toml="", TRACELET_PLUGINS="./plug/pk") == ["loss", "sum"]


def test_a_package_is_checked_by_its_path(packed):
    for path in ("plug", "plug/pk", "./plug/pk/", "plug/pk/__init__.py"):
        done = packed.tracelet("plugins", "check", path, "--json")
        assert [one["name"] for one in json.loads(done.stdout)["plugins"]] == ["pk"]


@pytest.mark.parametrize(
    "init", ["from .meter import Meter", "from .meter import *", "from pk.meter import Meter"]
)
def test_a_package_that_reexports_its_class(project, init):
    project.write("plug/pk/__init__.py", init)
    project.write("plug/pk/meter.py", CLASS)
    project.write("train.py", TRAIN)
    assert names_in(project, "-p", "meter") == ["loss", "sum"]
    assert names_in(project, "-p", "./plug/pk", toml="") == ["loss", "sum"]


def test_a_class_in_a_package_is_read_without_import(project):
    project.write("plug/pk/__init__.py", CLASS)
    project.write("tracelet.toml", 'plugin_paths = ["plug"]\n')
    listed = json.loads(project.tracelet("plugins", "--json").stdout)["plugins"]
    meter = next(one for one in listed if one["name"] == "meter")
    assert (meter["state"], meter["version"], meter["type"]) == ("discovered", "1.5", "collector")


@pytest.mark.parametrize("empty", ["", '"""The plugins."""\n'])
def test_an_empty_init_leaves_a_folder_of_files(project, empty):
    project.write("plug/__init__.py", empty)
    project.write("plug/meter.py", CLASS)
    project.write("train.py", TRAIN)
    assert names_in(project, "-p", "meter") == ["loss", "sum"]
    assert names_in(project, "-p", "./plug", toml="") == ["loss", "sum"]


def test_a_package_that_does_not_import_its_plugin_is_reported(project):
    project.write("tracelet.toml", 'plugin_paths = ["plug"]\n')
    project.write("plug/pk/__init__.py", "")
    project.write("plug/pk/meter.py", CLASS)
    project.write("plug/helpers/__init__.py", "VALUE = 1\n")  # it holds no plugin, and needs no line
    problems = json.loads(project.tracelet("plugins", "--json").stdout)["problems"]
    assert problems == [
        f"{project.path}/plug/pk: the package has no plugin in its __init__.py, and the one in meter.py is not"
        " loaded; import it in __init__.py (from .meter import ...)"
    ]


def test_a_package_that_cannot_be_imported_hides_no_other(project):
    project.write("tracelet.toml", 'plugin_paths = ["plug"]\n')
    project.write("plug/broken/__init__.py", "from . import missing\n")
    project.write("plug/worse/__init__.py", "import (\n")
    project.write("plug/meter.py", CLASS)
    listed = json.loads(project.tracelet("plugins", "--json").stdout)["plugins"]
    states = {one["name"]: one["state"] for one in listed}
    assert (states["meter"], states["broken"], states["worse"]) == ("discovered", "error", "error")


def test_the_file_counts_where_there_is_a_package_of_its_name_too(project):
    project.write(
        "tracelet_plugins.py", "import tracelet\n@tracelet.hookimpl\ndef collect(): return {'file': 1}\n"
    )
    project.write("tracelet_plugins/__init__.py", CLASS)
    project.write("train.py", TRAIN)
    assert names_in(project, toml="") == ["file", "loss"]
    problems = json.loads(project.tracelet("plugins", "--json").stdout)["problems"]
    assert problems == [
        f"{project.path}/tracelet_plugins.py counts, and the package {project.path}/tracelet_plugins next to it does"
        " not; remove one of them"
    ]
    (project.path / "tracelet_plugins.py").unlink()
    assert names_in(project, toml="") == ["loss", "sum"]


def test_a_folder_of_that_name_without_an_init_is_reported(project):
    project.write("tracelet_plugins/meter.py", CLASS)
    problems = json.loads(project.tracelet("plugins", "--json").stdout)["problems"]
    assert problems == [
        f"{project.path}/tracelet_plugins has no __init__.py, so nothing in it is loaded; add one that imports its"
        " plugins"
    ]


def test_an_edited_package_is_read_again(packed):
    packed.write(
        "again.py",
        """
        from pathlib import Path
        from tracelet.host.discovery import checked_import
        init = Path("plug/pk/__init__.py")
        first = checked_import(init)
        assert checked_import(init) is first
        Path("plug/pk/helpers.py").write_text("x = 20\\n")
        print(first.collect(), checked_import(init).collect())
        """,
    )
    assert packed.python("again.py").stdout == "{'sum': 3} {'sum': 60}\n"
