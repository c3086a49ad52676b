"""What a plugin can know about where it runs, and about a run that is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tracelet_builtin_plugins.own_process import in_own_process

PLUGIN = """
import json, os
from tracelet.core.plugins import BackendPlugin, PluginMetadata
from tracelet_builtin_plugins.own_process import in_own_process

class Where(BackendPlugin):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata("where", "1", "backend")

    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self):
        return {}

    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...
    def log_metric(self, name, value, iteration): ...

    def run_ended(self, run, outcome):
        with open("where.part", "w") as file:
            json.dump([in_own_process(), getattr(run, "ended_at", None)], file)
        os.replace("where.part", "where.json")
"""

PROGRAM = """
import os, signal, tracelet
with tracelet.start_run("x", run_id="r1") as run:
    run.log_metric("loss", 1.0, 1)
    if os.path.exists("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def ran(folder: Path, isolation: str) -> Any:
    (folder / "where.py").write_text(PLUGIN)
    table = f'[plugins.where]\nisolation = "{isolation}"\n'
    (folder / "tracelet.toml").write_text(f'plugins = ["where"]\n{table}')
    (folder / "train.py").write_text(PROGRAM)
    env = {**os.environ, "TRACELET_MODE": "online"}
    done = subprocess.run([sys.executable, "train.py"], cwd=folder, env=env, capture_output=True, text=True)
    if (folder / "kill").exists():
        words = [sys.executable, "-m", "tracelet", "sync", "r1"]
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "where.json").read_text())


@pytest.mark.parametrize(("isolation", "own"), [("process", True), ("thread", False)])
def test_a_plugin_knows_whether_a_process_is_its_own(tmp_path: Path, isolation: str, own: bool) -> None:
    assert ran(tmp_path, isolation) == [own, None]


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_of_a_run_that_is_over_it_knows_the_end(tmp_path: Path, isolation: str) -> None:
    import tracelet

    (tmp_path / "kill").touch()
    _, ended_at = ran(tmp_path, isolation)
    point = tracelet.open_store(tmp_path / ".tracelet").run("r1").metric("loss").timestamps[0]
    assert ended_at == pytest.approx(point, abs=30)


def test_a_program_started_there_does_not_take_itself_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELET_PLUGIN_PROCESS", str(os.getpid()))
    assert in_own_process()
    monkeypatch.setenv("TRACELET_PLUGIN_PROCESS", str(os.getppid()))
    assert not in_own_process()
