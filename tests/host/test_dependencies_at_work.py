"""A plugin that runs only because another depends on it is a plugin like any other: it gets every hook."""

from __future__ import annotations

import json

import pytest

BASE = """
    from pathlib import Path
    from tracelet.core.plugins import BackendPlugin, PluginMetadata

    class Base(BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name="base", version="1.5", type="backend")
        def note(self, what):
            with open("seen", "a") as file:
                print(what, file=file)
        def initialize(self, config): self.note("initialize")
        def start(self): self.note("start")
        def stop(self): self.note("stop")
        def get_status(self): return {"here": True}
        def log_metrics(self, points): self.note("log_metrics")
        def log_metric(self, name, value, iteration): ...
        def log_params(self, params): self.note("log_params")
        def log_artifact(self, local_path, artifact_path=None): ...
        def run_started(self, run): self.note("run_started")
        def run_ended(self, run): self.note("run_ended")
        def report_header(self): self.note("report_header")
        def report_summary(self): self.note("report_summary")
        def process_metric(self, metric):
            self.note("process_metric")
            return metric
        def plugin_state_changed(self, plugin, old, new): self.note("plugin_state_changed")
        def collect(self):
            self.note("collect")
            return {"base": 1}
"""
TOP = """
    from tracelet.core.plugins import CollectorPlugin, PluginMetadata

    class Top(CollectorPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name="top", version="1.5", type="collector", dependencies=["base"])
        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self): return {}
        def collect(self): return {"top": 1}
"""
EVERY = {
    *(
        "initialize",
        "start",
        "stop",
        "log_metrics",
        "log_params",
        "run_started",
        "run_ended",
        "report_header",
    ),
    *("report_summary", "process_metric", "plugin_state_changed", "collect"),
}


@pytest.fixture
def dependent(project):
    project.write("plug/base.py", BASE)
    project.write("plug/top.py", TOP)
    project.write(
        "tracelet.toml", 'plugin_paths = ["plug"]\nplugins = ["no:system", "no:environment", "no:gpu"]\n'
    )
    project.write(
        "train.py",
        """
        import sys, tracelet
        with tracelet.start_run("t", params={"lr": 1}, plugins=sys.argv[1:]) as run:
            run.wait_started(20)
            run.log({"loss": 1})
            if "late" in sys.argv:
                assert run.add_plugin("top")
            print(run.flush(timeout=20), run.status()["plugins"]["base"])
        """,
    )
    return project


@pytest.mark.parametrize("how", ["tracelet run", "start_run"])
def test_it_gets_every_hook(dependent, how):
    if how == "tracelet run":
        dependent.tracelet("run", "-p", "top", "train.py")
        expected = EVERY
    else:
        dependent.python("train.py", "top")
        expected = EVERY - {"report_header"}  # which belongs to the command
    seen = (dependent.path / "seen").read_text().split()
    assert set(seen) == expected
    for once in ("initialize", "start", "run_started", "run_ended", "stop"):
        assert seen.count(once) == 1, once
    assert seen.index("run_started") < seen.index("log_metrics")


def test_it_is_listed_as_in_use(dependent):
    listed = json.loads(dependent.tracelet("plugins", "--json", "-p", "top").stdout)["plugins"]
    assert {each["name"]: each["activated"] for each in listed if each["name"] in ("top", "base")} == {
        "top": "asked",
        "base": "dependency",
    }
    assert (
        "because another plugin depends on it"
        in dependent.tracelet("plugins", "info", "base", "-p", "top").stdout
    )
    listed = json.loads(dependent.tracelet("plugins", "--json").stdout)["plugins"]
    assert [each["activated"] for each in listed if each["name"] == "base"] == [None]
