"""Hung plugins, any number of them, hold up neither the start, nor the training, nor the end."""

from __future__ import annotations

import json
import time

import pytest

import tracelet

PLUGINS = """
import time
from tracelet.core.plugins import BackendPlugin, CollectorPlugin, PluginMetadata

class Base(BackendPlugin):
    def initialize(self, config): pass
    def start(self): pass
    def stop(self): pass
    def get_status(self): return {}
    def log_metric(self, name, value, iteration): pass
    def log_params(self, params): pass
    def log_artifact(self, local_path, artifact_path=None): pass

HANGING = {
    "initialize": lambda self, config: time.sleep(3600),
    "log_metric": lambda self, name, value, iteration: time.sleep(3600),
    "log_params": lambda self, params: time.sleep(3600),
    **dict.fromkeys(("start", "stop", "get_status"), lambda self: time.sleep(3600)),
}

def hanging(step, number):
    metadata = classmethod(lambda cls: PluginMetadata(f"hang_{step}_{number}", "1.0", type="backend"))
    own = {"get_metadata": metadata, step: HANGING[step], "__module__": __name__}
    return type(f"Hang_{step}_{number}", (Base,), own)

for step in STEPS:
    for number in range(3):
        globals()[f"Hang_{step}_{number}"] = hanging(step, number)

class Healthy(Base):
    @classmethod
    def get_metadata(cls): return PluginMetadata("healthy", "1.0", type="backend")
    def start(self): self.file = open("healthy.txt", "w")
    def log_metric(self, name, value, iteration):
        if name == "x": self.file.write(f"{iteration}\\n")
    def stop(self): self.file.close()
"""

TRAIN = """
import json, time, tracelet
began = time.monotonic()
run = tracelet.start_run("bounds")
started = time.monotonic()
for step in range(1000): run.log_metric("x", step, step)
logged = time.monotonic()
due = run.finish(timeout=8)
print(json.dumps({"start": started - began, "log": logged - started, "finish": time.monotonic() - logged,
                  "due": list(due), "outcome": run.outcome}), flush=True)
"""


@pytest.mark.parametrize(
    "steps", [["initialize"], ["start"], ["log_metric"], ["stop"], ["get_status", "log_params"]]
)
def test_hung_plugins_hold_up_nothing(project, steps):
    project.write(
        "tracelet.toml",
        "start_timeout = 1\n[deadlines]\ninitialize = 0.5\nstart = 0.5\nlog = 1\nstop = 1\nget_status = 0.5\n"
        "import = 10\n",
    )
    project.write("tracelet_plugins.py", PLUGINS.replace("STEPS", repr(steps)))
    project.write("train.py", TRAIN)
    began = time.monotonic()
    done = project.python("train.py")
    total = time.monotonic() - began
    took = json.loads(done.stdout)
    assert took["start"] < 4
    assert took["log"] < 2
    assert took["finish"] < 12
    assert total < 30
    assert took["outcome"] == "finished"
    # The healthy backend comes last in the file: it gets every point all the same.
    assert (project.path / "healthy.txt").read_text().split() == [str(step) for step in range(1000)]
    [record] = tracelet.open_store(project.path).runs()
    assert len(record.metric("x").values) == 1000


def test_exit_is_bounded_without_finish(project):
    project.write("tracelet.toml", "finish_timeout = 3\n[deadlines]\nlog = 60\nstop = 60\n")
    project.write("tracelet_plugins.py", PLUGINS.replace("STEPS", "['log_metric', 'stop']"))
    project.write("train.py", "import tracelet\nrun = tracelet.start_run('x')\nrun.log_metric('x', 1)\n")
    began = time.monotonic()
    done = project.python("train.py")
    assert time.monotonic() - began < 20
    assert "pending for" in done.stderr


def test_a_run_that_ends_before_its_plugins_have_started_says_so(project):
    project.write("tracelet.toml", "start_timeout = 0.1\n")
    project.write("tracelet_plugins.py", "import time\ntime.sleep(3600)\n")
    project.write(
        "train.py",
        """
        import tracelet
        run = tracelet.start_run()
        run.log_metric("x", 1)
        run.finish(timeout=1)
        """,
    )
    assert "ends while plugins are still being loaded or started" in project.python("train.py").stderr
    assert "ends while plugins" in project.tracelet("run", "train.py").stdout
