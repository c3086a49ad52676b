"""Processes killed in the middle of a delivery, and what the next one makes of it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tracelet.delivery import verify
from tracelet.journal import Follower, PointRecord, writers

# Two backends that append to a file: one is given batches, the other points one by one.
PLUGINS = """
    import json, os, time
    from tracelet.core.plugins import BackendPlugin, PluginMetadata

    class Batches(BackendPlugin):
        name = "batches"

        @classmethod
        def get_metadata(cls):
            return PluginMetadata(cls.name, "1", "backend")

        def initialize(self, config): ...

        def start(self):
            self.file = open(self.name + ".jsonl", "ab", buffering=0)
            self.file.write(b"\\n")  # ends a line that a kill has cut short

        def stop(self):
            self.file.close()

        def get_status(self):
            return {}

        def log_metric(self, name, value, iteration): ...
        def log_params(self, params): ...
        def log_artifact(self, local_path, artifact_path=None): ...

        def log_metrics(self, points):
            time.sleep(0.00005 * len(points))
            self.file.write(b"".join(json.dumps([p.id[1], p.value]).encode() + b"\\n" for p in points))

    class Single(Batches):
        name = "single"
        log_metrics = None

        def log_metric(self, name, value, iteration):
            self.file.write(json.dumps([iteration, value]).encode() + b"\\n")
"""

TRAIN = """
    import time
    import tracelet

    run = tracelet.start_run("killed", run_id="killed", resume=True)
    for step in range(100_000):
        run.log_metric("loss", step, step)
        if step == 20_000:
            print("well under way", flush=True)
            time.sleep(0.5)
"""

SYNC = """
    import pathlib
    from tracelet.config import load_config
    from tracelet.core.plugins import PluginManager
    from tracelet.delivery import sync

    manager = PluginManager(config=load_config())
    manager.discover_plugins()
    print("begins", flush=True)
    results = sync(pathlib.Path(".tracelet/runs/killed"), manager, ["batches", "single"])
    assert all(result.complete for result in results), results
"""


@pytest.fixture
def killed(project):
    """Return a project with a run that was killed while it delivered, some seconds from having delivered all."""
    project.write("tracelet_plugins.py", PLUGINS)
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write("train.py", TRAIN)
    project.write("sync.py", SYNC)
    kill_at(project, "train.py", random.uniform(0.05, 0.4))
    return project


def kill_at(project, program: str, delay: float) -> None:
    """Start a program, and kill it so long after its first line."""
    process = subprocess.Popen(
        [sys.executable, program],
        cwd=project.path,
        env=project.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def whole_lines(file) -> list[list[float]]:
    return [json.loads(line) for line in file.read_bytes().splitlines() if line.endswith(b"]")]


def test_killed_again_and_again_and_every_point_arrives(killed):
    run_dir = killed.path / ".tracelet" / "runs" / "killed"
    for _ in range(3):
        kill_at(killed, "sync.py", random.uniform(0.0, 0.5))
    killed.python("sync.py")
    (writer,) = writers(run_dir)
    records = Follower(run_dir, writer).read(10**7)
    recorded = [record.value for record in records if isinstance(record, PointRecord)]
    assert len(recorded) > 20_000
    for name in ("batches", "single"):
        times = Counter(value for _, value in whole_lines(killed.path / f"{name}.jsonl"))
        assert set(times) == set(recorded), "each at least once, and none made up"
        repeated = sum(count - 1 for count in times.values())
        assert repeated < len(recorded), "only what was not yet booked at a kill comes again"
    by_id = dict(whole_lines(killed.path / "batches.jsonl"))
    assert len(by_id) == len(recorded), "the ids tell repeats apart"
    found = verify(run_dir)
    assert found.agrees
    assert [(row.backend, row.pending) for row in found.backends] == [("batches", 0), ("single", 0)]
