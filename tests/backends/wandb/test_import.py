"""Runs that the real wandb has recorded offline, imported without it: compared with wandb's own protobuf reader."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb", reason="needs wandb: pip install 'tracelet[wandb]'")
import tracelet
from tracelet.importers import import_runs

PROGRAM = """
import math, numpy as np, wandb
run = wandb.init(mode="offline", project="proj", name="my run", group="g1", job_type="train", tags=["a", "b"],
                 notes="some notes", config={"lr": 0.1, "nested": {"x": [1, 2]}})
for i in range(40):
    run.log({"loss": 1 / (i + 1), "count": i, "big": 2**53 + 2 * i, "odd": [math.nan, math.inf, -math.inf, -0.0][i % 4],
             "sub": {"a": i * 0.5}})
run.log({"img": wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8)), "hist": wandb.Histogram([1, 2, 3, 3]),
         "tab": wandb.Table(columns=["x", "y"], data=[[1, "a"], [2, None]])})
run.log({"late": 1.0}, step=50)
run.config.update({"later": 5})
run.summary["best"] = 0.5
print("printed line")
run.finish()
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    environ = {"WANDB_SILENT": "true", "WANDB_DIR": str(folder), "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, env=environ, check=True, timeout=150)
    return folder


def own_records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield where each record begins, and the record as parsed by wandb's generated classes."""
    from wandb.proto import wandb_internal_pb2

    data, at, record, begin = path.read_bytes(), 7, b"", 7
    while at < len(data):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        crc, size, kind = struct.unpack_from("<IHB", data, at)
        part = data[at + 7 : at + 7 + size]
        assert zlib.crc32(bytes([kind]) + part) == crc
        begin = begin if record else at
        at, record = at + 7 + size, record + part
        if kind in (1, 4):
            yield begin, wandb_internal_pb2.Record.FromString(record)
            record = b""


def own_history(path: Path) -> dict[str, list[tuple[int, bytes, float]]]:
    """Return the numbers in the history."""
    found: dict[str, list[tuple[int, bytes, float]]] = {}
    for _, record in own_records(path):
        if record.WhichOneof("record_type") == "history":
            add_row(found, record.history)
    return found


def add_row(found: dict[str, list[tuple[int, bytes, float]]], history: Any) -> None:
    row = {"/".join(one.nested_key) or one.key: json.loads(one.value_json) for one in history.item}
    for name, value in row.items():
        if isinstance(value, (int, float)) and not name.startswith("_") and "packedBins" not in name:
            found.setdefault(name, []).append(
                (row["_step"], struct.pack("<d", value), float(row["_timestamp"]))
            )


def test_every_number_equals_what_wandb_reads(recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = tmp_path / ".tracelet"
    [result] = import_runs(recorded / "wandb", dir=store)
    assert (result.format, result.project, result.damage) == ("wandb", "proj", {})
    run = tracelet.open_store(store).run("my run")
    [path] = recorded.rglob("*.wandb")
    own = own_history(path)
    assert {"loss", "count", "big", "odd", "sub/a", "late"} <= set(own)
    for name in ("loss", "count", "big", "odd", "sub/a", "late"):
        series = run.metric(name)
        points = zip(series.iterations, series.values, series.timestamps, strict=True)
        assert [(int(step), struct.pack("<d", value), float(time)) for step, value, time in points] == own[
            name
        ]
    assert run.params == {"lr": 0.1, "nested/x/0": 1, "nested/x/1": 2, "later": 5}
    assert (run.group, run.notes, run.outcome) == ("g1", "some notes", "finished")
    assert run.tags == {"a": "", "b": ""}
    assert run.facts["wandb"]["summary/best"] == 0.5
    media = {one["name"]: one["media"] for one in run.artifacts}
    assert media["img"] == "image"
    assert media["hist"] == "histogram"
    [log] = [one for one in run.artifacts if one["name"] == "output.log"]
    assert "printed line" in (run.dir / log["path"]).read_text()
    [again] = import_runs(recorded, dir=store, format="wandb")
    assert (again.changed, again.points, again.known_points) == (False, 0, result.points)


def test_a_truncated_file_yields_its_beginning(recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [path] = recorded.rglob("*.wandb")
    rows = [at for at, record in own_records(path) if "loss" in str(record.history)]
    cut = tmp_path / path.name
    cut.write_bytes(path.read_bytes()[: rows[20] + 12])  # in the middle of the 21st row
    [result] = import_runs(cut, dir=tmp_path / ".tracelet")
    run = tracelet.open_store(tmp_path / ".tracelet").run("my run")
    assert list(run.metric("loss").values) == [1 / (i + 1) for i in range(20)]
    assert (run.outcome, result.damage.get("records that are cut off")) == ("killed", 1)
