"""Other tracelet stores: copied exactly, completed later, and never through a link."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

import tracelet
from tracelet.errors import UsageError
from tracelet.journal import compact, read_columns, read_events
from tracelet.store import open_store


@pytest.fixture
def other(target, tmp_path):
    """Return another store with one run that has ended, and one that has not."""
    folder = tmp_path / "other" / ".tracelet"
    settings = {"plugins": ["no:system", "no:environment", "no:gpu"]}
    (tmp_path / "model.pt").write_bytes(b"weights")
    with tracelet.start_run("done", dir=folder, params={"lr": 0.1}, tags={"a": 1}, **settings) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1), "nan": float("nan")}, step=step)
        run.log_artifact(tmp_path / "model.pt")
        run.log_text("note", "hello", step=1)
    return folder


def records(folder, run_id):
    run_dir = folder / "runs" / run_id
    columns = {
        name: (one.steps.tobytes(), one.values.tobytes(), one.times.tobytes(), one.parts)
        for name, one in read_columns(run_dir).items()
    }
    return columns, read_events(run_dir)


def test_a_run_stays_exactly_the_same(target, other):
    [result] = target.load(other)
    assert (result.format, result.points, result.files, result.is_new) == ("tracelet", 200, 2, True)
    assert records(target.dir, result.id) == records(other, result.id)
    run = target.run("done")
    assert (run.dir / run.artifacts[0]["path"]).read_bytes() == b"weights"
    [again] = target.load(other.parent)
    assert (again.points, again.files, again.known_points, again.changed) == (0, 0, 200, False)


def test_params_and_tags_are_counted(target, other):
    def counts(**options):
        return [(one.params, one.tags, one.changed) for one in target.load(other, **options)]

    assert counts(dry_run=True) == [(1, 1, True)]
    assert counts() == [(1, 1, True)]
    open_store(target.dir).edit("done", tags={"a": 2, "b": 3})
    assert counts(dry_run=True) == counts() == [(0, 0, False)]
    open_store(other).edit("done", tags={"c": 4})
    assert counts(dry_run=True) == counts() == [(0, 1, True)]


def test_what_else_belongs_to_a_run_comes_along(target, other):
    [name] = os.listdir(other / "runs")
    for folder in ("console", "code", "delivery", "ranks"):
        (other / "runs" / name / folder).mkdir(exist_ok=True)
        (other / "runs" / name / folder / "file").write_text(folder)
    (other / "runs" / name / "code" / ".x.part").write_text("unfinished")
    target.load(other)
    copied = {path.split("/", 2)[2] for path in target.files() if path.startswith("runs/")}
    assert {"console/file", "code/file"} <= copied
    assert not {"delivery/file", "ranks/file", "code/.x.part"} & copied


def test_one_run_s_folder_and_another_project(target, other):
    [name] = os.listdir(other / "runs")
    [result] = target.load(other / "runs" / name, project="elsewhere")
    assert (result.points, result.project) == (200, "elsewhere")
    assert (target.run("done").project, target.run("done").outcome) == ("elsewhere", "finished")
    assert target.load(other / "runs" / name, project="elsewhere")[0].points == 0


def test_a_run_that_goes_on_is_completed_later(target, other):
    run = tracelet.start_run("live", dir=other, plugins=["no:system", "no:environment", "no:gpu"])
    try:
        run.log_metric("loss", 1.0, 0)
        first = {one.name: one.points for one in target.load(other)}
        run.log_metric("loss", 2.0, 1)
    finally:
        run.finish()
    second = {one.name: one.points for one in target.load(other)}
    assert (first["live"], second["live"], second["done"]) == (1, 1, 0)
    assert records(target.dir, run.id) == records(other, run.id)
    assert target.run("live").outcome == "finished"


def test_a_compacted_run_replaces_one_that_was_copied_before(target, other):
    [result] = target.load(other)
    compact(other / "runs" / result.id)
    assert target.load(other)[0].points == 0
    shutil.rmtree(target.dir)
    assert target.load(other)[0].points == 200
    assert records(target.dir, result.id) == records(other, result.id)


def test_a_dry_run_writes_nothing(target, other):
    [result] = target.load(other, dry_run=True)
    assert (result.points, result.files) == (200, 2)
    assert not target.dir.exists()


def test_the_store_itself_is_refused(target, other):
    target.load(other)
    with pytest.raises(UsageError, match="expected another store"):
        target.load(target.dir, "tracelet")


def test_links_in_the_source_are_not_followed(target, other, tmp_path):
    (tmp_path / "secret").write_text("secret")
    [name] = os.listdir(other / "runs")
    artifacts = other / "runs" / name / "artifacts"
    os.symlink(tmp_path / "secret", artifacts / "stolen.txt")
    os.symlink("/etc", artifacts / "folder")
    os.symlink(other / "runs" / name, other / "runs" / "linked")
    target.load(other)
    assert not [path for path in target.files() if "stolen" in path or "folder" in path or "linked" in path]


def test_a_folder_that_is_no_store(target, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"expected a \.tracelet folder"):
        target.load(tmp_path / "empty", "tracelet")


FOLLOWING = """
import sys
from tracelet.importers import import_runs
print("following", flush=True)
for result in import_runs(sys.argv[1], dir=sys.argv[2], follow=True):
    print(result.name, result.points)
"""


def test_another_store_is_followed_until_ctrl_c(other, tmp_path):
    copied = tmp_path / "copy"
    words = [sys.executable, "-c", FOLLOWING, str(other), str(copied)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        points_of = wait_for(copied, "done", "loss")
        settings = {"plugins": ["no:system", "no:environment", "no:gpu"]}
        with tracelet.start_run("later", dir=other, **settings) as run:
            run.log_metric("acc", 0.5, 1)
        wait_for(copied, "later", "acc")
    finally:
        process.send_signal(2)
        printed = process.communicate(timeout=30)[0]
    assert points_of == 100
    assert process.returncode == 0, printed
    assert set(printed.splitlines()) == {"following", "done 200", "later 1"}


def wait_for(folder, name, metric):
    end = time.monotonic() + 40
    while time.monotonic() < end:
        runs = tracelet.open_store(folder).runs(name=name) if folder.exists() else []
        if runs and metric in runs[0].metrics():
            return len(runs[0].metric(metric))
        time.sleep(0.1)
    raise AssertionError(f"{name} was not copied")


def test_a_packed_file_cannot_be_followed(target, other, tmp_path):
    from tracelet.store.packing import pack

    pack([tracelet.open_store(other).run("done")], tmp_path / "one.html")
    with pytest.raises(UsageError, match="expected a source that grows, found a packed file"):
        target.load(tmp_path / "one.html", follow=True)
