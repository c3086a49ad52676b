"""``tracelet runs`` with columns and ``tracelet compare`` of many runs, on narrow and wide screens."""

from __future__ import annotations

import json
import re

import pytest
from tests.nasty_names import NAMES as NASTY
from tests.nasty_names import field, nasty_values

import tracelet

PLAIN = ["no:system", "no:environment", "no:gpu", "no:console", "no:code"]

TRAIN = """
    import tracelet

    for number in range(20):
        params = {"C": number, "gamma": 0.001, "kernel": "rbf" if number % 2 else "linear"}
        tags = {"grid": "", "svc": ""} if number else {"team": "vision"}
        with tracelet.start_run(f"svc-C{number}-g0.001", params=params, tags=tags) as run:
            run.log({"val/acc": number / 100, "val/loss": 1 - number / 100}, step=0)
            run.log({"val/acc": number / 100 + 0.01, "val/loss": 0.9 - number / 100}, step=1)
"""
NAMES = [f"svc-C{number}-g0.001" for number in range(20)]


@pytest.fixture(scope="module")
def grid(make_project):
    """Return a project with the 20 runs of a grid search; no test here changes it."""
    project = make_project("grid")
    project.write("tracelet.toml", 'project = "grid"\nplugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write("train.py", TRAIN)
    project.python("train.py")
    return project


def shown(project, *words, columns="80"):
    return project.tracelet(*words, environ={"COLUMNS": columns}).stdout


@pytest.mark.parametrize("columns", ["60", "80"])
def test_twenty_runs_fit_a_narrow_screen(grid, columns):
    text = shown(grid, "compare", *NAMES, columns=columns)
    lines = text.splitlines()
    assert max(map(len, lines)) <= int(columns)
    for name in NAMES:
        assert any(line.startswith(f"{name} ") for line in lines), name
    for word in ("outcome", "kernel", "val/acc best", "val/loss best"):
        assert word in text
    assert "gamma" not in text  # it is the same in all runs
    assert len(lines) < 80


def test_a_pipe_gets_a_column_per_run(grid):
    environ = {name: value for name, value in grid.environ.items() if name != "COLUMNS"}
    grid.environ, before = environ, grid.environ
    try:
        first = grid.tracelet("compare", *NAMES).stdout.splitlines()[0]
    finally:
        grid.environ = before
    assert first.split() == NAMES


def test_the_best_run_is_marked_without_colours(grid):
    text = shown(grid, "compare", "svc-C0-g0.001", "svc-C2-g0.001")
    assert re.search(r"^val/acc best +0\.0100 +0\.0300 \*$", text, re.M)
    assert re.search(r"^val/loss best +0\.9000 +0\.8800 \*$", text, re.M)
    assert "* best of these runs" in text
    same = shown(grid, "compare", "svc-C2-g0.001", "svc-C2-g0.001")
    assert "*" not in same.replace("tracelet", "")


def test_runs_can_be_compared_by_an_expression(grid):
    found = json.loads(grid.tracelet("compare", "--where", "params.C < 3", "--json").stdout)
    assert [run["name"] for run in found["runs"]] == NAMES[2::-1]
    words = (
        "compare",
        "svc-C9-g0.001",
        "--where",
        "params.C > 10",
        "--sort",
        "params.C",
        "-n",
        "2",
        "--json",
    )
    found = json.loads(grid.tracelet(*words).stdout)
    assert [run["name"] for run in found["runs"]] == [NAMES[9], NAMES[11], NAMES[12]]
    told = grid.tracelet("compare", "--where", "params.C = 3", status=2).stderr
    assert "expected two runs or more" in told
    assert "leaves 1" in told


def test_parameters_and_tags_can_be_columns(grid):
    text = shown(grid, "runs", "-n", "3", "--params", "--tags")
    assert re.search(r"^run +name +outcome +C +kernel +tags$", text, re.M)
    assert re.search(r"svc-C19-g0.001 +finished +19 +rbf +grid, svc$", text, re.M)


def test_any_field_can_be_a_column(grid):
    words = (
        "runs",
        "-n",
        "1",
        "-c",
        "params.C",
        "-c",
        "tags.team",
        "-c",
        "metrics.val/acc.max",
        "--sort",
        "params.C",
    )
    assert re.search(r"svc-C0-g0.001 .* +0 +vision +0\.0100$", shown(grid, *words, columns="120"), re.M)
    [run] = json.loads(grid.tracelet(*words, "--json").stdout)["runs"]
    assert run["columns"] == {"params.C": 0, "tags.team": "vision", "metrics.val/acc.max": 0.01}


def test_columns_without_room_are_named(grid):
    text = shown(
        grid, "runs", "--params", "-c", "metrics.val/loss.mean", "-c", "metrics.val/acc.mean", columns="50"
    )
    assert max(map(len, text.splitlines())) <= 50
    assert "no room for" in text
    assert "metrics.val/loss.mean" in re.sub(r"\s+", " ", text)


def test_the_hint_below_a_sorted_list_is_true(grid):
    text = shown(grid, "runs", "-n", "5", "--sort", "-metrics.val/acc.max")
    assert text.splitlines()[-1] == "and 15 more: -n 0 shows all"


@pytest.mark.parametrize("option", ["--where", "--sort", "--column"])
def test_a_forgotten_prefix_is_explained(grid, option):
    told = grid.tracelet("runs", option, "kernel", status=2).stderr
    assert "need a prefix (params.kernel, tags.kernel, metrics.kernel)" in told


def test_the_folder_of_a_single_run_will_do(grid, tmp_path):
    [run] = json.loads(grid.tracelet("runs", "-n", "1", "--json").stdout)["runs"]
    folder = run["dir"]
    copied = tmp_path / "copied"
    copied.mkdir()
    grid.run("cp", "-r", folder, copied)
    for words in (
        ("show", folder),
        ("show", "--dir", folder),
        ("show", copied / run["id"]),
        ("verify", folder),
    ):
        assert json.loads(grid.tracelet(*words, "--json").stdout)["id"] == run["id"]
    told = grid.tracelet("run", "--dir", folder, "train.py", status=2).stderr
    assert "is the folder of a single run" in told
    listed = json.loads(grid.tracelet("runs", "--dir", folder, "--json").stdout)["runs"]
    assert [one["id"] for one in listed] == [run["id"]]


def test_runs_of_one_name_can_be_told_apart_in_every_table(project):
    for run, lr in (("walk-one", 0.1), ("walk-two", 0.2), ("a-run", 0.3), ("b-run", 0.4)):
        with tracelet.start_run(
            run if lr > 0.2 else "walk", run_id=run, dir=project.path / ".tracelet", params={"lr": lr}
        ) as started:
            started.log({f"metric/{number}": lr * number for number in range(8)}, step=0)
    text = shown(project, "compare", "walk-one", "walk-two", "a-run", "b-run", columns="50")
    tables = text.split("\n\n")
    assert len(tables) > 2
    for table in tables:
        assert [line.split("  ")[0] for line in table.splitlines()[2:6]] == [
            "walk one",
            "walk two",
            "a-run",
            "b-run",
        ]


def test_any_name_is_a_column_a_condition_and_an_order(make_project):
    project = make_project("names")
    for number in range(2):
        with tracelet.start_run(f"run-{number}", dir=project.path / ".tracelet", plugins=PLAIN) as run:
            run.log_params(nasty_values("params", number))
            run.log(nasty_values("metrics", number), step=1)
    columns = {field(kind, name): (kind, name) for kind in ("params", "metrics") for name in NASTY}
    words = [word for column in columns for word in ("-c", column)]
    first, last = list(columns)[2], list(columns)[-1]
    words += ["--where", f"{first} > 0 and {last} > 0", "--sort", f"{last},-{first}", "--json"]
    runs = json.loads(project.tracelet("runs", *words).stdout)["runs"]
    assert [run["name"] for run in runs] == ["run-0", "run-1"]
    for number, run in enumerate(runs):
        assert run["columns"] == {
            column: nasty_values(kind, number)[name] for column, (kind, name) in columns.items()
        }
