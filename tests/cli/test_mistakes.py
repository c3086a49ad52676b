"""A mistake in use is one clear line on stderr and exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu"], "no command 'rnu' in 'tracelet'; did you mean 'run'?"),
        (["plugins", "lst"], "did you mean 'list'?"),
        (["runs", "--jsn"], "did you mean '--json'?"),
        (["runs", "--limit", "many"], "'many'"),
        (["runs", "--outcome"], "--outcome"),
        (["runs", "--param", "nothing"], "expected KEY=VALUE, found 'nothing'"),
        (["run"], "expected a program to run"),
        (["run", "trian.py"], "no file 'trian.py' to run"),
        (["run", "train"], "for a module: tracelet run -m train"),
        (["run", "empty"], "contains no __main__.py"),
        (["run", "-m", "no_such_module"], "no module named 'no_such_module'"),
        (["run", "-m", "train.py"], "run it as a script: tracelet run train.py"),
        (["run", "--nmae", "x", "train.py"], "did you mean '--name'?"),
        (["run", "--run-id", "../x", "train.py"], "'../x'"),
        (["-p", "", "run", "train.py"], "-p"),
        (["show", "nothing"], "nothing has been recorded in"),
        (["show", "latest", "los"], "nothing has been recorded in"),
        (["compare", "one"], "expected two runs"),
        (["compare"], "RUN"),
        (["export", "nothing"], "nothing has been recorded in"),
        (["export", "-f", "xls"], "xls"),
        (["hooks", "log_metrics_"], "did you mean 'log_metrics'?"),
        (["plugins", "info", "sytem"], "did you mean 'system'?"),
        (["plugins", "check", "sytem"], "did you mean 'system'?"),
        (["plugins", "check", "no.py"], "no.py: no such file or folder"),
        (["plugins", "check", "tracelet.toml"], "expected a Python file"),
        (["plugins", "new", "My Plugin"], "did you mean 'my-plugin'?"),
        (["plugins", "new", "system"], "plugin name 'system' is taken"),
        (["runs", "--column", "lr"], "need a prefix (params.lr, tags.lr, metrics.lr)"),
        (
            ["export", "-o", "points.xlsx"],
            "cannot write points.xlsx: expected one of .csv, .jsonl, .json, .parquet",
        ),
        (["compare", "--where", "duration > 0"], "nothing has been recorded in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_status_2(project, words, told):
    project.write("train.py", "")
    (project.path / "empty").mkdir()
    done = project.tracelet(*words, status=2)
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("tracelet: ")
    assert told in line


def test_every_fault_of_a_configuration_is_told(project):
    project.write("tracelet.toml", 'projet = "x"\nmode = "onlin"\n')
    project.write("train.py", "print('never')")
    for words in (["run", "train.py"], ["runs"], ["plugins"]):
        done = project.tracelet(*words, status=2)
        assert done.stdout == ""
        assert [line.startswith("tracelet: ") for line in done.stderr.splitlines()] == [True, True]
        assert "'project'" in done.stderr
        assert "'online'" in done.stderr


def test_a_file_that_is_not_toml_is_placed(project):
    project.write("tracelet.toml", "project = \n")
    done = project.tracelet("runs", status=2)
    assert "tracelet.toml:1:" in done.stderr


def test_a_reader_that_goes_away_is_no_error(project):
    project.write("train.py", "import tracelet\nfor i in range(20_000): tracelet.log({'x': i})\n")
    project.tracelet("run", "-q", "train.py")
    tracelet = Path(sys.executable).with_name("tracelet")
    shell = f"{tracelet} export latest | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = project.run("bash", "-c", shell)
    assert done.stdout.splitlines()[-1] == "141"
    assert done.stderr == ""


@pytest.mark.parametrize("words", [["runs"], ["plugins"], ["hooks"], ["doctor"], ["--help"]], ids=" ".join)
def test_an_output_that_is_closed_from_the_start_is_no_traceback(project, words):
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("tracelet"), *words],
            cwd=project.path,
            env=project.environ,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    finally:
        os.close(write)
    assert "Traceback" not in done.stderr
    assert done.returncode == 141


def test_help_and_version_need_nothing_heavy(project):
    code = """
        import sys
        from tracelet.cli import main
        main(sys.argv[1:])
        heavy = {"rich", "pluggy", "attrs", "cattrs", "psutil", "sqlite3", "jsonschema", "numpy", "importlib.metadata"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    project.write("look.py", code)
    for word in ("--version", "--help"):
        assert "tracelet" in project.python("look.py", word).stdout


def test_it_can_be_run_as_a_module(project):
    done = project.python("-m", "tracelet", "--version")
    assert done.stdout == project.tracelet("--version").stdout


def test_no_command_is_a_request_for_help(project):
    assert "Commands:" in project.tracelet().stdout
    assert "check" in project.tracelet("plugins", "--help").stdout


def test_help_tells_each_command_in_full(project):
    told = project.tracelet("--help").stdout
    assert "..." not in told.partition("Commands:")[2]
