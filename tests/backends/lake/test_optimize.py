"""Merging small files: nothing is lost or repeated, whoever reads, writes, merges or is killed meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tracelet.lake.changing import Changed, ChangingStorage
from tracelet.lake.optimize import optimize
from tracelet_builtin_plugins.backends.lake import LakeBackend
from tracelet_hookspecs import MetricData
from tracelet_hookspecs import lake_layout as layout

ID = "0" * 32
HOUR = 3600.0


@pytest.fixture
def view(tmp_path: Any) -> SimpleNamespace:
    """Return a run as hooks see it."""
    (tmp_path / "run-1").mkdir()
    return SimpleNamespace(
        id="run-1", name="first", project="tests", dir=tmp_path / "run-1", started_at=1_750_000_000.0
    )


@pytest.fixture
def plugin(lake: Any) -> Any:
    """Return the plugin, started."""
    plugin = LakeBackend()
    plugin.initialize(lake.table)
    plugin.start()
    yield plugin
    plugin.stop()


@pytest.fixture
def storage(lake: Any) -> ChangingStorage:
    """Return the lake's objects."""
    return ChangingStorage(lake.url, lake.table.get("storage_options"))


def write(plugin: LakeBackend, view: Any, first: int, files: int) -> None:
    """Write files of ten points each, of two metrics."""
    for start in range(first, first + 10 * files, 10):
        points = [
            MetricData(f"m{at % 2}", at / 2, iteration=at, timestamp=1.75e9 + at, id=(ID, at, 0))
            for at in range(start, start + 10)
        ]
        plugin.log_metrics(points, view)


def sequences(lake: Any) -> list[int]:
    return [row["sequence"] for row in lake.read.rows("run-1")]


def all_files(lake: Any) -> list[str]:
    return [path for path in lake.read.paths("project=") if "/metrics/" in path]


def test_small_files_become_one_and_old_ones_stay_for_the_grace_period(plugin, lake, view, storage):
    write(plugin, view, 1, 12)
    before = lake.read.metrics("run-1")
    (done,) = optimize(storage, grace=HOUR, now=lambda: 1e9)
    assert (done.merged, done.into, done.rows, done.repeated, done.error) == (12, 1, 120, 0, None)
    assert lake.read.metrics("run-1") == before
    assert sequences(lake) == list(range(1, 121))
    assert len(lake.read.files("run-1", "metrics")) == 1
    assert len(all_files(lake)) == 13  # readers that have listed the old ones can still read them
    assert next(iter(optimize(storage, grace=HOUR, now=lambda: 1e9 + HOUR - 1))).deleted == 0
    (done,) = optimize(storage, grace=HOUR, now=lambda: 1e9 + HOUR)
    assert (done.deleted, done.merged) == (12, 0)
    assert len(all_files(lake)) == 1
    assert lake.read.metrics("run-1") == before


def test_a_merged_file_is_sorted_by_name_and_keeps_statistics(plugin, lake, view, storage):
    write(plugin, view, 1, 9)
    list(optimize(storage))
    (path,) = lake.read.files("run-1", "metrics")
    file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(lake.read.get(path)))
    names = file.read(["name"]).column("name").to_pylist()
    assert names == ["m0"] * 45 + ["m1"] * 45
    assert file.metadata.metadata[b"tracelet.format"] == b"1"
    assert file.metadata.row_group(0).column(0).has_column_index


def test_a_run_that_goes_on_is_merged_again_and_again(plugin, lake, view, storage):
    for round in range(4):
        write(plugin, view, 1 + 100 * round, 10)
        list(optimize(storage, grace=0, now=lambda: 1e9 + round))  # noqa: B023
    list(optimize(storage, grace=0, now=lambda: 1e9 + 9))
    assert sequences(lake) == list(range(1, 401))
    assert len(all_files(lake)) == 1


def test_few_files_are_left_as_they_are(plugin, lake, view, storage):
    write(plugin, view, 1, 7)
    (done,) = optimize(storage)
    assert (done.merged, done.deleted) == (0, 0)
    assert len(lake.read.files("run-1", "metrics")) == 7


def test_repeated_rows_are_left_out(plugin, lake, view, storage):
    write(plugin, view, 1, 8)
    (path,) = lake.read.files("run-1", "metrics")[3:4]
    name = layout.parse_file_name(path)._replace(first=layout.Place(0))
    storage.write(layout.data_file("tests", "run-1", "metrics", name), lake.read.get(path))
    assert len(sequences(lake)) == 90
    (done,) = optimize(storage)
    assert done.repeated == 10
    assert sequences(lake) == list(range(1, 81))


@pytest.mark.parametrize("dies_at", ["write", "replace", "delete"])
def test_a_merge_that_was_killed_is_completed_by_the_next(plugin, lake, view, storage, dies_at, monkeypatch):
    write(plugin, view, 1, 8)
    if dies_at == "delete":
        list(optimize(storage, grace=0, now=lambda: 1e9))

    class Killed(BaseException):
        pass

    original = getattr(storage, dies_at)

    def die(*arguments: Any) -> None:
        if dies_at == "write":
            original(*arguments)
        raise Killed

    monkeypatch.setattr(storage, dies_at, die)
    with pytest.raises(Killed):
        list(optimize(storage, grace=0, now=lambda: 1e9 + 1))
    assert sequences(lake) == list(range(1, 81))
    monkeypatch.undo()
    write(plugin, view, 81, 8)
    list(optimize(storage, grace=0, now=lambda: 1e9 + 2))
    assert sequences(lake) == list(range(1, 161))
    list(optimize(storage, grace=0, now=lambda: 1e9 + 3))
    assert len(all_files(lake)) == 1
    assert sequences(lake) == list(range(1, 161))


def test_of_two_merges_at_once_one_wins(plugin, lake, view, storage, monkeypatch):
    write(plugin, view, 1, 8)
    original = storage.replace

    def late(*arguments: Any) -> None:
        monkeypatch.undo()
        other = ChangingStorage(lake.url, lake.table.get("storage_options"))
        write(plugin, view, 81, 1)
        assert next(iter(optimize(other))).merged == 9
        original(*arguments)

    monkeypatch.setattr(storage, "replace", late)
    (done,) = optimize(storage)
    assert (done.merged, done.error) == (0, None)
    assert sequences(lake) == list(range(1, 91))


def test_a_manifest_is_replaced_only_if_nobody_else_did(storage, plugin, view):
    write(plugin, view, 1, 1)
    path = layout.manifest_path("tests", "run-1")
    storage.replace(path, b"{}", None)
    with pytest.raises(Changed):
        storage.replace(path, b"{ }", None)
    found = storage.read_versioned(path)
    storage.replace(path, b'{"a": 1}', found[1])
    with pytest.raises(Changed):
        storage.replace(path, b"{}", found[1])
    assert storage.read(path) == b'{"a": 1}'


def test_the_command(plugin, lake, view, project):
    write(plugin, view, 1, 9)
    root = project(lake.table)
    command = [sys.executable, "-m", "tracelet", "lake", "optimize", lake.url, "--grace", "0"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "9 files merged into 1" in done.stdout
    done = subprocess.run([*command, "--json"], cwd=root, capture_output=True, text=True, timeout=120)
    assert [run["deleted"] for run in json.loads(done.stdout)["runs"]] == [9]
    assert sequences(lake) == list(range(1, 91))
