"""``tracelet plugins check NAME --conformance``: which suite runs, what the report says, and mistakes in using it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

PLUGINS = """
    from pathlib import Path

    from tracelet.core.plugins import CollectorPlugin, PluginMetadata


    class Gauge(CollectorPlugin):
        @classmethod
        def get_metadata(cls):
            schema = {"path": {"type": "string", "required": True}}
            return PluginMetadata("gauge", "1", "collector", config_schema=schema)

        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {"path": Path(self.config["path"])}

        def collect(self):
            return {"gauge": 1.0}
"""
SUITE = """
    from gauge import Gauge

    from tracelet.testing import CollectorConformance


    class TestGauge(CollectorConformance):
        plugin = Gauge
        config = {"path": "x"}
        units = {"gauge": "meters"}
        limits = {"status": "a path says more than a text", "leaks": "it might"}
"""
LONG = 170  # seconds, on a machine that is busy
TABLE = '[plugins.gauge]\npath = "x"\n'


@pytest.fixture
def gauge(tracelet_project):
    tracelet_project.write({"gauge.py": PLUGINS, "test_gauge.py": SUITE, "tracelet.toml": TABLE})
    return tracelet_project


def test_a_file_of_the_project_with_the_configuration_of_the_project(gauge):
    done = gauge.tracelet(
        *("plugins", "check", "gauge.py", "--conformance", "--json", "--junit", "report.xml"),
        status=1,
        timeout=LONG,
    )
    report = json.loads(done.out.text)
    assert not report["ok"]
    [found] = report["conformance"]
    promises = {each["promise"]: each for each in found["promises"]}
    assert promises["status"]["thread"]["outcome"] == "broken"
    assert "not JSON serializable" in promises["status"]["thread"]["why"]
    assert promises["measures"]["thread"]["outcome"] == "kept"
    assert promises["units"]["thread"]["outcome"] == "not applicable"
    assert promises["status"]["process"]["outcome"] == "kept"  # a path arrives as a text
    assert found["counts"]["broken"] == 1
    cases = ET.parse(gauge.path / "report.xml").getroot().iter("testcase")
    assert {case.get("name") for case in cases} >= {"test_it_is_valid", "test_get_status_is_json[thread]"}


@pytest.mark.parametrize("suite", ["test_gauge.py", "test_gauge.py::TestGauge", "test_gauge:TestGauge"])
def test_a_suite_is_named_and_its_limits_are_listed(gauge, suite):
    done = gauge.tracelet(
        "plugins", "check", "gauge", "--conformance", "--suite", suite, "-p", "gauge", timeout=LONG
    )
    done.out.fnmatch_lines(
        """
        ok gauge 1 collector*
        *promise*thread*process*
        status *limit*kept*
        Limits that the plugin declares
          status
            a path says more than a text
        Declared as limits, but kept: remove them from limits
          leaks
            it might
        *kept, 1 limit, *not applicable
        """
    )
    assert max(map(len, done.out.lines)) <= 100


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--suite", "x.py"], "--suite and --junit belong to --conformance; add it"),
        (["--conformance", "--suite", "x.py"], "--suite: x.py: no such file"),
        (["--conformance", "--suite", "no.such:Suite"], "no.such:Suite: no module no"),
        (["--conformance", "--suite", "gauge.py"], "no test was run from gauge.py"),
    ],
)
def test_mistakes_in_naming_a_suite(gauge, words, told):
    done = gauge.tracelet("plugins", "check", "gauge", *words, status=2)
    assert told in done.err
    assert len(done.err.lines) == 1


def test_a_configuration_that_is_missing_is_named(gauge):
    gauge.write({"tracelet.toml": ""})
    done = gauge.tracelet("plugins", "check", "gauge", "--conformance", status=2)
    assert "plugins.gauge.path" in done.err
    assert "Write a table [plugins.gauge], or name a suite with --suite FILE" in done.err


def test_a_plugin_with_faults_is_not_run(gauge):
    gauge.write({"gauge.py": PLUGINS.replace('"1", "collector"', '"one", "collector"')})
    done = gauge.tracelet("plugins", "check", "gauge.py", "--conformance", status=1)
    assert "faulty" in done.out
    assert "promise" not in done.out
