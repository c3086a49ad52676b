"""A run that records into a folder of the test, and what reads it."""

from __future__ import annotations

import pytest

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return an open run without collectors; the current folder is the test's."""
    monkeypatch.chdir(tmp_path)
    with tracelet.start_run("inputs", dir=tmp_path / "data", plugins=QUIET) as run:
        yield run


@pytest.fixture
def strict(run, tmp_path):
    """Return a run of the same store that raises for whatever cannot be recorded."""
    with tracelet.start_run("strict", dir=tmp_path / "data", plugins=QUIET, strict=True) as strict:
        yield strict


def read(run):
    """Return the record of a run."""
    return tracelet.open_store(run.dir.parent.parent).run(run.id)
