"""A mistake in use that a program does not catch is told in a line or two; everything else keeps its traceback."""

from __future__ import annotations

import pytest

START = "import tracelet\n\ntracelet.start_run('x')\n"


def test_every_fault_of_the_configuration_is_a_line(project):
    project.write("tracelet.toml", "projct = 'a'\nmode = 'ofline'\n")
    project.write("train.py", START)
    done = project.python("train.py", status=1)
    first, second, place = done.stderr.splitlines()
    assert first.startswith("tracelet: ")
    assert "'projct' (did you mean 'project'?)" in first
    assert "did you mean 'offline'?" in second
    assert "train.py, line 3" in place
    assert "Traceback" not in done.stderr


def test_it_is_still_an_exception(project):
    project.write("tracelet.toml", "mode = 'ofline'\n")
    caught = (
        f"try:\n    {START.splitlines()[2]}\nexcept tracelet.ConfigError as error: print(len(error.faults))\n"
    )
    project.write("train.py", "import tracelet\n" + caught)
    assert project.python("train.py").stdout == "1\n"


@pytest.mark.parametrize(
    ("program", "environ"),
    [
        (START, {"TRACELET_DEBUG": "1"}),
        (
            "import sys, tracelet\nsys.excepthook = lambda *it: print(*it, 'Traceback', file=sys.stderr)\n"
            + START,
            {},
        ),
        ("import tracelet\ntry: 1 / 0\nexcept ZeroDivisionError: tracelet.start_run('x')\n", {}),
    ],
    ids=["asked for", "a hook of the program's own", "during another exception"],
)
def test_where_a_traceback_is_wanted_there_is_one(project, program, environ):
    project.write("tracelet.toml", "mode = 'ofline'\n")
    project.write("train.py", program)
    assert "Traceback" in project.python("train.py", status=1, environ=environ).stderr


def test_logging_without_a_run(project):
    project.write("train.py", "import tracelet\n\ntracelet.log({'loss': 1.0})\n")
    told, place = project.python("train.py", status=1).stderr.splitlines()
    assert told.startswith("tracelet: tracelet.log: no run is active")
    assert "train.py, line 3" in place


def test_the_run_fails_with_it(project):
    project.write("train.py", START + "tracelet.log_artifact('nowhere')\n")
    done = project.python("train.py", status=1)
    assert "Traceback" not in done.stderr
    assert "found nothing at nowhere" in project.tracelet("show", "--json").stdout
