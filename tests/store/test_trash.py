"""Deleted runs: in the trash, restored, removed for good."""

from __future__ import annotations

import os

import pytest

from tracelet.errors import StoreError


def test_a_deleted_run_comes_back_as_it_was(records):
    folder = records.run("r", {"loss": [1.0, 2.0]}, tags={"team": "vision"})
    records.run("other")
    before = {path.name: path.read_bytes() for path in (folder / "journal").iterdir()}
    store = records.store()
    where = store.delete("r")
    assert (where.exists(), folder.exists()) == (True, False)
    assert [run.id for run in store.runs()] == ["other"]
    [deleted] = store.trash()
    assert (deleted.id, deleted.name, deleted.dir) == ("r", "r", where)
    assert deleted.size == sum(map(len, before.values()))
    run = store.restore("r")
    assert run.metric("loss").values == [1.0, 2.0]
    assert {path.name: path.read_bytes() for path in (folder / "journal").iterdir()} == before
    assert store.trash() == []


def test_a_run_that_is_recording_is_refused(records):
    writer = records.start("r")
    store = records.store()
    with pytest.raises(StoreError, match=rf"still recording \(process {os.getpid()} on .*end it first"):
        store.delete("r")
    (records.folder("new")).mkdir()
    with pytest.raises(StoreError, match="about to begin"):
        store.delete("new")
    writer.close()
    store.delete("r")


def test_a_forked_child_that_records_on_is_refused(records):
    records.run("r")
    child = records.start("r")
    child.close(None)
    late = records.start("r", owner="x")  # its parent has ended
    with pytest.raises(StoreError, match="still recording"):
        records.store().delete("r")
    late.close()


def test_several_runs_of_one_id_have_room_in_the_trash(records):
    store = records.store()
    for value in (1.0, 2.0):
        records.run("job", {"loss": [value]})
        store.delete("job")
    assert [run.id for run in store.trash()] == ["job", "job"]
    assert store.restore("job").metric("loss").values == [2.0]  # the one deleted last
    with pytest.raises(StoreError, match="another run of this id"):
        store.restore("job")
    store.delete("job")
    assert len(store.empty_trash()) == 2
    assert store.trash() == []
    assert store.empty_trash() == []


def test_a_run_is_found_in_the_trash_by_its_name(records):
    records.run("r")
    store = records.store()
    store.edit("r", name="the best")
    store.delete("the best")
    with pytest.raises(StoreError, match=r"no run 'the bets' in the trash .*did you mean 'the best'"):
        store.restore("the bets")
    assert store.restore("the best").id == "r"


def test_nothing_outside_the_trash_is_removed(records, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    folder = records.run("r")
    (folder / "artifacts").symlink_to(outside)
    linked = tmp_path / "elsewhere"
    os.rename(records.run("linked"), linked)
    (records.data / "runs" / "linked").symlink_to(linked)
    store = records.store()
    store.delete("r")
    store.delete("linked")
    assert len(store.empty_trash()) == 2
    assert (outside / "file").read_text() == "kept"
    assert (linked / "journal").is_dir()


def test_a_trash_that_is_a_link_is_refused(records, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("kept")
    (records.data / "trash").symlink_to(tmp_path / "outside")
    records.run("r")
    store = records.store()
    for call in (lambda: store.delete("r"), store.trash, store.empty_trash):
        with pytest.raises(OSError, match="symbolic link"):
            call()
    assert (tmp_path / "outside" / "file").exists()


def test_read_only_folders_are_removed_too(records):
    folder = records.run("r")
    inside = folder / "artifacts" / "model"
    inside.mkdir(parents=True)
    (inside / "weights").write_text("x")
    inside.chmod(0o500)
    store = records.store()
    store.delete("r")
    assert [run.id for run in store.empty_trash()] == ["r"]


def test_a_run_outside_a_store_has_no_trash(records, tmp_path):
    os.rename(records.run("r"), tmp_path / "copied")
    from tracelet.store import open_store

    store = open_store(tmp_path / "copied")
    with pytest.raises(StoreError, match="not in a store"):
        store.delete(store.run())
