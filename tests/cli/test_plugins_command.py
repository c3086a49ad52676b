"""``tracelet plugins``: list, info, check, new; and ``tracelet hooks``."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import tracelet_hookspecs

pytestmark = pytest.mark.slow

SOUND = '''
    """Two sound plugins, and a marker that tells when they are imported."""

    import pathlib

    import tracelet
    from tracelet.core.plugins import BackendPlugin, CollectorPlugin, PluginMetadata

    pathlib.Path("imported").touch()

    class Lines(BackendPlugin):
        """Writes lines."""

        @classmethod
        def get_metadata(cls):
            return PluginMetadata(
                name="lines", version="1.2", type="backend", author="A. Stranger", capabilities={"files"},
                description="Writes lines", dependencies=["click>=8"], requires_tracelet=">=0.1",
                config_schema={
                    "path": {"type": "string", "required": True, "description": "where to"},
                    "api_key": {"type": "string", "default": "hunter2"},
                    "depth": {"type": "integer", "default": 3},
                })
        def initialize(self, config): pass
        def start(self): pass
        def stop(self): pass
        def get_status(self): return {}
        def log_metric(self, name, value, iteration): pass
        def log_params(self, params): pass
        def log_artifact(self, local_path, artifact_path=None): pass

    class Meter(CollectorPlugin):
        def get_metadata(self):
            return PluginMetadata(name="meter", version="0.1", plugin_type="collector")
        def initialize(self, config): pass
        def start(self): pass
        def stop(self): pass
        def get_status(self): return {}
        def collect(self): return {}
'''
FAULTY = """
    import tracelet
    from tracelet.core.plugins import PluginMetadata

    class Faulty:
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name="faulty", version="one", type="backend", requires_tracelet=">=99",
                                  dependencies=["nobody>=1"], config_schema={"x": {"type": "strnig"}})
        def initialize(self, config): pass
        def start(self): pass
        def get_status(self): return {}
        def log_metric(self, name, valeu): pass

    @tracelet.hookimpl
    def colect(): return {}
"""


def listed(project, *words, **options):
    done = project.tracelet("plugins", "list", "--json", *words, **options)
    return {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}


@pytest.fixture
def sound(project):
    project.write("sound.py", SOUND)
    return project


def test_the_list_says_what_is_in_use(project):
    plugins = listed(project)
    others = [name for name in plugins if name not in ("environment", "gpu", "system")]
    assert list(plugins) == ["environment", "gpu", "system", *sorted(others)]  # in use first
    for name in ("environment", "system"):
        assert (plugins[name]["state"], plugins[name]["activated"]) == ("validated", "default")
        assert plugins[name]["type"] == "collector"
    assert (plugins["jsonl"]["state"], plugins["jsonl"]["activated"]) == ("discovered", None)
    assert plugins["jsonl"]["origin"].startswith("entry point of tracelet")


def test_what_is_asked_for_is_in_use(project):
    for words, environ, toml in (
        (["-p", "jsonl"], {}, ""),
        ([], {"TRACELET_PLUGINS": "jsonl"}, ""),
        ([], {}, "[plugins.jsonl]\n"),
        ([], {}, 'plugins = ["jsonl"]\n'),
    ):
        project.write("tracelet.toml", toml)
        plugins = listed(project, *words, environ=environ)
        assert (plugins["jsonl"]["state"], plugins["jsonl"]["activated"]) == ("validated", "asked")


def test_options_may_stand_anywhere(project):
    for words in (
        ["-p", "jsonl", "plugins", "list", "--json"],
        ["plugins", "-p", "jsonl", "list", "--json"],
        ["plugins", "--json", "-p", "jsonl"],
        ["plugins", "--json", "list", "-pjsonl"],
    ):
        plugins = json.loads(project.tracelet(*words).stdout)["plugins"]
        assert [plugin["activated"] for plugin in plugins if plugin["name"] == "jsonl"] == ["asked"]


def test_a_blocked_plugin_is_not_there(project):
    assert "system" not in listed(project, "-p", "no:system")


def test_listing_imports_nothing_that_is_not_in_use(sound):
    (sound.path / "places").mkdir()
    (sound.path / "sound.py").rename(sound.path / "places" / "sound.py")
    sound.write("tracelet.toml", 'plugin_paths = ["places"]\n')
    # An instance method for metadata has to be run to be read, so that class goes.
    text = (sound.path / "places" / "sound.py").read_text()
    (sound.path / "places" / "sound.py").write_text(text.partition("class Meter")[0])
    plugins = listed(sound)
    assert (plugins["lines"]["state"], plugins["lines"]["version"]) == ("discovered", "1.2")
    assert not (sound.path / "imported").exists()


def test_a_plugin_that_fails_is_told_below_the_list(project):
    project.write("tracelet_plugins.py", FAULTY)
    done = project.tracelet("plugins")
    assert re.search(r"^faulty .* error ", done.stdout, re.M)
    assert "error: plugin 'faulty'" in done.stdout
    assert "did you mean 'collect'?" in re.sub(r"\s+", " ", done.stdout)
    assert re.search(r"^system .* validated ", done.stdout, re.M)


def test_info_tells_all(sound):
    sound.write("tracelet.toml", '[plugins.lines]\npath = "x"\n')
    done = sound.tracelet("plugins", "info", "lines", "-p", "sound")
    shown = re.sub(r" +", " ", done.stdout)
    for line in (
        "lines 1.2 validated",
        "Writes lines",
        "type backend",
        "author A. Stranger",
        "origin module sound",
        "requires >=0.1",
        "dependencies click>=8",
        "capabilities files",
        "in use yes; -p no:lines turns it off",
        " path string required where to",
        ' api_key string "***"',
        " depth integer 3",
    ):
        assert line in shown
    assert "hunter2" not in shown


def test_info_as_json(sound):
    told = json.loads(sound.tracelet("plugins", "info", "lines", "-p", "sound", "--json").stdout)
    assert told["hooks"] == [
        *("get_status", "initialize", "log_artifact", "log_metric", "log_params", "start", "stop"),
    ]
    assert told["config"][0] == {
        "key": "path",
        "type": "string",
        "required": True,
        "secret": False,
        "default": None,
        "description": "where to",
    }
    assert "hunter2" not in json.dumps(told)


def test_info_of_one_that_fails_says_why(project):
    project.write("tracelet_plugins.py", "raise ImportError('no such thing')\n")
    done = project.tracelet("plugins", "info", "tracelet_plugins")
    assert "error: " in done.stdout
    assert "no such thing" in done.stdout


@pytest.mark.parametrize("what", ["sound.py", "./sound.py", "sound", "sound:Lines"])
def test_sound_plugins_pass_the_check(sound, what):
    done = sound.tracelet("plugins", "check", what)
    assert re.search(r"^ok lines 1.2 backend  ", done.stdout, re.M)
    assert ("meter" in done.stdout) == (what != "sound:Lines")


def test_the_check_of_a_name(project):
    assert project.tracelet("plugins", "check", "jsonl").stdout.startswith("ok jsonl ")


def test_the_check_tells_every_fault(project):
    project.write("odd.py", FAULTY)
    done = project.tracelet("plugins", "check", "odd.py", "--json", status=1)
    told = json.loads(done.stdout)
    assert told["ok"] is False
    faults = {plugin["name"]: plugin["faults"] for plugin in told["plugins"]}
    whole = "\n".join(faults["faulty"])
    for word in ("stop()", "'one'", ">=99", "nobody", "valeu", "strnig"):
        assert word in whole, whole
    assert len(faults["faulty"]) >= 6
    assert any("colect" in fault and "'collect'" in fault for several in faults.values() for fault in several)
    text = project.tracelet("plugins", "check", "odd.py", status=1).stdout
    assert all(re.sub(r"\s+", " ", fault) in re.sub(r"\s+", " ", text) for fault in faults["faulty"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_here\n", "no_such_module_here"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("x = 1\n", "neither hook implementations nor plugin classes"),
        ("", "neither hook implementations nor plugin classes"),
    ],
)
def test_files_that_are_no_plugins(project, text, told):
    project.write("odd.py", text)
    done = project.tracelet("plugins", "check", "odd.py", status=1)
    assert told in re.sub(r"\s+", " ", done.stdout)
    assert "Traceback" not in done.stdout + done.stderr


def test_the_check_looks_at_the_projects_table_too(sound):
    sound.write("tracelet.toml", "[plugins.lines]\ndepht = 4\n")
    done = sound.tracelet("plugins", "check", "sound.py", status=1)
    assert "plugins.lines.path" in done.stdout
    assert "'depth'" in done.stdout


def test_a_file_that_others_may_write_is_refused(sound):
    (sound.path / "sound.py").chmod(0o666)
    done = sound.tracelet("plugins", "check", "sound.py", status=1)
    assert "chmod o-w" in done.stdout
    assert not (sound.path / "imported").exists()


@pytest.mark.parametrize("kind", ["backend", "collector", "processor", "framework"])
def test_a_new_plugin_works_as_it_is(project, kind):
    done = project.tracelet("plugins", "new", "my-own", "--type", kind)
    assert "tracelet-my-own" in done.stdout
    package = project.path / "tracelet-my-own"
    source = package / "src" / "tracelet_my_own" / "__init__.py"
    checked = project.tracelet("plugins", "check", source)
    assert checked.stdout.startswith(f"ok my-own 0.1.0 {kind}")
    project.run(
        *(
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",  # all of them run in tests/downstream, installed
            "valid or status or tags or nan or once or units or order or imported",
            "--rootdir",
            package,
            package / "tests",
        ),
        environ={"PYTHONPATH": f"{source.parents[1]}:{project.environ.get('PYTHONPATH', '')}"},
    )
    again = project.tracelet("plugins", "new", "my-own", status=2)
    assert "already exists" in again.stderr


def test_a_new_package_of_several_plugins_has_a_module_for_each(project):
    words = ("my-lines:backend", "class:collector", "test-x:processor", "conformance:framework")
    plugins = [word for text in words for word in ("--plugin", text)]
    made = json.loads(project.tracelet("plugins", "new", "--package", "demo", *plugins, "--json").stdout)
    source = project.path / "tracelet-demo" / "src" / "tracelet_demo"
    names = {"my_lines", "class_plugin", "test_x", "conformance_plugin", "conformance", "__init__"}
    assert {path.stem for path in source.iterdir()} == names
    assert set(made["files"]) >= {"pyproject.toml", "src/tracelet_demo/class_plugin.py"}
    suites = "from tracelet_demo.conformance import TestClass, TestConformance, TestMyLines, TestTheTestX"
    for program in (suites, "import tracelet_demo.class_plugin as module; module.Class"):
        project.python("-c", program, environ={"PYTHONPATH": source.parent})
    entries = (project.path / "tracelet-demo" / "pyproject.toml").read_text()
    assert 'my-lines = "tracelet_demo.my_lines:MyLines"' in entries
    assert 'test-x = "tracelet_demo.conformance:TestTheTestX"' in entries


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "expected the plugin's NAME, or --package NAME with --plugin NAME:TYPE"),
        (["x", "--plugin", "a:backend"], "--plugin belongs to --package"),
        (["--package", "demo"], "expected its plugins as well"),
        (["x", "--package", "demo", "--plugin", "a:backend"], "exclude each other"),
        (["--package", "demo", "--plugin", "a"], "expected NAME:TYPE"),
        (["--package", "demo", "--plugin", "a:bakend"], "did you mean 'backend'?"),
        (["--package", "demo", "--plugin", "a:backend", "--plugin", "a:collector"], "named twice"),
        (["--package", "demo", "--plugin", "A b:backend"], "did you mean 'a-b'?"),
        (["--package", "demo", "--plugin", "system:collector"], "'system' is taken"),
    ],
)
def test_mistakes_in_making_a_package(project, words, told):
    done = project.tracelet("plugins", "new", *words, status=2)
    assert told in done.stderr
    assert not list(project.path.glob("tracelet-*"))


def test_what_is_made_new_is_formatted_python(project):
    ruff = (
        pytest.importorskip("ruff").find_ruff_bin() if _has_ruff() else pytest.skip("ruff is not installed")
    )
    for kind in ("backend", "collector", "processor", "framework"):
        project.tracelet("plugins", "new", kind, "--type", kind)
    done = subprocess.run([ruff, "format", "--check", project.path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _has_ruff():
    try:
        import ruff
    except ImportError:
        return False
    return hasattr(ruff, "find_ruff_bin")


def test_hooks_are_all_there(project):
    told = json.loads(project.tracelet("hooks", "--json").stdout)["hooks"]
    assert {hook["name"] for hook in told} == {
        name for name, value in vars(tracelet_hookspecs.specs).items() if hasattr(value, "tracelet_spec")
    }
    shown = project.tracelet("hooks").stdout
    for hook in told:
        assert f"{hook['name']}({', '.join(hook['arguments'])})" in shown
        assert hook["summary"].replace("``", "`") in shown.replace("``", "`")


def test_one_hook_in_full(project):
    told = json.loads(project.tracelet("hooks", "log_metric", "--json").stdout)
    assert told["signature"].startswith(
        "log_metric(name: str, value: Any, iteration: int | None, timestamp: float"
    )
    shown = project.tracelet("hooks", "log_metric").stdout
    assert "@tracelet.hookimpl" in shown
    assert "Deadline" in shown


def test_why_a_plugin_has_nothing_to_do_here_is_told(project):
    project.write(
        "plugins/idle.py",
        """
        from tracelet.core.plugins import CollectorPlugin, PluginMetadata

        class Idle(CollectorPlugin):
            @classmethod
            def get_metadata(cls): return PluginMetadata(name="idle", version="1", type="collector")
            @staticmethod
            def is_available(): return "no such device"
            def initialize(self, config): pass
            def start(self): pass
            def stop(self): pass
            def get_status(self): return {}
            def collect(self): return {}
        """,
    )
    project.write("tracelet.toml", "plugin_paths = ['plugins']\n")
    project.write(
        "ask.py",
        """
        from tracelet.config import load_config
        from tracelet.core.plugins import PluginManager
        from tracelet.host.plugins import activation
        manager = PluginManager(config=load_config())
        manager.discover_plugins()
        assert not activation.is_available("idle", manager._lifecycle)
        print(manager.get_status()["plugins"]["idle"]["unavailable"])
        """,
    )
    assert project.python("ask.py").stdout == "no such device\n"


NESTED = """
import attrs
from tracelet.core.plugins import BackendPlugin, PluginMetadata

SCHEMAS = {
    "short": {
        "retry": {"type": "object", "required": True, "properties": {"times": {"type": "integer", "default": 3}}},
        "servers": {"type": "array", "items": {"type": "object", "properties": {"api_key": {"type": "string"}}}},
        "login": {"type": "object", "default": {"user": "ann", "password": "hunter2"}},
        "tokens": {"type": "integer", "default": 300},
    },
    "json": {
        "type": "object",
        "properties": {
            "retry": {"type": "object", "required": ["times"], "properties": {"times": {"type": "integer"}}},
            "api_key": {"type": "string", "default": "hunter2"},
        },
    },
}

@attrs.define
class Server:
    host: str
    password: str = "hunter2"

@attrs.define
class Settings:
    server: Server = attrs.field(factory=lambda: Server("h"))
    n: int = 3

SCHEMAS["attrs"] = Settings

def plugin(name):
    class Plugin(BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name=name, version="1", type="backend", config_schema=SCHEMAS[name])
        def initialize(self, config): pass
        def start(self): pass
        def stop(self): pass
        def get_status(self): return {}
        def log_metric(self, name, value, iteration): pass
        def log_params(self, params): pass
        def log_artifact(self, local_path, artifact_path=None): pass
    Plugin.__name__ = Plugin.__qualname__ = name.title()
    return Plugin

Short, Json, Attrs = map(plugin, SCHEMAS)
"""


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (
            "short",
            {
                "retry": True,
                "retry.times": False,
                "servers": False,
                "servers[].api_key": False,
                "login": False,
                "tokens": False,
            },
        ),
        ("json", {"retry": False, "retry.times": True, "api_key": False}),
        ("attrs", {"server": False, "server.host": True, "server.password": False, "n": False}),
    ],
)
def test_info_shows_nested_keys_and_no_secret_of_a_default(project, name, keys):
    project.write("tracelet_plugins.py", NESTED)
    done = project.tracelet("plugins", "info", name, "--json")
    described = json.loads(done.stdout)["config"]
    assert {each["key"]: each["required"] for each in described} == keys
    assert "hunter2" not in done.stdout + project.tracelet("plugins", "info", name).stdout
    defaults = {each["key"]: each["default"] for each in described}
    assert defaults.get("tokens", 300) == 300
