"""Small real plugins and a manager that knows nothing but what a test gives it."""

from __future__ import annotations

import json
import textwrap

import pytest

from tracelet.core.plugins import BackendPlugin, PluginManager, PluginMetadata, PluginType

LIST = """
    import json, sys
    from importlib.metadata import distributions
    from pathlib import Path
    from tracelet.config import load_config
    from tracelet.core.plugins import PluginManager

    script = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd() / "train.py"
    cli = sys.argv[2].split(",") if len(sys.argv) > 2 else []
    manager = PluginManager(config=load_config(script, cli_plugins=cli), program=script)
    infos = manager.discover_plugins()
    # distribution("tracelet") finds a neighbor such as "tracelet-odd" on Python 3.10.
    owned = [each.entry_points for each in distributions() if each.metadata["Name"] == "tracelet"]
    own = {point.name for points in owned for point in points if point.group == "tracelet.plugins"}
    print(json.dumps({
        "plugins": {i.name: [i.origin, i.state.name, i.metadata.version, i.error] for i in infos if i.name not in own},
        "own": sorted(i.name for i in infos if i.name in own),
        "problems": manager.problems,
        "chosen": {k: v for k, v in manager.select_plugins(defaults=False).items()},
        "imported": sorted(m for m in sys.modules if m.startswith("stranger")),
    }))
"""

SHORT = {
    **dict.fromkeys(("import", "addhooks", "initialize", "start", "stop"), 5.0),
    **dict.fromkeys(("get_status", "log", "collect", "process", "report"), 5.0),
}


@pytest.fixture
def manager():
    """Return a manager without any source, whose plugins are stopped at the end."""
    with PluginManager(use_default_paths=False, deadlines=SHORT) as manager:
        yield manager


@pytest.fixture
def hasty():
    """Return a manager that leaves a call behind after a moment."""
    limits = {**dict.fromkeys(SHORT, 0.3), "plugin_state_changed": 0.3}
    with PluginManager(use_default_paths=False, deadlines=limits) as manager:
        yield manager


class Backend(BackendPlugin):
    """Only what the base class asks for, and a note of each call in ``seen``."""

    seen: list

    def initialize(self, config):
        self.note("initialize", config)

    def start(self):
        self.note("start")

    def stop(self):
        self.note("stop")

    def get_status(self):
        return {"notes": len(self.seen)}

    def log_metric(self, name, value, iteration):
        self.note("log_metric", name, value, iteration)

    def log_params(self, params):
        self.note("log_params", dict(params))

    def log_artifact(self, local_path, artifact_path=None):
        self.note("log_artifact", local_path, artifact_path)

    def note(self, *what):
        self.seen.append(what)


@pytest.fixture
def make():
    """Return a function that makes a backend class: its metadata, and methods of its own in place of the plain ones."""

    def make(name="plain", methods=None, base=Backend, **metadata):
        described = {"version": "1.0", "type": PluginType.BACKEND, **metadata}
        body = {
            "get_metadata": classmethod(lambda cls: PluginMetadata(name=name, **described)),
            "seen": [],
            **(methods or {}),
        }
        return type(name.title(), (base,), body)

    return make


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file, moved to the left, into a folder of this test."""

    def write(name, text):
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def look(project):
    """Return a function that lists plugins in the project."""
    project.write("look.py", LIST)

    def look(*argv, **environ):
        return json.loads(project.python("look.py", *argv, environ=environ).stdout)

    return look


@pytest.fixture
def installed(project):
    """Return a function that installs a distribution with entry points, for programs of this project."""
    site = project.path.parent / "site"

    def installed(name, points, files, version="2.5"):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: From a stranger\n"
        )
        lines = "".join(f"{key} = {value}\n" for key, value in points.items())
        info.joinpath("entry_points.txt").write_text(f"[tracelet.plugins]\n{lines}")
        for file, text in files.items():
            site.joinpath(file).write_text(text)
        project.environ["PYTHONPATH"] = str(site)

    return installed
