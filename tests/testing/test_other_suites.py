"""The suites for processors and frameworks: good plugins pass, and broken ones fail the promise they break."""

from __future__ import annotations

import json

import pytest

PLUGINS = """
    import math
    import sys

    from tracelet.core.plugins import FrameworkPlugin, PluginMetadata, ProcessorPlugin


    class Processor(ProcessorPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("mine", "1", "processor")

        def initialize(self, config):
            self.last = {}

        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {}

        def process_metric(self, metric):
            if metric.name.startswith("debug/"):
                return None
            self.last[metric.name] = metric.value
            return metric


    class Shared(Processor):
        kept = []

        def process_metric(self, metric):
            self.kept.append(metric)
            metric.value = float(len(self.kept))
            return metric


    class Raises(Processor):
        def process_metric(self, metric):
            metric.value = math.floor(metric.value)
            return metric


    class Framework(FrameworkPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("frame", "1", "framework")

        def initialize(self, config):
            self.patched = None

        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {}

        def run_started(self, run):
            self.run = run
            if "mini" in sys.modules:
                self.patch(sys.modules["mini"])
            sys.meta_path.insert(0, self)

        def find_spec(self, name, path=None, target=None):
            if name != "mini":
                return None
            import importlib.util

            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                self.patch(module)

            spec.loader.exec_module = exec_module
            return spec

        def patch(self, module):
            self.patched, self.original = module, module.report

            def report(name, value):
                self.run.log_metric(name, value)
                return self.original(name, value)

            module.report = report

        def run_ended(self):
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            if self.patched:
                self.patched.report, self.patched = self.original, None


    class Keeps(Framework):
        def run_ended(self):
            if self in sys.meta_path:
                sys.meta_path.remove(self)


    class OnlyBefore(Framework):
        def find_spec(self, name, path=None, target=None):
            return None
"""
SUITE = """
    import plugins

    from tracelet.testing import FrameworkConformance, ProcessorConformance


    class Test{base}({base}Conformance):
        plugin = plugins.{name}
        modules = ("mini",)
        program = "import mini\\nfor value in (0.5, 0.25):\\n    mini.report('loss', value)"
        records = {{"loss": 2}}
"""


def broken_promises(project, base, name):
    project.write({"plugins.py": PLUGINS, "mini.py": "def report(name, value): ...\n"})
    project.write({"test_suite.py": SUITE.format(base=base, name=name)})
    project.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tracelet.testing.report", "test_suite.py"),
        environ={"TRACELET_CONFORMANCE_REPORT": "report.json", "PYTHONPATH": str(project.path)},
        status=None,
        timeout=170,
    )
    results = json.loads((project.path / "report.json").read_text())["results"]
    kept = [one["promise"] for one in results if one["outcome"] == "kept"]
    return [one["promise"] for one in results if one["outcome"] == "broken"], kept


def test_a_good_processor(tracelet_project):
    broken, kept = broken_promises(tracelet_project, "Processor", "Processor")
    assert broken == []
    assert {"answers", "pure", "order", "counted", "backends", "errors"} <= set(kept)


@pytest.mark.parametrize(("name", "promise"), [("Shared", "pure"), ("Raises", "answers")])
def test_a_broken_processor(tracelet_project, name, promise):
    assert promise in broken_promises(tracelet_project, "Processor", name)[0]


def test_a_good_framework_plugin(tracelet_project):
    broken, kept = broken_promises(tracelet_project, "Framework", "Framework")
    assert broken == []
    assert {"imported_before", "imported_after", "twice", "restores", "untouched"} <= set(kept)


@pytest.mark.parametrize(("name", "promises"), [("Keeps", ["restores"]), ("OnlyBefore", ["imported_after"])])
def test_a_broken_framework_plugin(tracelet_project, name, promises):
    broken, _ = broken_promises(tracelet_project, "Framework", name)
    assert set(promises) <= set(broken)
    assert "imported_before" not in broken
