"""Importers of others: a hook in a project, its mistakes, and what the command line makes of it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracelet.errors import TraceletError, UsageError
from tracelet.importers import import_runs

IMPORTER = """
import json
from pathlib import Path
import tracelet
from tracelet.core.plugins import ImportedFile, ImportedPoints, ImportedRun

@tracelet.hookimpl
def import_runs(source):
    if not source.endswith(".log.json"):
        return None
    return read(source)

def read(source):
    rows = json.loads(Path(source).read_text())
    yield ImportedRun("k1", name="first", params={"api_key": "sk-1234567890abcdef1234567890abcdef"})
    columns = [[row[key] for row in rows] for key in ("step", "loss", "time")]
    points = dict(zip(("steps", "values", "timestamps"), columns))
    yield {"key": "k1", "points": [{"name": "loss", **points}]}
    yield ImportedRun("k1", files=[ImportedFile("note", data=b"hi", kind="text", suffix=".txt", step=1)])
    yield ImportedRun("k2", name="second", outcome="failed", error="boom", parent="k1", started_at=5.0, ended_at=9.0)
"""
ROWS = [{"step": step, "loss": 1 / (step + 1), "time": 1_700_000_000 + step} for step in range(10)]


@pytest.fixture
def logs(project):
    project.write("tracelet.toml", "")
    project.write("tracelet_plugins.py", IMPORTER)
    project.write("a.log.json", json.dumps(ROWS))
    return project


def imported(project, *words, **options):
    return json.loads(project.tracelet("import", *words, "--json", **options).stdout)["runs"]


def test_a_hook_of_a_project(logs):
    first, second = imported(logs, "a.log.json")
    assert (first["name"], first["points"], first["files"], first["is_new"]) == ("first", 10, 1, True)
    assert second["outcome"] == "failed"
    shown = json.loads(logs.tracelet("show", "second", "--json").stdout)
    assert (shown["outcome"], shown["error"], shown["started_at"]) == ("failed", "boom", 5.0)
    assert "sk-1234567890" not in logs.tracelet("show", "first", "--json").stdout
    assert not any(run["changed"] for run in imported(logs, "a.log.json"))
    logs.write("a.log.json", json.dumps([*ROWS, {"step": 10, "loss": 0.0, "time": 1_700_000_099}]))
    assert [run["points"] for run in imported(logs, "a.log.json")] == [1, 0]


def test_parts_of_several_runs_in_turn_are_counted_once(logs):
    logs.write(
        "tracelet_plugins.py",
        """
        import tracelet
        from tracelet.core.plugins import ImportedPoints, ImportedRun

        @tracelet.hookimpl
        def import_runs(source):
            return read() if source.endswith(".log.json") else None

        def read():
            for step in range(3):
                for key in ("a", "b"):
                    points = [ImportedPoints(name, [step], [0.5], [1.0 + step]) for name in ("loss", f"m{step}")]
                    params = {"lr": 0.1, "epoch": step}
                    yield ImportedRun(key, params=params, tags={"t": step}, points=points)
        """,
    )
    found = imported(logs, "a.log.json")
    counts = [{name: run[name] for name in ("metrics", "points", "params", "tags")} for run in found]
    assert counts == [{"metrics": 4, "points": 6, "params": 2, "tags": 1}] * 2


def test_a_dry_run_shows_a_table_that_fits_and_writes_nothing(logs):
    done = logs.tracelet("import", "a.log.json", "--dry-run", environ={"COLUMNS": "80"})
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "2 new runs, 0 changed runs, 10 points would be imported"
    assert not (logs.path / ".tracelet").exists()
    assert done.stderr == ""


def test_what_a_user_has_changed_stays(logs):
    imported(logs, "a.log.json")
    logs.tracelet("edit", "first", "--name", "renamed", "--tag", "mine=1")
    assert not any(run["changed"] for run in imported(logs, "a.log.json"))
    shown = json.loads(logs.tracelet("show", "renamed", "--json").stdout)
    assert (shown["tags"], shown["outcome"]) == ({"mine": "1"}, "finished")


def test_a_run_is_delivered_like_any_other(logs):
    imported(logs, "a.log.json")
    logs.tracelet("sync", "first", "-p", "jsonl")
    [file] = logs.path.rglob("*.jsonl")
    assert sum('"loss"' in line for line in file.read_text().splitlines()) == 10


MISTAKES = {
    "nothing there": ("missing.csv", None, "found nothing at missing.csv"),
    "no format fits": ("tracelet.toml", None, "expected a source of one of the formats aim, csv, mlflow"),
    "an unknown format": ("a.log.json", "tensorbord", "did you mean 'tensorboard'?"),
    "another format": ("a.log.json", "wandb", "expected runs of tracelet, wandb"),
    "a plugin that imports nothing": ("a.log.json", "jsonl", "as the format, found 'jsonl'"),
}


@pytest.mark.parametrize(("source", "format", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_use(logs, monkeypatch, source, format, expected):
    monkeypatch.chdir(logs.path)
    with pytest.raises(UsageError) as found:
        import_runs(source, format=format)
    assert expected in str(found.value)
    assert not (logs.path / ".tracelet").exists()


def test_a_mistake_is_one_line_on_the_command_line(logs):
    done = logs.tracelet("import", "a.log.json", "--dry-run", "--follow", status=2)
    assert "--dry-run or --follow, found both" in done.stderr
    done = logs.tracelet("import", "missing.csv", status=2)
    assert (
        done.stderr == "tracelet: import: expected a file, a folder or a URL, found nothing at missing.csv\n"
    )


BROKEN = {
    "raises": ("raise ValueError('no luck')", "import_runs failed: ValueError: no luck"),
    "raises later": ("yield ImportedRun('k'); raise ValueError('no luck')", "ValueError: no luck"),
    "yields nonsense": ("yield 5", "expected an ImportedRun, found int"),
    "yields no key": ("yield ImportedRun('')", "expected a text that is not empty as the key"),
    "unequal columns": (
        "yield ImportedRun('k', points=[ImportedPoints('m', [1], [], [1.0])])",
        "points of 'm': expected columns of equal length",
    ),
}


@pytest.mark.parametrize(("body", "expected"), BROKEN.values(), ids=BROKEN)
def test_mistakes_of_an_importer(project, monkeypatch, body, expected):
    monkeypatch.chdir(project.path)
    project.write("tracelet.toml", "")
    project.write(
        "odd_importer.py",
        f"""
        import tracelet
        from tracelet.core.plugins import ImportedPoints, ImportedRun
        @tracelet.hookimpl
        def import_runs(source):
            {body}
        """,
    )
    project.write("tracelet_plugins.py", (project.path / "odd_importer.py").read_text())
    project.write("a.odd", "")
    with pytest.raises(TraceletError) as found:
        import_runs("a.odd")
    assert expected in str(found.value)


def test_a_source_of_several_formats_asks_which(logs):
    logs.write("second.py", IMPORTER)
    done = logs.tracelet("import", "a.log.json", "-p", "second", status=2)
    assert "choose one with --from" in done.stderr
    assert imported(logs, "a.log.json", "-p", "second", "--from", "second")[0]["points"] == 10


def test_two_imports_of_one_run_at_the_same_moment(logs):
    logs.write("a.log.json", json.dumps(ROWS * 500))
    words = [Path(sys.executable).with_name("tracelet"), "import", "a.log.json"]
    several = [
        subprocess.Popen(
            words, cwd=logs.path, env=logs.environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    texts = [process.communicate(timeout=60)[1].decode() for process in several]
    assert 0 in [process.returncode for process in several]
    assert all("imported by another process" in text for text in texts if text)
    imported(logs, "a.log.json")
    assert len(json.loads(logs.tracelet("show", "first", "--json").stdout)["artifacts"]) == 1
    import tracelet

    assert len(tracelet.open_store(logs.path).run("first").metric("loss")) == len(ROWS) * 500


def test_progress_is_shown_on_a_terminal_only(logs):
    assert logs.tracelet("import", "a.log.json").stderr == ""
    main, side = pty.openpty()
    words = [Path(sys.executable).with_name("tracelet"), "import", "a.log.json"]
    done = subprocess.run(
        words, cwd=logs.path, env=logs.environ, stdout=subprocess.PIPE, stderr=side, timeout=60, check=True
    )
    os.close(side)
    try:
        shown = os.read(main, 1 << 16)
    except OSError:
        shown = b""
    os.close(main)
    assert b"run" in shown
    assert b"nothing new" in done.stdout


def test_following_a_source(project):
    project.write("tracelet.toml", "")
    path = project.write("a.csv", "step,loss\n0,1\n")
    words = [Path(sys.executable).with_name("tracelet"), "import", "a.csv", "--follow"]
    process = subprocess.Popen(words, cwd=project.path, env=project.environ, stdout=subprocess.PIPE)
    try:
        wait_for(project, 1)
        with path.open("a") as file:
            file.write("1,2\n2,3\n")
        wait_for(project, 3)
    finally:
        process.send_signal(2)
        out = process.communicate(timeout=30)[0].decode()
    assert process.returncode == 0
    assert "3 points imported" in out
    wait_for(project, 3)


def wait_for(project, count):
    import tracelet

    end = time.monotonic() + 40
    found = -1
    while found != count and time.monotonic() < end:
        time.sleep(0.2)
        runs = (
            tracelet.open_store(project.path / ".tracelet").runs()
            if (project.path / ".tracelet").exists()
            else []
        )
        found = len(runs[0].metric("loss")) if runs and runs[0].metrics() else 0
    assert found == count
