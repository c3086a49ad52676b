"""``tracelet runs``, ``show``, ``compare``, ``export``, ``doctor``: what was recorded, read back."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re

import pytest

# On one worker, since all of them read what one fixture makes.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("reading")]

TRAIN = """
    import sys

    import tracelet

    name, rate = sys.argv[1], float(sys.argv[2])
    with tracelet.start_run(name, params={"lr": rate, "seed": 0}, tags={"team": "vision", "good": ""}) as run:
        for step in range(50):
            run.log({"train/loss": (1 - rate) ** step, "train/acc": step / 50, "odd": float("nan")}, step=2 * step)
        run.log_metric("sometimes", float("inf"))
"""


@pytest.fixture(scope="module")
def recorded(make_project):
    """Return a project with three runs, shared by the tests here: none of them writes to it."""
    project = make_project("recorded")
    project.write("tracelet.toml", 'project = "tests"\n')
    project.write("train.py", TRAIN)
    for name, rate in (("first", "0.1"), ("second", "0.2"), ("first", "0.05")):
        project.tracelet("run", "-q", "-p", "no:gpu", "train.py", name, rate)
    return project


def runs(project, *words):
    return json.loads(project.tracelet("runs", "--json", *words).stdout)["runs"]


def test_the_runs_are_listed_newest_first(recorded):
    listed = runs(recorded)
    assert [run["name"] for run in listed] == ["first", "second", "first"]
    assert [run["params"]["lr"] for run in listed] == [0.05, 0.2, 0.1]
    assert {run["outcome"] for run in listed} == {"finished"}
    shown = recorded.tracelet("runs").stdout
    for run in listed:
        assert re.search(rf"^{run['id']} +{run['name']} +finished +just now|min ago +", shown, re.M)


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        (["-n", "1"], [0.05]),
        (["-n", "0"], [0.05, 0.2, 0.1]),
        (["--param", "lr=0.2"], [0.2]),
        (["--param", "lr=.2"], [0.2]),
        (["--tag", "team=vision"], [0.05, 0.2, 0.1]),
        (["--tag", "good"], [0.05, 0.2, 0.1]),
        (["--tag", "team=sound"], []),
        (["--outcome", "failed"], []),
        (["--project", "tests"], [0.05, 0.2, 0.1]),
        (["--project", "other"], []),
        (["--since", "1h"], [0.05, 0.2, 0.1]),
        (["--where", "params.lr < 0.15"], [0.05, 0.1]),
        (["--sort", "params.lr"], [0.05, 0.1, 0.2]),
        (["--sort", "-params.lr"], [0.2, 0.1, 0.05]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_runs_can_be_chosen(recorded, words, rates):
    assert [run["params"]["lr"] for run in runs(recorded, *words)] == rates


def test_a_metric_can_be_a_column(recorded):
    assert [run["metrics"] for run in runs(recorded, "--metric", "train/acc", "--metric", "no")] == [
        {"train/acc": 0.98, "no": None}
    ] * 3
    assert "train/acc" in recorded.tracelet("runs", "--metric", "train/acc").stdout


@pytest.mark.parametrize("key", ["latest", "first", "id", "beginning", ""])
def test_a_run_is_found_by_many_names(recorded, key):
    newest = runs(recorded)[0]
    words = {"id": [newest["id"]], "beginning": [newest["id"][:-2]], "": []}.get(key, [key])
    shown = json.loads(recorded.tracelet("show", "--json", *words).stdout)
    assert shown["id"] == newest["id"]


def test_all_of_a_run(recorded):
    shown = json.loads(recorded.tracelet("show", "second", "--json").stdout)
    assert shown["params"] == {"lr": 0.2, "seed": 0}
    assert shown["tags"] == {"team": "vision", "good": ""}
    metrics = {metric["name"]: metric for metric in shown["metrics"]}
    loss = metrics["train/loss"]
    assert (loss["points"], loss["last_step"], loss["direction"], loss["best_step"]) == (50, 98, "min", 98)
    assert loss["last"] == loss["best"] == loss["min"] == 0.8**49
    assert (metrics["train/acc"]["direction"], metrics["train/acc"]["best"]) == ("max", 0.98)
    assert (metrics["odd"]["last"], metrics["odd"]["best"]) == ("NaN", None)
    assert metrics["sometimes"]["last"] == "Infinity"
    assert any(metric["type"] == "system" and metric["source"] == "system" for metric in shown["metrics"])
    assert "environment" in shown["facts"]
    assert [process["child"] for process in shown["processes"]] == [False]
    assert shown["dropped"] == shown["damage"] == {}


def test_a_run_for_people(recorded):
    shown = recorded.tracelet("show", "second").stdout
    assert re.search(r"^── second · \S+ ─+$", shown, re.M)
    assert re.search(r"^project +tests$", shown, re.M)
    assert re.search(r"^outcome +finished$", shown, re.M)
    assert re.search(r"^train/acc +0\.9800 +0\.9800 +98 +50 +▁.*█$", shown, re.M)
    assert "system/" not in shown
    whole = recorded.tracelet("show", "second", "--all").stdout
    assert len(whole.splitlines()) > len(shown.splitlines()) + 10


def test_some_metrics_alone(recorded):
    shown = recorded.tracelet("show", "second", "train/*").stdout
    assert re.findall(r"^(\S+) · last", shown, re.M) == ["train/acc", "train/loss"]
    assert "best 0.9800 at step 98" in shown


def test_runs_side_by_side(recorded):
    shown = recorded.tracelet("compare", "first", "second").stdout
    assert re.search(r"^ +first +second$", shown, re.M)
    assert re.search(r"^lr +0\.05 +0\.2$", shown, re.M)
    assert "seed" not in shown
    assert re.search(r"^train/acc best +0\.9800 +0\.9800$", shown, re.M)
    whole = recorded.tracelet("compare", "first", "second", "--all").stdout
    assert re.search(r"^seed +0 +0$", whole, re.M)
    told = json.loads(recorded.tracelet("compare", "first", "second", "--json", "--metric", "train/*").stdout)
    assert list(told["metrics"]) == ["train/acc", "train/loss"]
    assert told["params"] == {"lr": [0.05, 0.2], "seed": [0, 0]}
    assert [metric["best"] for metric in told["metrics"]["train/loss"]] == [0.95**49, 0.8**49]


def test_every_point_can_be_taken_out(recorded, tmp_path):
    losses = [(2 * step, (1 - 0.2) ** step) for step in range(50)]
    lines = list(csv.DictReader(io.StringIO(recorded.tracelet("export", "second").stdout)))
    assert list(lines[0]) == ["metric", "iteration", "value", "timestamp", "rank"]
    assert [
        (int(one["iteration"]), float(one["value"])) for one in lines if one["metric"] == "train/loss"
    ] == losses
    odd = [float(one["value"]) for one in lines if one["metric"] in ("odd", "sometimes")]
    assert sum(map(math.isnan, odd)) == 50
    assert odd[-1] == math.inf

    done = recorded.tracelet("export", "second", "-f", "jsonl", "--metric", "train/loss")
    about, *points = [json.loads(line) for line in done.stdout.splitlines()]
    assert about["run"]["name"] == "second"
    assert [(one["iteration"], one["value"]) for one in points] == losses

    file = tmp_path / "run.json"
    assert recorded.tracelet("export", "second", "-o", file).stdout == ""
    whole = json.loads(file.read_text())
    assert whole["name"] == "second"
    [points] = [series for series in whole["metrics"] if series["name"] == "train/loss"]
    assert list(zip(points["iterations"], points["values"], strict=True)) == losses
    assert len(points["timestamps"]) == 50


def test_a_run_that_goes_on_can_be_seen(project):
    project.write(
        "train.py",
        """
        import subprocess
        import sys

        import tracelet

        tracelet.log({"loss": 1.0})
        shown = subprocess.run([sys.executable, "-m", "tracelet", "show"], capture_output=True, text=True).stdout
        print(shown)
        """,
    )
    done = project.tracelet("run", "-q", "train.py")
    assert re.search(r"^outcome +running$", done.stdout, re.M)
    assert re.search(r"^loss +1 +1$", done.stdout, re.M)


def test_a_run_that_was_killed_can_be_seen(project):
    project.write("train.py", "import os, tracelet\ntracelet.log({'loss': 1.0})\nos._exit(9)\n")
    project.tracelet("run", "train.py", status=9)
    [run] = runs(project)
    assert run["outcome"] == "killed"
    assert re.search(r"^loss +1 +1$", project.tracelet("show").stdout, re.M)


def test_where_nothing_has_been_recorded(project):
    assert "no runs yet" in project.tracelet("runs").stdout
    assert "tracelet run SCRIPT" in project.tracelet("show", status=2).stderr


def test_a_run_without_a_journal_is_listed_and_told(project):
    (project.path / ".tracelet" / "runs" / "20200101-000000-aaaaaa").mkdir(parents=True)
    os.utime(project.path / ".tracelet" / "runs" / "20200101-000000-aaaaaa", (1, 1))
    assert "empty" in project.tracelet("runs").stdout
    done = project.tracelet("show", "20200101")
    assert "has no journal" in done.stdout


def test_the_doctor_finds_all_in_order(recorded):
    (recorded.path / ".tracelet").chmod(0o700)
    told = json.loads(recorded.tracelet("doctor", "--json").stdout)
    assert told["ok"] is True
    by_topic = {finding["topic"]: finding["text"] for finding in told["findings"]}
    assert "3 finished" in by_topic["runs"]
    assert "system" in by_topic["plugins"]
    assert recorded.tracelet("doctor").stdout.splitlines()[-1] == "no issues found"


def test_the_doctor_finds_what_is_wrong(project):
    project.write("tracelet.toml", 'plugins = ["nobody"]\n[plugins.jsonl]\npaht = "x"\n')
    project.write("tracelet_plugins.py", "raise ImportError('no such thing')\n")
    (project.path / ".tracelet").mkdir(mode=0o755)
    done = project.tracelet("doctor", status=1)
    shown = re.sub(r"\s+", " ", done.stdout)
    assert "no such thing" in shown
    assert "other users can read .tracelet (chmod 700 .tracelet)" in shown
    assert "nobody" in shown
    assert "'path'" in shown


def test_the_doctor_tells_the_faults_of_a_configuration(project):
    project.write("tracelet.toml", "mode = 3\n")
    done = project.tracelet("doctor", status=1)
    assert "mode" in done.stdout


def test_small_tables_are_drawn(project):
    project.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("tables") as run:
            for step in (1, 2):
                run.log_table("by digit", [["a", step, 0.5], ["b", None, 1 / 3]], ["digit", "count", "share"], step)
            run.log_table("long", [[number] for number in range(100)], ["square"])
        """,
    )
    project.python("train.py")
    drawn = project.tracelet("show").stdout.partition("by digit · step 2")[2]
    rows = [line.split() for line in drawn.splitlines()]
    assert ["digit", "count", "share"] in rows
    assert ["a", "2", "0.5000"] in rows
    assert any(row[:1] + row[2:] == ["b", "0.3333"] for row in rows)
    assert "square" not in drawn
    assert "square" in project.tracelet("show", "--all").stdout


def test_a_run_that_cannot_be_read_is_told(project):
    run = project.path / ".tracelet/runs/odd"
    run.mkdir(parents=True)
    (run / "journal").touch()  # in place of a folder
    show = project.tracelet("show", "odd").stdout
    assert "cannot be read: Not a directory" in show
    done = project.tracelet("export", "odd", status=1)
    assert "cannot be read" in done.stderr
    assert "0 of 1 run compacted" in project.tracelet("compact", status=1).stdout


def test_a_folder_that_was_named_has_to_be_there(project):
    told = project.tracelet("runs", "--dir", "nowhere", status=2).stderr
    assert "nothing has been recorded in" in told


def test_a_wrong_name_is_answered_with_names(recorded):
    told = recorded.tracelet("show", "zzz", status=2).stderr
    assert "known: " in told
    assert "second" in told
    assert "-20" not in told.partition("known: ")[2]


@pytest.mark.parametrize("replace", ["pipe", "link"])
def test_a_table_that_is_no_regular_file_is_not_read(project, replace):
    project.write(
        "train.py",
        "import tracelet\nwith tracelet.start_run('x') as run: run.log_table('t', [[1]], columns=['a'])\n",
    )
    project.python("train.py")
    [table] = (project.path / ".tracelet").rglob("*.table.json")
    content = table.read_text()
    table.unlink()
    if replace == "pipe":
        os.mkfifo(table)
    else:
        project.write("secret.json", content.replace("1", "424242"))
        table.symlink_to(project.path / "secret.json")
    done = project.tracelet("show", "x", timeout=30)
    assert "424242" not in done.stdout
