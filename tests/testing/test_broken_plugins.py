"""A backend that keeps every promise passes the suite, and one that breaks a promise fails exactly that one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tracelet.testing import FarSide
from tracelet.testing.far_side import find_differences

pytestmark = pytest.mark.timeout(300)  # seconds: a whole suite, on a machine that is busy

HERE = Path(__file__).parent

SUITE = """
    from shelf import {name}, read_shelf

    from tracelet.testing import BackendConformance


    class TestShelf(BackendConformance):
        plugin = {name}

        def config(self, tmp_path):
            return {{"path": str(tmp_path / "shelf.db"), "token": "tok-5f2c81d0e7"}}

        def read_back(self, run, tmp_path):
            return read_shelf(tmp_path / "shelf.db", run)
"""
WRONG = """
        def wrong_credentials(self, tmp_path):
            return {"path": str(tmp_path / "shelf.db"), "token": "wrong"}
"""
BROKEN = {
    "Forgets": "restarted",
    "PartsOfBatches": "killed",
    "OwnTime": "timestamps",
    "Tells": "secrets",
    "Pollutes": "global_state",
}


def run_suite(project, name, *arguments, more=""):
    """Return the outcome of each promise, and how pytest ended."""
    suite = SUITE.format(name=name) + more
    project.write({"shelf.py": (HERE / "shelf.py").read_text(), "test_shelf.py": suite})
    done = project.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tracelet.testing.report", *arguments),
        "test_shelf.py",
        environ={"TRACELET_CONFORMANCE_REPORT": "report.json", "PYTHONPATH": str(project.path)},
        status=None,
        timeout=280,
    )
    report = json.loads((project.path / "report.json").read_text())
    return {(one["promise"], one["isolation"]): one for one in report["results"]}, done


def test_a_backend_that_keeps_its_promises_passes_in_parallel_too(tracelet_project):
    pytest.importorskip("xdist")
    results, done = run_suite(tracelet_project, "Shelf", "-n", "2")
    assert done.status == 0, done.out
    assert {one["outcome"] for one in results.values()} == {"kept", "not applicable"}
    skipped = {promise for (promise, _), one in results.items() if one["outcome"] == "not applicable"}
    assert skipped == {"credentials"}


@pytest.mark.slow
def test_a_backend_in_a_process_of_its_own_passes_there(tracelet_project):
    where_it_matters = "delivered or killed or credentials or stored_once or outage or status or own or whole"
    results, done = run_suite(tracelet_project, "Isolated", "-k", where_it_matters, more=WRONG)
    assert done.status == 0, done.out
    not_there = {
        key for (key, where), one in results.items() if where == "thread" and one["outcome"] == "kept"
    }
    assert not_there == set()
    assert results["credentials", "process"]["outcome"] == results["killed", ""]["outcome"] == "kept"


@pytest.mark.slow
def test_media_that_are_stored_again_break_the_promises_on_events(tracelet_project):
    results, done = run_suite(tracelet_project, "AppendsMedia", "-k", "stored_once or images")
    assert done.status == 1, done.out
    broken = {key for (key, _), one in results.items() if one["outcome"] == "broken"}
    assert broken == {"once_events", "restarted_events"}, done.out.text
    assert "there twice: ('samples/digit', 0, 'image')" in results["once_events", ""]["why"]


@pytest.mark.parametrize("part", ["params", "tags", "artifacts"])
def test_a_far_side_that_lists_a_key_twice_differs(tmp_path, part):
    file = tmp_path / "file"
    file.write_bytes(b"x")
    wanted, had = (file, b"x") if part == "artifacts" else (1, 1)
    expected = FarSide(**{part: {"a": wanted, "b": wanted}})
    assert find_differences(expected, FarSide(**{part: [("a", had), ("b", had)]})) == []
    repeated = FarSide(**{part: [("a", had), ("b", had), ("a", had)]})
    assert find_differences(expected, repeated) == [f"1 {part.removesuffix('s')} there twice: 'a'"]
    assert find_differences(expected, repeated, repeats=True) == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "promise"), BROKEN.items(), ids=BROKEN)
def test_a_broken_backend_fails_exactly_the_promise_that_it_breaks(tracelet_project, name, promise):
    results, done = run_suite(tracelet_project, name)
    assert done.status == 1, done.out
    broken = {key for (key, _), one in results.items() if one["outcome"] == "broken"}
    assert broken == {promise}, done.out.text
