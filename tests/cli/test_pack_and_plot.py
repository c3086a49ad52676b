"""``tracelet pack`` and ``import``, ``tracelet plot`` in the terminal, and progress bars."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracelet.safe_files import walk_files
from tracelet.store import open_store

TRAIN = """
    import math
    import tracelet

    for rate in (0.1, 0.01):
        with tracelet.start_run(f"rate-{rate}", params={"lr": rate}, tags={"team": "vision"}) as run:
            for step in range(200):
                run.log({"train/loss": math.exp(-rate * step), "odd": float("nan") if step else 1.0}, step=step)
            run.log_artifact("train.py")
"""

ODD = """
    import tracelet

    with tracelet.start_run("odd") as run:
        for step, value in enumerate((-1.0, 0.0, 1.0, 2.0)):
            run.log({"half": value, "none": -1.0}, step=step)
"""


@pytest.fixture(scope="module")
def recorded(make_project):
    """Return a project with two runs, shared by the tests here: none of them changes it."""
    project = make_project("recorded")
    project.write("tracelet.toml", 'project = "tests"\n')
    project.write("train.py", TRAIN)
    project.environ["TRACELET_PLUGINS"] = "no:gpu,no:system"
    project.python("train.py")
    return project


def files_of(folder):
    return {
        path: (folder / path).read_bytes() for path in walk_files(folder) if not path.startswith("delivery/")
    }


def test_packed_runs_are_imported_bit_for_bit(recorded, tmp_path):
    file, target = tmp_path / "runs.html", tmp_path / "elsewhere"
    packed = json.loads(recorded.tracelet("pack", "rate-0.1", "rate-0.01", "-o", file, "--json").stdout)
    assert (packed["file"], packed["runs"], packed["left_out"]) == (str(file), 2, [])
    assert "rate-0.1, rate-0.01" in file.read_text()[:6000]
    recorded.tracelet("edit", "rate-0.1", "--name", "first")  # the packed file has it from before
    target.mkdir()
    shown = recorded.tracelet("--dir", target, "import", file, "--dry-run").stdout
    assert "2 new runs" in shown
    heads, _, row, *_ = [line.split() for line in shown.splitlines()]
    assert row[-heads[::-1].index("params") - 1] == "1"
    assert list(target.iterdir()) == []
    recorded.tracelet("--dir", target, "import", file)
    runs = json.loads(recorded.tracelet("--dir", target, "runs", "--json").stdout)["runs"]
    assert [run["name"] for run in runs] == ["rate-0.01", "rate-0.1"]
    for run in runs:
        original = files_of(recorded.path / ".tracelet" / "runs" / run["id"])
        restored = files_of(Path(run["dir"]))
        assert restored == {path: original[path] for path in restored}
        assert len(original) - len(restored) == (run["name"] == "rate-0.1")  # the edit
    again = recorded.tracelet("--dir", target, "import", file).stdout
    assert "nothing new" in again
    recorded.tracelet("edit", "first", "--name", "rate-0.1")


def test_a_damaged_file_adds_nothing(recorded, tmp_path):
    file = tmp_path / "runs.html"
    recorded.tracelet("pack", "rate-0.1", "-o", file)
    file.write_bytes(file.read_bytes()[:-200])
    result = recorded.tracelet("--dir", tmp_path / "new", "import", file, status=2)
    assert "expected a file made by 'tracelet pack'" in result.stderr
    assert not (tmp_path / "new" / "runs").exists()


def test_curves_in_the_terminal(recorded):
    shown = recorded.tracelet("plot", "rate-0.1", "train/loss").stdout.splitlines()
    assert shown[0] == "train/loss · last 2.278e-09"
    assert len(shown) == 15  # title, 12 rows, the axis and its labels
    assert shown[1].startswith("        1 ┤⢣") or re.match(r" +1 ┤[⠁-⣿]", shown[1])
    assert shown[-1].split() == ["0", "199"]
    assert max(map(len, shown)) <= 100
    both = recorded.tracelet("plot", "rate-0.1", "--with", "rate-0.01", "train/loss", "--log").stdout
    assert "━ rate-0.1  ━ rate-0.01" in both
    plain = recorded.tracelet("plot", "rate-0.1", environ={"PYTHONIOENCODING": "ascii"}).stdout
    assert plain.isascii()
    assert "199 of 200 points NaN or infinite" in plain


def test_wall_time_is_the_time_of_day_and_puts_runs_one_after_the_other(recorded):
    words = ("plot", "rate-0.1", "--with", "rate-0.01", "train/loss", "-x", "wall")
    shown = recorded.tracelet(*words).stdout.splitlines()
    store = open_store(recorded.path / ".tracelet")
    first = store.run("rate-0.1").metric("train/loss").timestamps[0]
    last = store.run("rate-0.01").metric("train/loss").timestamps[-1]
    ends = shown[14].split()
    assert ends[0] == time.strftime("%Y-%m-%d", time.localtime(first))
    assert ends[1][:8] == time.strftime("%H:%M:%S", time.localtime(first))
    assert ends[-1][:8] == time.strftime("%H:%M:%S", time.localtime(last))
    relative = recorded.tracelet(*words[:-1], "time").stdout.splitlines()
    assert relative[1:13] != shown[1:13]


def test_what_a_log_axis_cannot_show_is_said(recorded):
    recorded.write("odd.py", ODD)
    recorded.python("odd.py")
    shown = recorded.tracelet("plot", "odd", "half", "none", "-x", "step", "--log").stdout
    assert "half · last 2 · 2 of 4 points not shown: 0 or less on a log axis" in shown
    assert "no value above 0 to show on a log axis" in shown
    recorded.tracelet("delete", "odd", "--yes")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("plot", "rate-0.1", "los"), "no metric 'los'"),
        (("plot", "rate-0.1", "-o", "a.jpg"), "expected a file that ends with"),
        (("plot", "rate-0.1", "--smooth", "1"), "--smooth"),
        (("plot", "nobody"), "no run 'nobody'"),
        (("pack", "-o", "a.html"), "RUN..."),
        (("pack", "rate-0.1"), "-o"),
        (("pack", "rate-0.1", "-o", "a.zip"), "ends with .html"),
        (("pack", "rate-0.1", "-o", "no/a.html"), "cannot be written"),
        (("import", "train.py"), "found none of them"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line(recorded, words, text):
    result = recorded.tracelet(*words, status=2)
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_bar_appears_on_a_terminal_only_and_leaves_nothing(tmp_path):
    program = (
        "import time\n"
        "from tracelet.cli.views.progress import track\n"
        "for _ in track(range(15), 'working', 15): time.sleep(0.1)\n"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, timeout=30, check=True).stderr == b""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        command, stderr=secondary, env={**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    )
    process.wait(30)
    os.close(secondary)
    shown = os.read(primary, 100_000).decode()
    os.close(primary)
    assert "working" in shown
    assert "/15" in shown
    assert shown.endswith(("\x1b[2K", "\x1b[?25h")) or "\x1b[2K" in shown[-40:]
