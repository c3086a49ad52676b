"""Changes of a run after the fact: appended, ordered whatever the clock says, and taken by runs in any state."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.errors import StoreError, UsageError
from tracelet.journal import Writer, compact, writers
from tracelet.journal.reading.lifetime import liveness
from tracelet.journal.writing import stream, writer


def both(records, run="r"):
    """Return a run as read from its journal, and as a list shows it."""
    store = records.store()
    [listed] = [one for one in store.runs(archived=None) if one.id == run]
    return store.run(run), listed


def test_every_field_can_be_changed_and_taken_back(records):
    records.run("parent", {"loss": [1.0]})
    folder = records.run("r", {"loss": [1.0]}, tags={"team": "vision", "old": 1})
    before = {file.name: file.read_bytes() for file in (folder / "journal").iterdir()}
    records.store().edit(
        "r",
        name="best one",
        notes="# Why\n\nit *works*",
        tags={"good": True},
        untag="old",
        group="sweep",
        parent="parent",
        job_type="train",
        archived=True,
    )
    for run in both(records):
        assert (run.name, run.notes, run.group, run.parent, run.job_type, run.archived) == (
            *("best one", "# Why\n\nit *works*", "sweep", "parent", "train", True),
        )
        assert run.tags == {"team": "vision", "good": True}
        assert (run.outcome, len(run.writers)) == ("finished", 1)
        assert [list(edit["changes"]) for edit in run.edits][1:] == [["tags"], ["untag"]]
    assert records.store().run("parent").children == ["r"]
    after = {file.name: file.read_bytes() for file in (folder / "journal").iterdir()}
    assert {name: after[name] for name in before} == before  # nothing is overwritten
    records.store().edit("r", notes="", group="", parent="", job_type="", archived=False)
    for run in both(records):
        assert (run.notes, run.group, run.parent, run.job_type, run.archived) == (
            None,
            None,
            None,
            None,
            False,
        )
    assert records.store().run("parent").children == []


def test_archived_runs_are_left_out_unless_they_are_wanted(records):
    for run in "ab":
        records.run(run, group=None)
    store = records.store()
    store.edit("a", archived=True, group="old")
    ids = lambda **wanted: [run.id for run in store.runs(sort="id", **wanted)]  # noqa: E731
    assert ids() == ["b"]
    assert ids(archived=None) == ["a", "b"]
    assert ids(archived=True) == ids(where="archived") == ids(where="archived == true") == ["a"]
    assert ids(where="not archived") == ids(where="archived = false") == ["b"]
    assert ids(where="group == 'old' and archived") == ["a"]
    assert ids(group="old") == []
    assert ids(group="old", archived=None) == ["a"]
    assert store.run("a").archived
    assert store.run("latest").id == "b"


def test_lists_know_group_parent_job_type_and_notes(records):
    for run in "abc":
        records.run(run)
    store = records.store()
    store.edit("a", group="x", job_type="eval", notes="slow")
    store.edit("b", group="y", parent="a", job_type="train")
    ids = lambda **wanted: [run.id for run in store.runs(**wanted)]  # noqa: E731
    assert ids(where="group in ('x', 'y')", sort="-group") == ["b", "a"]
    assert ids(where="parent = 'a'") == ids(parent="a") == ["b"]
    assert ids(where="notes ~ 'sl*'") == ids(where="job_type == 'eval'") == ["a"]
    assert ids(where="group == none") == ["c"]
    assert ids(sort="job_type,id") == ["a", "b", "c"]
    frame = store.dataframe(sort="id", library="pandas")
    assert list(frame["group"].fillna("")) == ["x", "y", ""]


def test_a_live_run_a_killed_one_and_a_compacted_one_take_edits(records):
    live = records.start("live")
    live.event("tags", {"tags": {"team": "vision"}})
    records.store().edit("live", name="renamed", tags={"team": "audio"})
    for run in both(records, "live"):
        assert (run.name, run.tags, run.outcome) == ("renamed", {"team": "audio"}, "running")
    live.event("tags", {"tags": {"team": "text"}})
    for run in both(records, "live"):
        assert run.tags == {"team": "text"}  # what comes later counts
    live.close("failed", "why")
    compact(records.folder("live"))
    records.store().edit("live", notes="after compaction")
    compact(records.folder("live"))
    for run in both(records, "live"):
        assert (run.name, run.notes, run.outcome, run.error) == (
            "renamed",
            "after compaction",
            "failed",
            "why",
        )


def test_a_killed_run_stays_killed(records, program):
    process = program(
        """
        import os, sys
        from pathlib import Path
        from tracelet.journal import Writer
        writer = Writer(Path(sys.argv[1], "runs", "r"), {"run": {"id": "r", "name": "r", "project": "p"}})
        writer.point("loss", 1.0, 0)
        os.kill(os.getpid(), 9)
        """
    )
    process.wait(30)
    ended = records.store().run("r").ended_at
    records.store().edit("r", name="other")
    for run in both(records):
        assert (run.outcome, run.ended_at, run.name) == ("killed", ended, "other")


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["name", "group", "notes", "tag", "untag", "archived"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(-1000, 1000),  # seconds that the clock of the machine that edits is wrong
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(changes=CHANGES)
def test_the_last_edit_counts_whatever_the_clocks_say(changes, tmp_path_factory):
    from tests.store.conftest import Records

    data = tmp_path_factory.mktemp("edits") / ".tracelet"
    data.mkdir()
    records = Records(data)
    records.run("r", tags={"a": "0"})
    expected: dict[str, object] = {"name": "r", "group": None, "notes": None, "archived": False}
    tags = {"a": "0"}
    for kind, value, skew in changes:
        with pytest.MonkeyPatch.context() as patch:
            clock = lambda skew=skew: time.time_ns() / 1e9 + skew  # noqa: E731
            patch.setattr(writer, "_now", clock)
            patch.setattr(stream.time, "time", clock)
            if kind == "untag" and value not in tags:
                continue
            given = {"tag": {"tags": {value: str(skew)}}, "untag": {"untag": [value]}}.get(kind)
            given = given or {kind: value == "a" if kind == "archived" else value}
            records.store().edit("r", **given)
        if kind == "tag":
            tags[value] = str(skew)
        elif kind == "untag":
            del tags[value]
        else:
            expected[kind] = given[kind]
    for run in both(records):
        assert {key: getattr(run, key) for key in expected} == expected
        assert run.tags == tags
        assert run.outcome == "finished"


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, UsageError, "expected something to change"),
        ({"name": ""}, UsageError, "name:"),
        ({"name": 5}, UsageError, "name: expected a text, found 5"),
        ({"archived": "yes"}, UsageError, "archived: expected True or False"),
        ({"untag": "taem"}, StoreError, "has no tag 'taem' (did you mean 'team'?)"),
        ({"untag": "team", "tags": {"team": 1}}, UsageError, "to set or to remove tag 'team'"),
        ({"tags": {"a": [1]}}, UsageError, "tag 'a': expected a text, a number or a truth value"),
        ({"parent": "../x"}, UsageError, "parent: expected the id of a run"),
        ({"parent": "nobody"}, StoreError, "no run 'nobody'"),
        ({"parent": "r"}, UsageError, "cannot be below itself"),
        ({"parent": "child"}, UsageError, "cannot be below itself"),
    ],
)
def test_a_mistake_changes_nothing(records, given, error, text):
    records.run("r", tags={"team": "vision"})
    records.run("child")
    store = records.store()
    store.edit("child", parent="r")
    with pytest.raises(error) as raised:
        store.edit("r", **given)
    assert text in str(raised.value)
    assert store.run("r").edits == []


def test_secrets_in_tags_and_notes_are_masked(records):
    records.run("r")
    records.store().edit("r", tags={"api_key": "tok-123456"}, notes="see https://me:hunter22@example.org/x")
    run = records.store().run("r")
    assert "tok-123456" not in str(run.tags)
    assert "hunter22" not in run.notes
    assert b"hunter22" not in b"".join(file.read_bytes() for file in (run.dir / "journal").iterdir())


def test_an_edit_that_cannot_be_written_is_an_error(records, monkeypatch):
    records.run("r")
    monkeypatch.setattr("tracelet.store.editing.Writer.event", lambda *_: None)
    monkeypatch.setattr("tracelet.store.editing.Writer.close", lambda *_: None)
    with pytest.raises(OSError, match="the change could not be written"):
        records.store().edit("r", name="x")


def test_what_is_no_run_cannot_be_edited(records):
    folder = records.folder("old")
    (folder / "journal").mkdir(parents=True)
    (folder / "journal" / ("0" * 32 + ".0.trj")).write_text("nonsense")
    (records.data / "runs" / "link").symlink_to(records.run("r"), target_is_directory=True)
    with pytest.raises(OSError, match="symbolic link"):
        records.store().edit("link", name="x")


def test_nothing_but_edits_is_no_run(records):
    """Somebody may delete the journal of a run and keep the files of its edits."""
    records.run("r")
    records.store().edit("r", name="edited")
    first = min((records.folder("r") / "journal").iterdir())
    first.unlink()
    for run in both(records):
        assert run.outcome == "empty"


def test_a_process_that_only_edits_is_no_process_of_the_run(records):
    records.run("r", rank=0, world_size=1)
    records.store().edit("r", name="x")
    run = records.store().run("r")
    assert [process.rank for process in run.writers] == [0]
    assert len(writers(run.dir)) == 2
    assert {liveness(run.dir, one) for one in writers(run.dir)} == {"ended"}


def test_an_edit_in_progress_does_not_make_a_run_live(records):
    records.run("r")
    edit = Writer(records.folder("r"), {"edit": True})
    try:
        for run in both(records):
            assert run.outcome == "finished"
    finally:
        edit.close(None)
