"""Under ``tracelet run``, backends get the run when the program has named it, and nothing is lost by that."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

BACKEND = """
import json, time
from tracelet.core.plugins import BackendPlugin, PluginMetadata


class Noting(BackendPlugin):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata(name="noting", version="1", type="backend")

    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self):
        return {}

    def run_started(self, run):
        self.note("run_started", run.project, run.name, run.group)

    def run_ended(self, run, outcome):
        self.note("run_ended", run.project, outcome)

    def log_metrics(self, points, run):
        for point in points:
            self.note(point.name, run.project, point.value)

    def log_params(self, params, run):
        self.note("params", run.project, sorted(params))

    def log_artifact(self, local_path, artifact_path=None, run=None):
        self.note("artifact", run.project, artifact_path)

    def log_metric(self, name, value, iteration): ...

    def note(self, *what):
        with open("received.jsonl", "a") as file:
            file.write(json.dumps(what) + "\\n")
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tracelet.toml").write_text('project = "folder"\n')
    (tmp_path / "tracelet_plugins.py").write_text(BACKEND)
    return tmp_path


def run(root, program, *options):
    (root / "train.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "tracelet", "run", "--quiet", *options, "train.py"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def received(root):
    return [json.loads(line) for line in (root / "received.jsonl").read_text().splitlines()]


def test_a_backend_gets_the_run_with_the_name_that_the_program_gives_it_late(root):
    """The collectors that are on by default have recorded long before."""
    run(
        root,
        "import time, tracelet\n"
        "time.sleep(2.5)\n"
        "open('named', 'w').write(open('received.jsonl', 'a+').read())\n"
        "with tracelet.start_run('late', project='vision', group='sweep') as run:\n"
        "    run.log({'loss': 0.5}, step=0)\n",
    )
    assert (root / "named").read_text() == ""
    notes = received(root)
    assert notes[0] == ["run_started", "vision", "late", "sweep"]
    assert {note[1] for note in notes} == {"vision"}
    assert ["loss", "vision", 0.5] in notes
    assert [note for note in notes if note[0] == "run_started"] == notes[:1]
    assert notes[-1] == ["run_ended", "vision", "finished"] or ["run_ended", "vision", "finished"] in notes


def test_a_program_that_names_no_run_is_delivered_at_its_end(root):
    started = time.monotonic()
    run(root, "import tracelet\ntracelet.log({'loss': 0.25}, step=0)\n")
    notes = received(root)
    assert notes[0][:2] == ["run_started", "folder"]
    assert ["loss", "folder", 0.25] in notes
    assert time.monotonic() - started < 15  # the limit for a name is 20 s


def test_a_flush_delivers_before_the_program_names_its_run(root):
    program = (
        "import tracelet\ntracelet.log({'loss': 0.25}, step=0)\nassert tracelet.flush()\n"
        "open('flushed', 'w').write(open('received.jsonl').read())\n"
    )
    run(root, program)
    assert '"loss"' in (root / "flushed").read_text()


def test_a_backend_of_the_program_is_active_when_start_run_returns(root):
    program = (
        "import tracelet\nimport tracelet_plugins\n"
        "run = tracelet.start_run('late', project='vision', plugins=['noting'])\n"
        "assert run.flush()\nprint(sorted(run.status()['delivery']))\nrun.finish()\n"
    )
    assert "noting" in run(root, program)
    assert received(root)[0] == ["run_started", "vision", "late", None]


def test_a_backend_that_the_program_switches_off_never_gets_the_run(root):
    run(root, "import tracelet\nwith tracelet.start_run('late', plugins=['no:noting']):\n    pass\n")
    assert not (root / "received.jsonl").exists()


def test_without_tracelet_run_nothing_waits(root):
    (root / "train.py").write_text(
        "import time, tracelet\nrun = tracelet.start_run('plain', project='vision')\n"
        "end = time.monotonic() + 10\n"
        "while not run.status()['delivery'] and time.monotonic() < end:\n    time.sleep(0.05)\n"
        "print(open('received.jsonl').readline())\nrun.finish()\n"
    )
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == ["run_started", "vision", "plain", None]


def test_a_program_that_takes_too_long_is_delivered_under_the_folders_project(root):
    program = (
        "from tracelet.run import naming\nimport time\n"
        "end = time.monotonic() + 45\n"
        "while time.monotonic() < end:\n"
        "    time.sleep(0.2)\n"
        "    try:\n        text = open('received.jsonl').read()\n    except OSError:\n        continue\n"
        "    print('after', time.monotonic() - end + 45)\n    break\n"
    )
    seconds = float(run(root, program).split()[-1])
    assert 10 < seconds < 40
    assert received(root)[0][:2] == ["run_started", "folder"]


def test_what_waits_for_a_name_when_the_program_is_killed_is_delivered_by_sync(root):
    """The backends in use are stored before they are given anything."""
    (root / "train.py").write_text(
        "import os, pathlib, signal, time, tracelet\n"
        "tracelet.log({'loss': 0.125}, step=0)\n"
        "end = time.monotonic() + 10\n"
        "while not list(pathlib.Path().glob('.tracelet/runs/*/delivery/noting.json')):\n"
        "    assert time.monotonic() < end\n"
        "    time.sleep(0.05)\n"
        "assert not os.path.exists('received.jsonl')\n"
        "open('killed', 'w').close()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-m", "tracelet"]
    subprocess.run([*command, "run", "--quiet", "train.py"], cwd=root, capture_output=True, timeout=120)
    done = subprocess.run([*command, "sync"], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "killed").exists()
    assert ["loss", "folder", 0.125] in received(root)
