"""Runs that the real Trackio has recorded, compared with its own storage class."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
from datetime import datetime

import pytest

pytest.importorskip("trackio", reason="needs Trackio: pip install 'tracelet[trackio]'")
import tracelet
from tracelet.importers import import_runs

PROGRAM = """
import math, numpy as np, trackio
run = trackio.init(project="proj", name="run a", config={"lr": 0.1, "n": {"x": 1}}, auto_log_cpu=False)
for i in range(30):
    trackio.log({"loss": 1 / (i + 1),
                 "odd": [math.nan, math.inf, -math.inf][i % 3], "sub": {"a": i}, "big": 2**53 + 2 * i})
trackio.log({"img": trackio.Image(np.zeros((4, 4, 3), dtype=np.uint8))})
trackio.finish()
from trackio.sqlite_storage import SQLiteStorage
import json
print("ROWS " + json.dumps(SQLiteStorage.get_logs("proj", "run a")))
"""


def test_every_number_equals_what_trackio_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio"), "GRADIO_ANALYTICS_ENABLED": "False"}
    program = PROGRAM.replace(", auto_log_cpu=False", "")
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, check=True, capture_output=True, text=True, timeout=150
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("ROWS ")]
    rows = json.loads(line.removeprefix("ROWS "))
    store = tmp_path / ".tracelet"
    [result] = import_runs(tmp_path / "trackio", dir=store)
    assert (result.format, result.project, result.damage) == ("trackio", "proj", {})
    run = tracelet.open_store(store).run("run a")
    for name in ("loss", "odd", "big"):
        series = run.metric(name)
        points = zip(series.iterations, series.values, series.timestamps, strict=True)
        assert [(int(step), struct.pack("<d", value), float(time)) for step, value, time in points] == [
            (
                row["step"],
                struct.pack("<d", number(row[name])),
                datetime.fromisoformat(row["timestamp"]).timestamp(),
            )
            for row in rows
            if name in row
        ]
    assert list(run.metric("sub/a").values) == [float(i) for i in range(30)]
    assert run.params == {"lr": 0.1, "n/x": 1}
    assert [one["media"] for one in run.artifacts] == ["image"]
    [again] = import_runs(tmp_path / "trackio", dir=store)
    assert (again.changed, again.known_points) == (False, result.points)


def number(value: object) -> float:
    names = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    return names[value] if isinstance(value, str) else float(value)  # type: ignore[arg-type]
