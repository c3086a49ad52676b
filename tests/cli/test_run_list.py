"""``tracelet runs`` on a narrow screen: long names, trees, damaged runs, and folders without a journal."""

from __future__ import annotations

import json

import pytest

import tracelet
from tracelet.cli.views.damage import describe_damage
from tracelet.cli.views.screen import shorten_text

QUIET = ["no:system", "no:environment", "no:gpu", "no:console", "no:code"]
LONG = "a run with a name that is much longer than the others, and says how it ends: badly"


@pytest.fixture(scope="module")
def listed(make_project):
    """Return a project with a parent of 30 runs, a long name, a damaged run and an empty folder; none is changed."""
    project = make_project("listed")
    project.write("tracelet.toml", 'project = "tests"\n')
    settings = {"dir": project.path / ".tracelet", "plugins": QUIET, "project": "tests"}
    with tracelet.start_run("the-sweep", run_id="sweep-1", **settings) as parent:
        pass
    for number in range(30):
        with tracelet.start_run(f"child-{number}", run_id=f"child-{number}", parent=parent, **settings):
            pass
    with tracelet.start_run(LONG, run_id="long-1", **settings):
        pass
    with tracelet.start_run("hurt", run_id="hurt-1", **settings) as run:
        for step in range(300):
            run.log_metric("loss", float(step), step)
    [segment] = (project.path / ".tracelet" / "runs" / "hurt-1" / "journal").glob("*.trj")
    data = bytearray(segment.read_bytes())
    data[6016:9024] = b"\xff" * 3008
    segment.write_bytes(data)
    (project.path / ".tracelet" / "runs" / "empty-1").mkdir()
    return project


def shown(project, *words, columns="80"):
    result = project.tracelet(*words, environ={"COLUMNS": columns}).stdout
    assert max(map(len, result.splitlines())) <= int(columns)
    return result


def test_a_long_name_leaves_room_for_the_times(listed):
    lines = shown(listed, "runs").splitlines()
    assert lines[0].split()[-3:] == ["outcome", "started", "took"]
    [row] = [line for line in lines if line.startswith("long-1 ")]
    assert "a run" in row
    assert "badly" in row
    assert "…" in row
    whole = listed.tracelet("runs", environ={"COLUMNS": ""}).stdout
    assert LONG in whole  # a pipe gets everything


def test_a_tree_has_the_parents_of_its_runs(listed):
    lines = shown(listed, "runs", "--tree").splitlines()
    assert sum(line.startswith(("├─ child", "└─ child")) for line in lines) == 17
    assert sum(line.startswith("the-sweep ") for line in lines) == 1
    assert lines[-1] == "and 13 more: -n 0 shows all"
    found = json.loads(listed.tracelet("runs", "--tree", "-n", "5", "--json").stdout)["runs"]
    assert {run["id"] for run in found} >= {"sweep-1", "hurt-1", "child-29"}
    assert "sweep-1" not in listed.tracelet("runs", "-n", "5").stdout


def test_damage_is_said_in_plain_words(listed):
    damage = tracelet.open_store(listed.path / ".tracelet").run("hurt").damage
    count = damage["damaged"]
    assert list(damage) == ["damaged"]
    sentence = f"{count} records have a wrong checksum"
    listing = shown(listed, "runs", columns="120")
    assert f"warning: hurt: {sentence}; details: tracelet verify hurt-1" in listing
    assert listing.count("warning:") == 1
    told = shown(listed, "show", "hurt", columns="150")
    assert f"{sentence}. What is shown is what could be read; details: tracelet verify hurt-1" in told
    assert sentence in listed.tracelet("verify", "hurt-1").stdout


def test_every_kind_of_damage_has_its_words():
    from tracelet.cli.views.damage import _KINDS

    for kind in _KINDS:
        one, several = describe_damage({kind: 1}) + describe_damage({kind: 2000})
        assert (one.split()[0], several[:5]) == ("1", "2 000")
        assert one.split(" ", 1)[1] != several.split(" ", 2)[2]
    assert describe_damage({"else": 2}) == ["2 records are damaged (else)"]


def test_a_folder_without_a_journal_is_empty_not_running(listed):
    row = next(line for line in shown(listed, "runs").splitlines() if line.startswith("empty-1 "))
    assert row.split()[2] == "empty"
    assert "running" not in shown(listed, "runs")
    for words in (("pack", "empty-1", "-o", "a.html"), ("edit", "empty-1", "--name", "x")):
        assert "has no journal yet" in listed.tracelet(*words, status=2).stderr
    assert "about to begin" in listed.tracelet("delete", "empty-1", "--yes", status=2).stderr


@pytest.mark.parametrize(
    ("text", "longest", "result"),
    [("short", 5, "short"), ("abcdefghij", 8, "abcde…ij"), ("日本語日本語", 7, "日本…語"), ("abc", 1, "a…c")],
)
def test_the_middle_is_left_out(text, longest, result):
    assert shorten_text(text, longest, "…").plain == result
