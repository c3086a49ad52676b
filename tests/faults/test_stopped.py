"""Programs that are stopped for a while (SIGSTOP), and go on or do not: nothing is lost, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tracelet
from tracelet.delivery import verify

PLUGINS = """
    import os
    from tracelet.core.plugins import BackendPlugin, PluginMetadata

    class Backend(BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("backend", "1", "backend")

        def initialize(self, config): ...
        def stop(self): ...
        def get_status(self): return {}
        def log_metric(self, name, value, iteration): ...
        def log_params(self, params): ...
        def log_artifact(self, local_path, artifact_path=None): ...

        def start(self):
            self.file = open("received", "ab", buffering=0)

        def log_metrics(self, points):
            self.file.write(b"".join(b"%d\\n" % point.iteration for point in points))
"""

TRAIN = """
    import sys, time
    import tracelet

    run = tracelet.start_run("stopped", run_id="stopped", config={"finish_timeout": 3})
    for step in range(int(sys.argv[1])):
        run.log_metric("loss", step, step)
        if step == 1000:
            run.flush()
            print(run.status()["delivery"]["backend"].get("process"), flush=True)
        time.sleep(0.0005)
    run.finish()
    print("finished", flush=True)
"""


@pytest.fixture
def train(project):
    """Return a function that starts the program, and yields it once it delivers, with its backend's process."""
    project.write("tracelet_plugins.py", PLUGINS)
    project.write("train.py", TRAIN)

    @contextlib.contextmanager
    def start(steps: int, isolation: str):
        project.write(
            "tracelet.toml",
            'plugins = ["no:system", "no:environment", "no:gpu"]\n'
            f'[plugins.backend]\nisolation = "{isolation}"\n[deadlines]\nstop = 2\n',
        )
        words = [sys.executable, "train.py", str(steps)]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words, cwd=project.path, env=project.environ, stdout=pipe, stderr=pipe, text=True
        ) as program:
            try:
                yield program, json.loads(program.stdout.readline().replace("None", "null"))
            finally:
                program.kill()

    return start


def run_dir(project) -> Path:
    return project.path / ".tracelet" / "runs" / "stopped"


def received(project) -> list[int]:
    return [int(line) for line in (project.path / "received").read_text().split()]


def state_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + 10
    while state_of(pid) != "T":
        assert time.monotonic() < end
        time.sleep(0.01)


def assert_complete(project, steps: int) -> None:
    assert received(project) == list(range(steps))
    found = verify(run_dir(project))
    assert found.agrees
    assert [(row.delivered, row.pending) for row in found.backends] == [(steps, 0)]


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_program_that_was_stopped_goes_on_and_nobody_takes_its_place(project, train, isolation):
    with train(3000, isolation) as (program, _):
        stop(program.pid)
        project.tracelet("sync", "stopped", "backend", status=None)  # it has the lease, and it lives
        before = received(project)
        program.send_signal(signal.SIGCONT)
        assert program.communicate(timeout=60)[0] == "finished\n"
    assert len(before) < 3000
    assert_complete(project, 3000)


def test_a_backend_that_was_stopped_holds_up_nothing_and_catches_up(project, train):
    with train(3000, "process") as (program, pid):
        stop(pid)
        before = len(received(project))
        end = time.monotonic() + 30
        while len(tracelet.open_store(project.path).run("stopped").metric("loss").values) < before + 500:
            assert time.monotonic() < end, "the training stands still"
            time.sleep(0.05)
        assert len(received(project)) == before
        os.kill(pid, signal.SIGCONT)
        assert program.communicate(timeout=60)[0] == "finished\n"
    assert_complete(project, 3000)


def test_a_backend_that_stays_stopped_is_left_and_what_is_due_is_named(project, train):
    with train(2000, "process") as (program, pid):
        stop(pid)
        out, err = program.communicate(timeout=30)
    assert out == "finished\n"
    assert "pending for backend" in err
    end = time.monotonic() + 10
    while state_of(pid) not in ("", "X", "Z"):
        assert time.monotonic() < end, "it is left behind"
        time.sleep(0.05)
    project.tracelet("sync", "stopped")
    assert_complete(project, 2000)
