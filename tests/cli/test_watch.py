"""``tracelet watch``: one frame without a terminal, and a live view on one."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracelet.cli.views.watching import Watched, draw_frame

TRAIN = """
    import sys, time
    import tracelet

    with tracelet.start_run("live", params={"trainer/max_steps": 400}) as run:
        for step in range(101):
            run.log({"train/loss": 1 / (step + 1), "val/acc": step / 400}, step=step)
        print("ready", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def live(project):
    """Return a project with a run that goes on until it is told to end."""
    project.write("train.py", TRAIN)
    environ = {**project.environ, "TRACELET_PLUGINS": "no:gpu"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, "train.py"], cwd=project.path, env=environ, text=True, **pipes
    )
    assert process.stdout.readline() == "ready\n"
    project.process = process
    yield project
    process.kill()
    process.communicate()


def end(process):
    process.stdin.write("\n")
    process.stdin.flush()
    process.wait(30)


def test_without_a_terminal_one_frame_is_printed(live):
    frame = live.tracelet("watch").stdout
    lines = frame.splitlines()
    assert re.fullmatch(r"live · [\w-]+ · running", lines[0])
    assert re.match(r"step 100 of 400 · took .* · ETA ", lines[1])
    assert lines[2].endswith(" 25%")
    for words in ("train/loss  0.0099", "val/acc", "steps/s", "machine", "memory/percent"):
        assert words in frame
    assert re.search("[⠁-⣿]", frame)
    end(live.process)
    ended = live.tracelet("watch", "live", "val/*", "--total", "200").stdout
    assert "finished" in ended
    assert " 50%" in ended
    assert "ETA" not in ended
    assert re.search(r"^.*system +[\d\s]+ \d+.* m?s", ended, re.M)  # what the plugin cost
    assert "train/loss  0" not in ended  # its curve was not asked for


@pytest.mark.parametrize("size", [(80, 24), (50, 20), (120, 40), (40, 8)])
def test_a_frame_fits_the_terminal(live, size):
    from rich.console import Console

    import tracelet

    record = tracelet.open_store(live.path).run("live")
    for ascii_only in (False, True):
        console = Console(width=size[0], height=size[1], file=open(os.devnull, "w"))  # noqa: SIM115
        frame = draw_frame(Watched(record), *size, ascii_only=ascii_only)
        lines = console.render_lines(frame, console.options)
        assert len(lines) <= size[1]
        text = ["".join(segment.text for segment in line) for line in lines]
        assert max(map(len, text)) <= size[0]
        assert not ascii_only or "".join(text).replace("…", "").isascii()


def test_on_a_terminal_it_follows_the_run_to_its_end(live):
    primary, secondary = pty.openpty()
    command = [Path(sys.executable).with_name("tracelet"), "watch", "--interval", "0.1"]
    environ = {**live.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        command, cwd=live.path, env=environ, stdout=secondary, stdin=subprocess.DEVNULL
    )
    os.close(secondary)
    shown = read_until(primary, "running")
    end(live.process)
    shown += read_until(primary, "tracelet show")
    assert process.wait(30) == 0
    assert "live" in shown
    assert "\x1b[?1049h" in shown  # the screen of its own ...
    assert "\x1b[?1049l" in shown  # ... that it leaves
    assert "finished" in shown.partition("\x1b[?1049l")[2]
    os.close(primary)


def test_ctrl_c_ends_it_and_not_the_run(live):
    primary, secondary = pty.openpty()
    command = [Path(sys.executable).with_name("tracelet"), "watch", "--interval", "0.1"]
    environ = {**live.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        command, cwd=live.path, env=environ, stdout=secondary, stdin=subprocess.DEVNULL
    )
    os.close(secondary)
    read_until(primary, "running")
    process.send_signal(signal.SIGINT)
    assert "\x1b[?1049l" in read_until(primary, "tracelet show")
    assert process.wait(30) == 0
    assert live.process.poll() is None
    os.close(primary)


def read_until(descriptor, word, timeout=60):
    """Return what a terminal shows, up to a word."""
    shown, limit = "", time.monotonic() + timeout
    while word not in shown and time.monotonic() < limit:
        if select.select([descriptor], [], [], 0.5)[0]:
            try:
                shown += os.read(descriptor, 65536).decode(errors="replace")
            except OSError:  # the other side is closed
                break
    assert word in shown
    return shown


@pytest.mark.parametrize(
    ("params", "metrics", "total", "position"),
    [
        ({"max_steps": 50}, {"loss": 10}, 50, 9),
        ({"args": {"num_train_epochs": 3}}, {"loss": 10}, None, 9),
        ({"num_train_epochs": 3}, {"loss": 10, "train/epoch": 10}, 3, 0.5),
        ({"epochs": "3", "total_iterations": True}, {"loss": 10}, None, 9),
        ({"n_steps": float("nan")}, {"loss": 10}, None, 9),
        ({"steps_per_epoch": 10}, {"loss": 10}, None, 9),
        ({"model/training_steps": 40}, {"loss": 10}, 40, 9),
    ],
)
def test_the_total_comes_from_a_parameter(tmp_path, params, metrics, total, position):
    import tracelet

    with tracelet.start_run(
        "r", dir=tmp_path / "d", plugins=["no:system", "no:environment", "no:gpu"], params=params
    ) as run:
        for step in range(10):
            run.log(dict.fromkeys(metrics, 0.5), step=step)
    watched = Watched(tracelet.open_store(tmp_path / "d").run())
    assert (watched.total, watched.position) == (total, position)
    assert watched.left is None


def test_costs_of_plugins_are_known_before_the_end_and_after_a_kill(project):
    project.write(
        "train.py",
        """
        import time
        import tracelet
        from tracelet.run import budget

        budget.RECORD_EVERY = (0.1, 0.1)
        run = tracelet.start_run("costly")
        while True:
            run.log_metric("loss", 1.0)
            time.sleep(0.01)
        """,
    )
    process = subprocess.Popen([sys.executable, "train.py"], cwd=project.path, env=project.environ)
    try:
        deadline = time.monotonic() + 30
        while not list(project.path.glob(".tracelet/runs/*/journal/*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while "system" not in (shown := project.tracelet("watch", "costly").stdout).partition("plugins")[2]:
            assert time.monotonic() < deadline, shown
            time.sleep(0.3)
    finally:
        process.kill()
        process.wait(10)
    import tracelet

    killed = tracelet.open_store(project.path).run("costly")
    assert killed.plugins["system"]["calls"] >= 1
    assert killed.overhead["share"] > 0
