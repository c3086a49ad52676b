"""Times that are none, in a journal from someone else: the record stays, and every output shows a valid time."""

from __future__ import annotations

import json
import math
import re
import shutil
import struct
import zlib

import pytest

import tracelet
from tracelet.cli import main
from tracelet.journal import Damage, Follower, Writer, compact, read_columns, writers
from tracelet.journal.format import HEADER, SLOT

ODD = [math.nan, -math.nan, 1e300, -1e300, math.inf, -math.inf, -1.0, 253402300800.0]
LATEST = 253402300799.0


def with_odd_times(run_dir):
    """Give each record another of the odd times; return how many points and events have one."""
    writer = Writer(run_dir, {"run": {"id": run_dir.name, "name": "odd"}})
    for step in range(600):
        writer.point("points", step, step)
    for step in range(8):
        writer.row({"a": step, "b": step}, step)
        writer.event("params", {"params": {f"p{step}": step}})
    writer.close("finished")
    [file] = (run_dir / "journal").iterdir()
    data = bytearray(file.read_bytes())
    records = at = 0
    while HEADER + (at + 1) * SLOT <= len(data):
        start = HEADER + at * SLOT
        kind = data[start + 27]
        size = struct.unpack_from("<I", data, start + 4)[0] if kind in (2, 3) else 0
        if kind in (1, 2, 3):
            data[start + 16 : start + 24] = struct.pack("<d", ODD[records % len(ODD)])
            data[start + 28 : start + 32] = struct.pack("<I", zlib.crc32(data[start : start + 28], at))
            records += 1
        at += 1 + -(-size * (8 if kind == 2 else 1) // SLOT)
    data[56:64] = struct.pack("<d", math.nan)
    file.write_bytes(data)


@pytest.fixture
def data(tmp_path):
    with_odd_times(tmp_path / "runs" / "odd")
    shutil.copytree(tmp_path / "runs" / "odd", tmp_path / "runs" / "packed")
    compact(tmp_path / "runs" / "packed")
    return tmp_path


@pytest.mark.parametrize("run", ["odd", "packed"])
@pytest.mark.parametrize("numpy", [True, False])
def test_readers_keep_the_records_and_count_the_times(data, run, numpy):
    damage = Damage()
    found = read_columns(data / "runs" / run, damage=damage, numpy=numpy)
    assert list(found["points"].values) == list(range(600))
    assert set(map(float, found["points"].times)) == {0.0, LATEST}
    assert set(map(float, found["a"].times)) == {0.0, LATEST}
    assert damage.counts["time"] >= 616
    [writer] = writers(data / "runs" / run)
    follower = Follower(data / "runs" / run, writer)
    records = follower.read(10_000)
    assert {record.time for record in records} == {0.0, LATEST}
    assert follower.damage.counts["time"] >= 616


def test_a_valid_time_is_no_damage(tmp_path):
    with Writer(tmp_path / "run", {}) as writer:
        for step in range(500):
            writer.point("x", step, step)
    damage = Damage()
    read_columns(tmp_path / "run", damage=damage)
    assert not damage


@pytest.mark.parametrize("run", ["odd", "packed"])
def test_every_command_shows_valid_times(data, run, capsys):
    for words in (
        ["runs"],
        ["runs", "--json"],
        ["show", run, "--all"],
        ["show", run, "--json"],
        ["compare", "odd", "packed"],
        ["compare", "odd", "packed", "--json"],
        ["export", run],
        ["export", run, "--format", "json"],
        ["export", run, "--format", "jsonl"],
        ["export", run, "--format", "parquet", "--output", str(data / "x.parquet")],
        ["verify", run],
        ["verify", run, "--json"],
        ["sync", run, "-p", "jsonl", "--json"],
        ["doctor"],
    ):
        assert main([*words, "--dir", str(data)]) in (0, 1), words
        out, err = capsys.readouterr()
        assert "Traceback" not in err, words
        assert "1e+300" not in out, words
        assert not re.search(r"\bnan\b", out, re.IGNORECASE), words
        if "--json" in words:
            json.loads(out, parse_constant=pytest.fail)
    lines = (data / "runs" / run / "events.jsonl").read_text().splitlines()
    times = {line["time"] for line in map(json.loads, lines) if line["type"] == "metric"}
    assert times == {0.0, LATEST}


def test_frames_and_series_have_valid_times(data):
    run = tracelet.open_store(data).run("odd")
    assert run.damage["time"] >= 8  # of its events; verify counts all
    series = run.metric("points")
    assert set(map(float, series.timestamps)) == {0.0, LATEST}
    frame = series.dataframe(library="pandas")
    assert len(frame) == 600
    assert tracelet.open_store(data).dataframe(library="pandas").shape[0] == 2
