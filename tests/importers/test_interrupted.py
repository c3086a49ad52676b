"""Imports that were killed or interrupted: the next one completes them, and repeats nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import tracelet
from tracelet_builtin_plugins.backends.tensorboard import protobuf
from tracelet_builtin_plugins.backends.tensorboard.event_file import frame


def scalar(step: int) -> bytes:
    value = protobuf.summary_value("loss", protobuf.float_field(2, step / 4))
    return frame(protobuf.event(1.7e9 + step, step, value))


def event_file(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "events.out.tfevents.1700000000.h.1.0"
    path.write_bytes(frame(protobuf.file_version(1.7e9)) + b"".join(map(scalar, range(300))))
    return path


def test_a_journal_file_that_a_kill_has_cut(target, tmp_path):
    event_file(tmp_path / "run1")
    [result] = target.load(tmp_path / "run1")
    [journal] = (target.dir / "runs" / result.id / "journal").iterdir()
    whole = journal.read_bytes()
    for size in (0, 64, 100, 2000, 5000, len(whole) - 150):
        journal.write_bytes(whole[:size])
        target.load(tmp_path / "run1")
        steps = [step for step, _, _ in target.points("run1", "loss")]
        assert sorted(steps) == list(range(300)), size
        assert target.run("run1").outcome == "finished"
        assert target.load(tmp_path / "run1")[0].points == 0
        for other in journal.parent.iterdir():
            if other != journal:
                other.unlink()


def test_following_event_files_until_ctrl_c(project):
    project.write("tracelet.toml", "")
    path = event_file(project.path / "run1")
    words = [
        Path(sys.executable).with_name("tracelet"),
        "import",
        "run1",
        "--follow",
        "--from",
        "tensorboard",
    ]
    process = subprocess.Popen(words, cwd=project.path, env=project.environ, stdout=subprocess.PIPE)
    try:
        assert await_points(project, 300).outcome == "running"
        with path.open("ab") as file:
            file.write(scalar(300) + scalar(301)[:9])
        await_points(project, 301)
    finally:
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0
    assert "301 points imported" in out
    run = await_points(project, 301)
    assert run.outcome == "finished"
    assert len(os.listdir(run.dir / "journal")) == 1


def await_points(project, count):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (project.path / ".tracelet").exists():
            for run in tracelet.open_store(project.path / ".tracelet").runs():
                if run.metrics() and len(run.metric("loss")) == count:
                    return run
        time.sleep(0.2)
    raise AssertionError(f"never {count} points")
