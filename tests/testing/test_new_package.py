"""What `plugins new` writes: its README, and how its example backend reports an outage."""

from __future__ import annotations

import contextlib
import importlib.util
import sqlite3

import pytest

from tracelet.testing import drive


@pytest.fixture
def lines(tracelet_project):
    """Return the module of a new backend."""
    tracelet_project.tracelet("plugins", "new", "lines")
    file = tracelet_project.path / "tracelet-lines/src/tracelet_lines/__init__.py"
    spec = importlib.util.spec_from_file_location("new_lines", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_missing_folder_is_an_outage(lines, tmp_path):
    with pytest.raises(OSError, match="unable to open database file"):
        drive(lines.Lines, {"path": str(tmp_path / "missing" / "runs.db")}).__enter__()


def test_a_locked_file_is_an_outage(lines, tmp_path):
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "runs.db")) as other,
        contextlib.closing(sqlite3.connect(tmp_path / "runs.db", timeout=0)) as base,
    ):
        other.execute("begin exclusive")
        with pytest.raises(OSError, match="database is locked"), lines.outages():
            base.execute(lines.TABLE)


def test_a_fault_of_the_program_is_no_outage(lines, tmp_path):
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "runs.db")) as base,
        pytest.raises(sqlite3.OperationalError, match="no such table"),
        lines.outages(),
    ):
        base.execute(lines.INSERT, [None] * 7)


def test_the_readme_names_every_plugin_and_installs_the_tests(tracelet_project):
    words = ("--plugin", "lines:backend", "--plugin", "heap:collector")
    done = tracelet_project.tracelet("plugins", "new", "--package", "demo", *words)
    readme = (tracelet_project.path / "tracelet-demo/README.md").read_text()
    for name in ("lines", "heap"):
        assert f"$ tracelet plugins check {name} --conformance" in readme
    assert "$ tracelet run -p lines -p heap train.py" in readme
    assert "pip install './tracelet[testing]'" in readme
    assert "pip install -e './tracelet-demo[test]'" in done.out
