"""The files of a new plugin package, by type of plugin: a class that works, and tests that pass as they are."""

from __future__ import annotations

from typing import Final

_METADATA: Final = """
    @classmethod
    def get_metadata(cls):
        return PluginMetadata(
            name="{name}",
            version="0.1.0",
            type="{type}",
            description="{description}",
            requires_tracelet=">={version}",
            config_schema={{{schema}}},
        )
"""
BACKEND: Final = '''"""The backend {name!r}."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from pathlib import Path

from tracelet.core.plugins import BackendPlugin, PluginMetadata

# This destination is an SQLite file, so that the package works as it is: put your own in its place. A record that is
# delivered again has the same id, so with the id in the key it is stored once.
TABLE = """
    create table if not exists records (
        run text, id text, kind text, name text, value text, step integer, time real,
        primary key (run, id, kind, name)
    )
"""
INSERT = "insert or ignore into records values (?, ?, ?, ?, ?, ?, ?)"
# What SQLite says when the file cannot be used now, but may be later.
OUTAGES = ("unable to open", "locked", "disk")


class {cls}(BackendPlugin):
    """Keeps runs in an SQLite file. All methods are called on one thread, one at a time."""
{metadata}
    def initialize(self, config):
        """Receive the configuration, validated against the schema, with defaults filled in."""
        self.received = 0

    def start(self):
        """Open the destination. An OSError says that it is down: tracelet tries again."""
        with outages():
            self.base = sqlite3.connect(self.config["path"])
            self.base.execute(TABLE)

    def stop(self):
        """Close it."""
        self.base.close()

    def get_status(self):
        """Return what 'tracelet plugins' and a run's status should show."""
        return {{"received": self.received}}

    def log_metrics(self, points, run):
        """Receive a batch. To return is to accept it; after an exception it comes again."""
        rows = []
        for p in points:
            rows.append(("metric", p.id, p.name, p.value, p.iteration, p.timestamp))
        self.store(run, rows)

    def log_metric(self, name, value, iteration):
        """Receive one point. Never called, because there is log_metrics."""

    def log_params(self, params, run, id):
        """Receive parameters of the run."""
        self.store(run, [("param", id, *item, None, None) for item in params.items()])

    def set_tags(self, tags, run, id):
        """Receive tags of the run."""
        self.store(run, [("tag", id, *item, None, None) for item in tags.items()])

    def log_artifact(self, local_path, artifact_path, run, id):
        """Receive a file or folder."""
        top = Path(local_path)
        place = Path(artifact_path or "", top.name)
        files = [path for path in [top, *top.rglob("*")] if path.is_file()]
        rows = []
        for path in files:
            name = (place / path.relative_to(top)).as_posix()
            rows.append(("artifact", id, name, path.stat().st_size, None, None))
        self.store(run, rows)

    def store(self, run, rows):
        """Store rows, all or none."""
        made = [
            (run.id, json.dumps(id), kind, name, json.dumps(value), step, time)
            for kind, id, name, value, step, time in rows
        ]
        with outages(), self.base:
            self.base.executemany(INSERT, made)
        self.received += len(made)


@contextmanager
def outages():
    """Raise an OSError, as tracelet expects of an outage, if the folder is missing or the file is locked."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(words in str(error) for words in OUTAGES):
            raise OSError(f"SQLite: {{error}}") from error
        raise
'''
COLLECTOR: Final = '''"""The collector {name!r}."""

from __future__ import annotations

import time

from tracelet.core.plugins import CollectorPlugin, PluginMetadata


class {cls}(CollectorPlugin):
    """Measures at an interval. All methods are called on one thread, one at a time."""

    _collection_interval = 10  # seconds, unless the user sets another interval
{metadata}
    def initialize(self, config):
        """Receive the configuration, validated against the schema, with defaults filled in."""
        self.received = 0

    def start(self):
        """Open what is measured. Raise an exception if it is not there."""
        self.began = time.monotonic()

    def stop(self):
        """Close it."""

    def get_status(self):
        """Return what 'tracelet plugins' and a run's status should show."""
        return {{"measurements": self.received}}

    def collect(self):
        """Return measurements. Called at the start, at the interval and at the end."""
        self.received += 1
        return {{"{name}": {{"running_seconds": time.monotonic() - self.began}}}}
'''
PROCESSOR: Final = '''"""The processor {name!r}."""

from __future__ import annotations

from tracelet.core.plugins import PluginMetadata, ProcessorPlugin


class {cls}(ProcessorPlugin):
    """Changes metrics on their way to backends. Each backend has an object of its own."""
{metadata}
    def initialize(self, config):
        """Receive the configuration, validated against the schema, with defaults filled in."""
        self.dropped = 0

    def start(self):
        """Nothing to open."""

    def stop(self):
        """Nothing to close."""

    def get_status(self):
        """Return what 'tracelet plugins' and a run's status should show."""
        return {{"dropped": self.dropped}}

    def process_metric(self, metric):
        """Return a metric, several, or None to drop it."""
        if metric.name.startswith(self.config["drop"]):
            self.dropped += 1
            return None
        return metric
'''
FRAMEWORK: Final = '''"""The framework plugin {name!r}."""

from __future__ import annotations

import logging

from tracelet.core.plugins import FrameworkPlugin, PluginMetadata


class {cls}(FrameworkPlugin, logging.Handler):
    """Records what a program logs as ``loss=0.25``: put your framework in logging's place."""
{metadata}
    def initialize(self, config):
        """Receive the configuration, validated against the schema, with defaults filled in."""
        logging.Handler.__init__(self)
        self.logger = logging.getLogger(config["logger"])

    def start(self):
        """Nothing to open."""

    def stop(self):
        """Nothing to close."""

    def get_status(self):
        """Return what 'tracelet plugins' and a run's status should show."""
        return {{"logger": self.logger.name}}

    def run_started(self, run):
        """Start to capture what the framework reports."""
        self.run = run
        self.logger.addHandler(self)

    def run_ended(self):
        """Stop, and undo whatever was changed."""
        self.logger.removeHandler(self)

    def emit(self, record):
        """Record one line of the log."""
        name, is_metric, value = record.getMessage().partition("=")
        if is_metric:
            self.run.log_metric(name, float(value))
'''
#: By type: the module, what the schema holds, a description, and the imports, settings and suite of its tests.
MODULES: Final = {
    "backend": BACKEND,
    "collector": COLLECTOR,
    "processor": PROCESSOR,
    "framework": FRAMEWORK,
}
SCHEMAS: Final = {
    "backend": '"path": {"type": "string", "default": "runs.db"}',
    "collector": "",
    "processor": '"drop": {"type": "string", "default": "debug/"}',
    "framework": '"logger": {"type": "string", "default": "training"}',
}
DESCRIPTIONS: Final = {
    "backend": "Keeps runs in an SQLite file",
    "collector": "Measures how long it has been running",
    "processor": "Drops metrics by the beginning of their names",
    "framework": "Records what a program logs",
}
METADATA: Final = _METADATA

BACKEND_SUITE: Final = '''class Test{cls}(BackendConformance):
    """Every promise of a backend, read back from its file."""

    plugin = {cls}

    def config(self, tmp_path):
        return {{"path": str(tmp_path / "runs.db")}}

    def read_back(self, run, tmp_path):
        """Read what the destination has of a run, with the destination's own reader."""
        base = sqlite3.connect(tmp_path / "runs.db")
        found = {{"metric": {{}}, "param": {{}}, "tag": {{}}, "artifact": {{}}}}
        query = "select kind, name, value, step, time from records where run = ?"
        rows = base.execute(f"{{query}} order by rowid", [run.id])
        for kind, name, text, step, time in rows:
            value = json.loads(text)
            if kind == "metric":
                found[kind].setdefault(name, []).append((step, value, time))
            else:
                found[kind][name] = value
        base.close()
        return FarSide(*found.values())
'''
COLLECTOR_SUITE: Final = '''class Test{cls}(CollectorConformance):
    """Every promise of a collector."""

    plugin = {cls}
    units = {{"{name}/running_seconds": "seconds"}}
'''
PROCESSOR_SUITE: Final = '''class Test{cls}(ProcessorConformance):
    """Every promise of a processor."""

    plugin = {cls}
    config = {{"drop": "debug/"}}
'''
FRAMEWORK_SUITE: Final = '''class Test{cls}(FrameworkConformance):
    """Every promise of a framework plugin, with a program that knows nothing of tracelet."""

    plugin = {cls}
    program = """
import logging

for loss in (0.5, 0.25):
    logging.getLogger("training").warning(f"loss={{loss}}")
"""
    records = {{"loss": 2}}
'''
SUITES: Final = {
    "backend": BACKEND_SUITE,
    "collector": COLLECTOR_SUITE,
    "processor": PROCESSOR_SUITE,
    "framework": FRAMEWORK_SUITE,
}
CONFORMANCE: Final = '''"""The suites of tests of this package's plugins."""

from __future__ import annotations

{imports}


{suites}'''
TEST: Final = '''"""pytest runs the suites here, and a run. Add tests of what is particular to yours."""

from __future__ import annotations

import tracelet

{imports}
from {module}.conformance import {suites}

__all__ = [{suite_names}]


def test_it_goes_through_a_run(tmp_path):
    """A small run with {listed}."""
{configuration}    plugins = [{classes}]
    with tracelet.start_run(dir=tmp_path, plugins=plugins{config}) as run:
        run.log({{"loss": 0.5}}, step=0)
    states = run.status()["plugins"]
    for name in [{names}]:
        assert states[name]["state"] == "stopped", states[name]
'''
PROJECT: Final = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tracelet-{package}"
version = "0.1.0"
description = "Plugins for tracelet: {listed}"
requires-python = ">=3.10"
# {dependency_note}
dependencies = [{dependencies}]

[project.optional-dependencies]
test = ["hypothesis", "pytest"]

[project.entry-points."tracelet.plugins"]
{entries}

[project.entry-points."tracelet.conformance"]
{suite_entries}

{direct_references}[tool.pytest.ini_options]
pythonpath = ["src"]
testpaths = ["tests"]

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""
README: Final = """# tracelet-{package}

Plugins for tracelet: {listed}.

{install_note}

```console
$ pip install -e '.[test]'
{checks}
$ tracelet run {options} train.py
$ python -m pytest
```
"""
