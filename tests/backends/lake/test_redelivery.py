"""Batches that are cut differently each time that they are delivered, with crashes between any two steps."""

from __future__ import annotations

import random
import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from tracelet_builtin_plugins.backends.lake import LakeBackend
from tracelet_hookspecs import MetricData

ID = "0" * 32
COUNT = 60


@pytest.fixture
def view(tmp_path: Any) -> SimpleNamespace:
    """Return a run as hooks see it."""
    (tmp_path / "run-1").mkdir()
    return SimpleNamespace(id="run-1", name="r", project="p", dir=tmp_path / "run-1", started_at=1.75e9)


def point(at: int) -> MetricData:
    return MetricData("loss", at / 7, iteration=at, timestamp=1.75e9 + at, id=(ID, at // 2, at % 2))


def start(table: dict[str, Any]) -> LakeBackend:
    plugin = LakeBackend()
    plugin.initialize(table)
    plugin.start()
    return plugin


class Crash(Exception):
    """The process ends here."""


def crash_at_create(plugin: LakeBackend, view: Any, *, after: bool) -> None:
    """Have the plugin's next file end in a crash, before or after it is there."""
    objects = plugin._writer_of(view)._objects
    create = objects.create

    def crash(path: str, data: bytes) -> None:
        if after:
            create(path, data)
        raise Crash

    objects.create = crash


@pytest.mark.parametrize("seed", range(12))
def test_each_point_is_stored_once_however_batches_are_cut(folder, view, seed):
    chance = random.Random(seed)
    plugin, booked = start(folder.table), 0
    for _ in range(12):
        first = max(0, booked - chance.randrange(15)) if chance.random() < 0.5 else booked
        batch = [point(at) for at in range(first, min(COUNT, first + chance.randrange(1, 20)))]
        how = chance.choice(["fine", "fine", "not booked", "before", "after"])
        if how in ("before", "after"):
            crash_at_create(plugin, view, after=how == "after")
        try:
            plugin.log_metrics(batch, view)
            booked = max(booked, first + len(batch)) if how == "fine" else booked
        except Crash:
            pass
        if how != "fine":
            plugin = start(folder.table)  # the process was killed
    plugin.log_metrics([point(at) for at in range(booked, COUNT)], view)
    start(folder.table).log_metrics([point(at) for at in range(COUNT)], view)
    rows = folder.read.rows("run-1")
    assert [(row["sequence"], row["index"], row["value"]) for row in rows] == [
        (at // 2, at % 2, at / 7) for at in range(COUNT)
    ]
    (document,) = folder.read.documents()
    assert document["metrics"]["loss"]["count"] == COUNT


def test_a_record_that_comes_late_is_stored_even_if_files_surround_it(folder, view):
    plugin = start(folder.table)
    plugin.log_metrics([point(at) for at in range(20) if at != 7], view)
    plugin.log_metrics([point(at) for at in range(20, 40)], view)
    plugin = start(folder.table)
    plugin.log_metrics([point(7), *(point(at) for at in range(40, 50))], view)
    assert [row["step"] for row in folder.read.rows("run-1")] == list(range(50))


def test_without_the_note_files_overlap_but_no_record_is_lost(folder, view):
    start(folder.table).log_metrics([point(at) for at in range(20)], view)
    shutil.rmtree(view.dir / "lake")
    start(folder.table).log_metrics([point(at) for at in range(30)], view)
    assert len(folder.read.rows("run-1")) == 50
    assert len(folder.read.metrics("run-1")["loss"]) == 30


def test_a_damaged_note_and_a_linked_folder_cost_nothing(folder, view, tmp_path):
    start(folder.table).log_metrics([point(at) for at in range(10)], view)
    (note,) = (view.dir / "lake").glob("*.ranges")
    note.write_bytes(note.read_bytes() + b"\xff\n1 2\n" + ID.encode() + b" 5.0")
    (kept,) = (view.dir / "lake").glob("*.document")
    kept.write_bytes(b'{"one": {"at": "x"}, "two": [], "three": {"at": "0000000000000009", "metrics": [1]}}')
    start(folder.table).log_metrics([point(at) for at in range(10, 20)], view)
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(view.dir / "lake")
    (view.dir / "lake").symlink_to(tmp_path / "elsewhere")
    start(folder.table).log_metrics([point(at) for at in range(20, 30)], view)
    assert not list((tmp_path / "elsewhere").iterdir())
    assert [row["step"] for row in folder.read.rows("run-1")] == list(range(30))


def test_another_rank_that_delivers_the_rest_leaves_the_outcome_to_rank_zero(folder, view):
    """It ends after rank 0, in the same folder, and sees rank 0's process in it."""
    first = start(folder.table)
    first.log_event("writer", {"rank": 0}, 1.0, view, ("a" * 32, 0, 0))
    first.run_ended(view, "finished")
    first.stop()
    view.is_part, view.writer_states = True, {"a" * 32: ("ended", 2.0), "b" * 32: ("killed", 2.0)}
    second = start(folder.table)
    second.log_event("writer", {"rank": 1}, 1.0, view, ("b" * 32, 0, 0))
    second.stop()
    (document,) = folder.read.documents()
    states = {entry["rank"]: entry["state"] for entry in document["writers"].values()}
    assert (document["outcome"], states) == ("finished", {0: "ended", 1: "killed"})
