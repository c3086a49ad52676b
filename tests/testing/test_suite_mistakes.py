"""Mistakes in a plugin or in its suite are reported once, at once, and with their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = 100  # seconds, on a machine that is busy

SUITE = """
    from shelf import Shelf, read_shelf

    from tracelet.testing import BackendConformance


    class TestShelf(BackendConformance):
        plugin = Shelf

        def config(self, tmp_path):
            return {"path": str(tmp_path / "shelf.db")}

        def read_back(self, run, tmp_path):
            return read_shelf(tmp_path / "shelf.db", run)
"""
BUG = """


class Buggy(Shelf):
    def log_metrics(self, points, run):
        raise KeyError("step")
"""


@pytest.fixture
def shelf(tracelet_project):
    tracelet_project.write({"test_shelf.py": SUITE})
    (tracelet_project.path / "shelf.py").write_text((HERE / "shelf.py").read_text() + BUG)
    return tracelet_project


def run_tests(project, select, *, status=1):
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tracelet.testing.report", "-k", select)
    environ = {"TRACELET_CONFORMANCE_REPORT": "report.json", "PYTHONPATH": str(project.path)}
    project.run(*words, "test_shelf.py", environ=environ, status=status, timeout=LONG)
    return json.loads((project.path / "report.json").read_text())


def check(project, suite, *, status):
    words = ("plugins", "check", "shelf:Shelf", "--conformance", "--suite", suite)
    return project.tracelet(*words, environ={"PYTHONPATH": str(project.path)}, status=status, timeout=LONG)


def edit(project, old, new, file="test_shelf.py"):
    text = (project.path / file).read_text()
    assert old in text
    (project.path / file).write_text(text.replace(old, new))


def test_a_bug_in_a_hook_ends_a_test_at_once(shelf):
    edit(shelf, "Shelf, read_shelf", "Buggy, read_shelf")
    edit(shelf, "plugin = Shelf", "plugin = Buggy")
    report = run_tests(shelf, "nan or steps_negative or status_is_json or many or one_refused")
    slow = {one["promise"]: one["seconds"] for one in report["results"] if one["seconds"] > 15}
    assert not slow
    [nan] = [one for one in report["results"] if one["promise"] == "nan"]
    assert "log_metrics raised KeyError: 'step' (shelf.py:" in nan["why"]
    assert "accepted nothing meanwhile" in nan["why"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('{"path":', '{"path2":', "plugins.shelf.path2"),
        ("plugin = Shelf", 'plugin = "shelf:Shlef"', "module 'shelf' has no 'Shlef'"),
        ("plugin = Shelf", 'plugin = "shelff:Shelf"', "neither an installed plugin nor an importable module"),
    ],
)
def test_a_plugin_that_cannot_start_is_one_mistake_in_use(shelf, old, new, told):
    edit(shelf, old, new)
    done = check(shelf, "test_shelf.py", status=2)
    assert told in done.err
    assert len(done.err.lines) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("settel = 2.0", "TestShelf.settel: the suite has no such attribute; did you mean 'settle'?"),
        ("def far_valu(self, value): ...", "did you mean 'far_value'?"),
        ("limit = {}", "did you mean 'limits'?"),
    ],
)
def test_a_misspelled_attribute_of_a_suite_is_an_error(shelf, line, told):
    edit(shelf, "plugin = Shelf", f"plugin = Shelf\n    {line}")
    done = check(shelf, "test_shelf.py", status=2)
    assert told in done.err, str(done.err)


def test_attributes_of_the_author_are_free(shelf):
    edit(shelf, "plugin = Shelf", "plugin = Shelf\n    server = port = reader = None")
    report = run_tests(shelf, "valid", status=0)
    assert [one["outcome"] for one in report["results"]] == ["kept"]


def test_an_exception_in_read_back_is_shown_with_its_place(shelf):
    edit(shelf, "return read_shelf(", 'raise LookupError("no such run")\n        return read_shelf(')
    [nan] = run_tests(shelf, "nan")["results"]
    assert nan["why"].startswith("read_back failed: LookupError: no such run (test_shelf.py:")


@pytest.mark.parametrize(
    ("suite", "told"),
    [
        ("wrong.py", "wrong.py:2: SyntaxError: "),
        ("test_shelf.py::read_shelf", "read_shelf is not a class of tests"),
        ("test_shelf:read_shelf", "read_shelf is not a class of tests"),
        ("test_shelf.py::TestShlef", "has no TestShlef (did you mean 'TestShelf'?)"),
        ("test_shlef:TestShelf", "no module test_shlef"),
    ],
)
def test_a_suite_that_is_none_is_named(shelf, suite, told):
    (shelf.path / "wrong.py").write_text("x = 1\ndef broken(:\n")
    done = check(shelf, suite, status=2)
    assert told in done.err
    assert len(done.err.lines) == 1


def test_results_are_there_even_if_pytest_crashes(shelf):
    edit(shelf, "plugin = Shelf", "plugin = Shelf\n\n    def test_zz(self):\n        import os; os._exit(9)")
    edit(shelf, "class TestShelf(BackendConformance)", "class TestShelf(Few)")
    few = "class Few(BackendConformance):\n    pass\n\n\nfor name in list(dir(Few)):\n"
    few += "    if name.startswith('test_') and 'status' not in name:\n        setattr(Few, name, None)\n\n\n"
    edit(shelf, "class TestShelf", f"{few}class TestShelf")
    done = check(shelf, "test_shelf.py", status=1)
    assert "pytest ended with status 9 after 2 of 3 tests" in done.out
    done.out.fnmatch_lines("*status *kept*kept*")


def test_media_of_a_plugin_without_log_media_arrive_as_files(shelf):
    edit(shelf, "    def log_media(", "    def unused(", "shelf.py")
    results = run_tests(shelf, "histograms_arrive", status=0)["results"]
    assert [one["outcome"] for one in results] == ["accepted"]
    assert "stored as files" in results[0]["why"]


def test_progress_is_shown_on_a_terminal(shelf):
    code = """
        import os
        import pty
        import sys

        words = ["plugins", "check", "shelf:Shelf", "--conformance", "--suite", "few.py::TestShelf::test_slow"]
        sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, "-m", "tracelet", *words])))
    """
    shelf.write({"few.py": SUITE, "on_terminal.py": code})
    slow = "plugin = Shelf\n\n    def test_slow(self):\n        import time; time.sleep(2)"
    edit(shelf, "plugin = Shelf", slow, "few.py")
    done = shelf.run("on_terminal.py", environ={"PYTHONPATH": str(shelf.path)}, timeout=LONG)
    assert "0 of 1 tests" in done.out.text
