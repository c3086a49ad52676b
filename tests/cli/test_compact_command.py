"""``tracelet compact``: smaller, and the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import tracelet

RECORD = """
import sys, tracelet
for name in ("one", "two"):
    with tracelet.start_run(name) as run:
        for step in range(5000):
            run.log({"loss": 1 / (step + 1)}, step=step)
"""


@pytest.fixture
def recorded(project):
    project.environ["TRACELET_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    project.write("train.py", RECORD)
    project.python("train.py")
    return project


def points(project, name):
    return list(tracelet.open_store(project.path).run(name).metric("loss"))


def test_one_run(recorded):
    before = points(recorded, "one"), points(recorded, "two")
    line = recorded.tracelet("compact", "one").stdout
    assert "one" in line
    assert " points, " in line
    assert " -> " in line
    assert (points(recorded, "one"), points(recorded, "two")) == before
    assert "already compact" in recorded.tracelet("compact", "one").stdout


def test_all_that_have_ended(recorded):
    recorded.tracelet("compact", "one")
    told = recorded.tracelet("compact").stdout.splitlines()
    assert [line.split()[0] for line in told] == ["two", "1"]
    assert told[-1].startswith("1 of 2 runs compacted, ")
    assert recorded.tracelet("compact").stdout == "0 of 2 runs compacted\n"


def test_as_json_each_once(recorded):
    [run] = json.loads(recorded.tracelet("compact", "two", "latest", "--json").stdout)["runs"]
    assert run["name"] == "two"
    assert run["before"] > 100_000 > run["after"] > 0
    assert run["points"] >= 5000
    assert (run["left"], run["error"]) == ({}, None)


def test_a_run_that_goes_on_is_left_alone(project):
    project.write(
        "train.py",
        """
        import subprocess, sys, tracelet
        with tracelet.start_run("live") as run:
            run.log({"loss": 1.0})
            sys.exit(subprocess.run([sys.argv[1], "compact"]).returncode)
        """,
    )
    told = project.python("train.py", Path(sys.executable).with_name("tracelet")).stdout
    assert "skipped: process" in told
    assert "0 of 1 run compacted" in told


def test_where_there_is_nothing(project):
    (project.path / ".tracelet/runs").mkdir(parents=True)
    assert project.tracelet("compact").stdout == "no runs yet\n"
    assert "found no runs" in project.tracelet("compact", "x", status=2).stderr
