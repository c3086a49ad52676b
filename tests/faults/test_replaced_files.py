"""A sample of tests/faults/replace.py, and a run that is a symbolic link."""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path

import pytest

import tracelet
from tracelet.cli import main
from tracelet.errors import UsageError

SECONDS = 20 * int(os.environ.get("TRACELET_TEST_EFFORT", "1"))


def test_something_else_in_the_place_of_a_file(campaign):
    replace = campaign("replace")
    with tempfile.TemporaryDirectory() as scratch:  # where another user can go, too
        replacements = replace.Replacements(Path(scratch))
        cases = list(replacements.cases())
        random.shuffle(cases)
        end = time.monotonic() + SECONDS
        for case in cases:
            if time.monotonic() > end:
                break
            replacements.attempt(case)
    assert not replacements.faults, "\n\n".join(replacements.faults)
    assert replacements.tried.total() > 0


def test_nothing_is_written_through_a_link_in_the_place_of_a_run(tmp_path, capsys):
    quiet = ["no:system", "no:environment", "no:gpu"]
    with tracelet.start_run("mine", run_id="mine", dir=tmp_path / "mine", plugins=quiet) as run:
        run.log_metric("x", 1.0, 0)
    (tmp_path / "theirs" / "runs").mkdir(parents=True)
    (tmp_path / "theirs" / "runs" / "link").symlink_to(run.dir)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in run.dir.rglob("*"))
    for words in (
        ["sync", "link", "-p", "jsonl"],
        ["compact", "link"],
        ["sync", "--all", "-p", "jsonl"],
        ["compact"],
    ):
        main([*words, "--dir", str(tmp_path / "theirs")])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        assert "expected the folder of a run, found a symbolic link" in shown.out + shown.err, words
    with pytest.raises(UsageError, match="symbolic link"):
        tracelet.start_run(run_id="link", resume=True, dir=tmp_path / "theirs", plugins=quiet)
    assert sorted((str(path), path.stat().st_mtime_ns) for path in run.dir.rglob("*")) == before
