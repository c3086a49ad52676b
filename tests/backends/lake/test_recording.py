"""What arrives in a lake, and how it is laid out: names, order, statistics, documents, artifacts."""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet

import tracelet
from tracelet.journal import Follower, PointRecord, writers
from tracelet.store import open_store
from tracelet_hookspecs import lake_layout as layout
from tracelet_hookspecs.statistics import MetricAccumulator

QUIET = ["no:system", "no:environment", "no:gpu"]
ODD = [0.1, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308]


def record(root: Path, body: str, **environ: str) -> str:
    """Run a program that records into a lake, and return the run's id."""
    program = (
        "import math, tracelet\n"
        "about = {'params': {'lr': 0.1, 'sizes': [1, 2]}, 'tags': {'team': 'vision'}}\n"
        f"run = tracelet.start_run('first', plugins={QUIET!r}, **about)\n"
        f"{body}\nrun.finish()\nprint(run.id)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def journal_points(root: Path, run: str) -> dict[tuple, tuple]:
    run_dir = root / ".tracelet" / "runs" / run
    found = {}
    for writer in writers(run_dir):
        follower = Follower(run_dir, writer)
        while records := follower.read(1 << 16):
            for one in records:
                if isinstance(one, PointRecord):
                    found[writer, one.seq, one.index] = one
    return found


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def test_points_are_those_of_the_journal_bit_for_bit(lake, project):
    root = project(lake.table)
    body = (
        f"values = {[repr(v) for v in ODD]!r}\n"
        "for step in range(200):\n"
        "    run.log({'loss': float(values[step % 7]), 'val/acc': step}, step=step * 3 - 100)\n"
        "run.log_metric('loss', 1.0)\n"
        "run.log_metric('loss', 2.0, 2**63 - 1)\n"
    )
    run = record(root, body)
    expected = journal_points(root, run)
    rows = lake.read.rows(run)
    assert [(row["writer"], row["sequence"], row["index"]) for row in rows] == sorted(expected)
    for row in rows:
        one = expected[row["writer"], row["sequence"], row["index"]]
        step = None if one.step == -(1 << 63) else one.step
        assert (row["name"], row["step"], row["type"], row["source"]) == (
            one.name,
            step,
            one.type,
            one.source,
        )
        assert bits(row["value"]) == bits(one.value)
        assert bits(row["time"]) == bits(one.time)
        assert row["rank"] is None


def test_the_document_says_what_the_store_says(lake, project):
    root = project(lake.table)
    run = record(root, "for step in range(100): run.log({'loss': 1 / (step + 1)}, step=step)")
    (document,) = lake.read.documents()
    told = open_store(root / ".tracelet").run(run)
    assert lake.read.paths("runs/") == [layout.document_path("digits", run)]
    assert (document["format"], document["id"], document["name"]) == (1, run, "first")
    assert (document["project"], document["outcome"]) == ("digits", "finished")
    assert document["params"] == {"lr": 0.1, "sizes/0": 1, "sizes/1": 2}
    assert document["tags"] == {"team": "vision"}
    assert document["ended_at"] >= document["started_at"] > 1e9
    (entry,) = document["writers"].values()
    (values,) = [values for name, values in entry["metrics"] if name == "loss"]
    mine, summary = MetricAccumulator.from_json(values), told.summary()["loss"]
    assert {
        "count": mine.count,
        "last": mine.last,
        "min": mine.min,
        "max": mine.max,
    }.items() <= summary.items()
    assert document["metrics"]["loss"]["last_step"] == 99
    assert [type for _, type, *_ in entry["events"]][:1] == ["writer"]
    assert "params" in [type for _, type, *_ in entry["events"]]


def test_a_metric_is_found_without_reading_the_others(folder, project):
    root = project(folder.table)
    body = (
        "for step in range(2000): run.log({f'metric/{number:02}': step for number in range(20)}, step=step)"
    )
    run = record(root, body)
    path = max(folder.read.files(run, "metrics"), key=lambda path: len(folder.read.get(path)))
    file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(folder.read.get(path)))
    group = file.metadata.row_group(0)
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    assert columns["name"].statistics.min == "metric/00"
    assert columns["name"].has_column_index
    assert columns["value"].has_offset_index
    assert file.metadata.metadata[b"tracelet.format"] == b"1"
    names = file.read(["name"]).column("name").to_pylist()
    assert names == sorted(names)
    assert len(folder.read.get(path)) < 40_000 * 6  # bytes a point


def test_hive_partitions_are_seen_by_pyarrow(folder, project):
    import pyarrow.dataset

    run = record(project(folder.table), "run.log_metric('loss', 0.5, 1)")
    (path,) = folder.read.files(run, "metrics")
    found = pyarrow.dataset.dataset(
        [f"{folder.read.root}/{path}"], partitioning="hive", partition_base_dir=folder.read.root
    )
    (row,) = found.to_table().to_pylist()
    assert (row["project"], row["run"], row["name"], row["value"]) == ("digits", run, "loss", 0.5)


def test_artifacts_are_stored_once_by_their_content(lake, project):
    root = project(lake.table)
    (root / "data").mkdir()
    (root / "data" / "a.bin").write_bytes(b"weights" * 1000)
    (root / "data" / "b.bin").write_bytes(b"weights" * 1000)
    (root / "data" / "c.bin").write_bytes(b"other")
    body = (
        "run.log_artifact('data'); run.log_artifact('data/c.bin', 'more'); run.log_text('note', 'hello', 3)"
    )
    run, again = record(root, body), record(root, body)
    digests = {hashlib.sha256(content).hexdigest() for content in (b"weights" * 1000, b"other", b"hello")}
    assert {path.rpartition("/")[2] for path in lake.read.paths("artifacts/")} == digests
    for digest in digests:
        assert hashlib.sha256(lake.read.get(layout.artifact_path(digest))).hexdigest() == digest
    for each in (run, again):
        events = lake.read.rows(each, "events")
        files = [row for row in events if row["type"] == "file"]
        assert len(files) == 5
        assert {row["sha256"] for row in files} == digests
        assert [row["index"] for row in files if row["sequence"] == files[0]["sequence"]] == [1, 2, 3]
        (note,) = [row for row in events if row["media"]]
        assert (note["name"], note["step"], note["media"]) == ("note", 3, "text")


def test_every_event_of_the_journal_is_there(folder, project):
    root = project(folder.table)
    body = "run.set_tags({'late': 'yes'}); run.log_params({'inf': math.inf}); run.set_tags({'late': None})"
    run = record(root, body)
    rows = folder.read.rows(run, "events")
    assert rows[0]["type"] == "writer"
    assert {"params", "tags"} <= {row["type"] for row in rows}
    assert all(row["time"] > 1e9 and json.loads(row["payload"]) is not None for row in rows)
    assert json.loads(folder.read.values(run, "params")["inf"]) == "Infinity"


def test_a_run_recorded_earlier_is_added_by_sync(lake, project, tmp_path):
    root = project(lake.table)
    with tracelet.start_run(
        "earlier", project="digits", dir=root / ".tracelet", plugins=[*QUIET, "no:lake"]
    ) as run:
        for step in range(50):
            run.log({"loss": step}, step=step)
    done = subprocess.run(
        [sys.executable, "-m", "tracelet", "sync", run.id, "-p", "lake"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lake.read.rows(run.id)) == 50
    (document,) = lake.read.documents()
    assert document["outcome"] == "finished"
    assert document["started_at"] <= document["ended_at"]
    assert {entry["state"] for entry in document["writers"].values()} == {"ended"}


def test_ranks_of_one_run_are_told_apart(folder, project):
    root = project(folder.table)
    for rank in (1, 0):  # rank 0 delivers what all ranks have recorded in this folder
        program = (
            f"import tracelet\nrun = tracelet.start_run('job', plugins={QUIET!r})\n"
            f"run.log_metric('loss', {rank}, 1)\nrun.finish()"
        )
        environ = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": "29500", "TRACELET_RUN_ID": "job-1", "TRACELET_RANKS": "all"}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    assert [
        (row["rank"], row["value"]) for row in sorted(folder.read.rows("job-1"), key=lambda row: row["rank"])
    ] == [
        (0, 0.0),
        (1, 1.0),
    ]
    (document,) = folder.read.documents()
    assert sorted(entry["rank"] for entry in document["writers"].values()) == [0, 1]
    assert document["metrics"]["loss"]["count"] == 2
