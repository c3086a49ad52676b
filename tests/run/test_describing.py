"""Group, parent, kind of work and notes of a run, and its rules about metrics."""

from __future__ import annotations

import pytest
from tests.run.conftest import QUIET, read

import tracelet
from tracelet.errors import NoActiveRunError, UsageError


def start(tmp_path, name, **given):
    return tracelet.start_run(name, dir=tmp_path / "data", plugins=QUIET, **given)


def test_where_a_run_belongs_is_read_back(run, tmp_path):
    with start(tmp_path, "child", group="sweep", parent=run, job_type="eval", notes="# One\ntwo") as child:
        assert (child.group, child.parent, child.job_type, child.notes) == (
            "sweep",
            run.id,
            "eval",
            "# One\ntwo",
        )
    with start(tmp_path, "other", parent=run.id):
        pass
    record = read(child)
    assert (record.group, record.parent, record.job_type, record.notes) == (
        "sweep",
        run.id,
        "eval",
        "# One\ntwo",
    )
    assert record.edits == []
    assert [read(run).refresh().children[0], len(read(run).children)] == [child.id, 2]


def test_it_can_be_changed_while_the_run_goes_on(run):
    run.group, run.notes = "a", "first"
    run.group = "a"  # nothing changes, so nothing is recorded
    run.describe(group="b", job_type="train")
    run.notes = None
    record = read(run)
    assert (run.group, run.notes, run.job_type) == ("b", None, "train")
    assert (record.group, record.notes, record.job_type) == ("b", None, "train")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"group": 5}, "group: expected a text, found 5"),
        ({"parent": 5}, "parent: expected a run or its id, found 5"),
        ({"parent": "../other"}, "parent: expected the id of a run"),
        ({"notes": ["a"]}, "notes: expected a text"),
        ({"job_type": {}}, "job_type: expected a text"),
    ],
)
def test_a_mistake_is_an_error_before_the_run_begins(tmp_path, given, text):
    with pytest.raises(UsageError) as raised:
        start(tmp_path, "r", **given)
    assert text in str(raised.value)
    assert not (tmp_path / "data").exists()


def test_a_run_is_not_its_own_parent(run):
    with pytest.raises(UsageError, match="cannot be its own parent"):
        run.parent = run.id


def test_a_resumed_run_does_not_undo_edits(tmp_path):
    with start(tmp_path, "r", run_id="r", group="a", tags={"team": "vision"}):
        pass
    store = tracelet.open_store(tmp_path / "data")
    store.edit("r", name="the best", group="b", notes="look at this", tags={"good": True})
    with start(tmp_path, "r", run_id="r", resume=True, group="a") as run:
        assert (run.name, run.group, run.notes) == ("the best", "b", "look at this")
    record = store.run("r")
    assert (record.name, record.group, record.notes) == ("the best", "b", "look at this")
    assert record.tags == {"team": "vision", "good": True}
    assert [process.attempt for process in record.writers] == [0, 1]
    with start(tmp_path, "another", run_id="r", resume=True, group="c") as run:
        assert (run.name, run.group) == ("another", "c")  # what the program says now counts
    record = store.run("r")
    assert (record.name, record.group, record.notes) == ("another", "c", "look at this")


def test_an_edit_is_no_launch_of_a_job(tmp_path, monkeypatch):
    """The ranks of a job resume what earlier launches recorded; an edit is none of these."""
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "TORCHELASTIC_RUN_ID": "job",
    }.items():
        monkeypatch.setenv(name, value)
    with start(tmp_path, "r", run_id="r"):
        tracelet.open_store(tmp_path / "data").edit("r", name="edited")
        monkeypatch.setenv("RANK", "1")
        with start(tmp_path, "r", run_id="r") as other:
            assert other.last_step is None
    assert {process.attempt for process in tracelet.open_store(tmp_path / "data").run("r").writers} == {0}


def test_a_rule_of_the_run_decides_which_value_is_best(run):
    run.define_metric("odd", goal="max")
    tracelet.define_metric("val/*", goal="last")
    for step, value in enumerate((1.0, 3.0, 2.0)):
        run.log({"odd": value, "val/acc": value}, step=step)
    record = read(run)
    assert (record.goal("odd"), record.best("odd").value, record.best("odd").iteration) == ("max", 3.0, 1)
    assert (record.goal("val/acc"), record.best("val/acc").value) == ("last", 2.0)


def test_a_mistake_in_a_rule_is_an_error(run):
    with pytest.raises(UsageError, match="expected goal 'min', 'max' or 'last', found 'maximize'"):
        run.define_metric("acc", goal="maximize")
    with pytest.raises(UsageError, match="expected the name of a metric"):
        run.define_metric(5, goal="max")
    run.finish()
    with pytest.raises(NoActiveRunError):
        run.define_metric("acc", goal="max")
