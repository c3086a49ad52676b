"""Runs exported for other programs: every name and value can be read back, whatever it is."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys

import pytest

from tracelet.errors import MissingExtraError
from tracelet.store import export

NAMES = [
    "a,b",
    'c"d',
    "e\nf",
    "g\rh",
    "i\r\nj",
    " k ",
    "'",
    "plain",
    "größe/日本",
    "x" * 5000,
    "tab\tin",
    "\u2028",
]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"]
NOT_UNICODE = "duration/caf\udce9.wav"


def record_names(records, names):
    writer = records.start("r")
    for name in names:
        for step, value in enumerate((1.5, math.nan, -math.inf)):
            writer.point(name, value, step)
    writer.close("finished")
    return records.store().run("r")


def read_csv(run) -> list[list[str]]:
    out = io.StringIO(newline="")
    export.write_csv(run, out)
    text = out.getvalue().encode("utf-8").decode("utf-8")  # it must be possible to encode it
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv_reads_back(records):
    run = record_names(records, NAMES)
    header, *rows = read_csv(run)
    assert header == ["metric", "iteration", "value", "timestamp", "rank"]
    assert {row[0] for row in rows} == set(NAMES)
    assert len(rows) == 3 * len(NAMES)
    assert next(float(row[2]) for row in rows if row[0] == "plain") == 1.5
    assert [row[2] for row in rows if row[0] == "plain"] == ["1.5", "nan", "-inf"]
    pandas = pytest.importorskip("pandas")
    out = io.StringIO(newline="")
    export.write_csv(run, out)
    frame = pandas.read_csv(io.StringIO(out.getvalue(), newline=""), keep_default_na=False)
    assert set(frame["metric"]) == set(NAMES)


def test_csv_never_holds_a_formula(records):
    rows = read_csv(record_names(records, FORMULAS))
    assert {row[0] for row in rows[1:]} == {f"'{name}" for name in FORMULAS}


def test_names_that_are_not_unicode(records, tmp_path):
    run = record_names(records, [NOT_UNICODE, "plain"])
    listed = records.store().runs()[0]
    for one in (run, listed):
        assert one.metrics() == [NOT_UNICODE, "plain"]
        assert one.metric(NOT_UNICODE).iterations == [0, 1, 2]
        assert list(one.summary()) == [NOT_UNICODE, "plain"]
    assert [run.id for run in records.store().runs(where=f"metrics['{NOT_UNICODE}'].count = 3")] == ["r"]
    assert {row[0] for row in read_csv(run)[1:]} == {"duration/caf\\udce9.wav", "plain"}
    out = io.StringIO()
    export.write_json_lines(run, out)
    lines = [json.loads(line) for line in out.getvalue().encode("utf-8").splitlines()]
    assert {line["metric"] for line in lines[1:]} == {NOT_UNICODE, "plain"}
    out = io.StringIO()
    export.write_json(run, out)
    assert {one["name"] for one in json.loads(out.getvalue().encode("utf-8"))["metrics"]} == {
        NOT_UNICODE,
        "plain",
    }
    assert "duration/caf\\udce9.wav" in run.dataframe()


def test_parquet_is_exact(records, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    names = [*NAMES, *FORMULAS]
    run = record_names(records, [*names, NOT_UNICODE])
    file = tmp_path / "r.parquet"
    export.write_parquet(run, file)
    table = parquet.read_table(file)
    assert table.column_names == list(export.CSV_COLUMNS)
    rows = table.to_pylist()
    assert {row["metric"] for row in rows} == {*names, "duration/caf\\udce9.wav"}
    of_one = [row for row in rows if row["metric"] == "plain"]
    assert [row["iteration"] for row in of_one] == [0, 1, 2]
    assert of_one[0]["value"] == 1.5
    assert math.isnan(of_one[1]["value"])
    assert of_one[2]["value"] == -math.inf
    assert [row["timestamp"] for row in of_one] == run.metric("plain").timestamps
    assert {row["rank"] for row in rows} == {None}


def test_parquet_of_ranks_patterns_and_nothing(records, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for rank in range(2):
        writer = records.start("r", rank=rank, world_size=2)
        writer.row({"loss": rank + 0.5, "acc": 1.0}, 0)
        writer.close("finished")
    run = records.store().run("r")
    file = tmp_path / "r.parquet"
    export.write_parquet(run, file, "loss")
    assert [(row["rank"], row["value"]) for row in parquet.read_table(file).to_pylist()] == [
        (0, 0.5),
        (1, 1.5),
    ]
    export.write_parquet(run, file, None)
    assert parquet.read_table(file).num_rows == 0
    records.run("none", {})
    export.write_parquet(records.store().run("none"), file)
    assert parquet.read_table(file).column_names == list(export.CSV_COLUMNS)


def test_parquet_without_pyarrow_names_the_extra(records, tmp_path, monkeypatch):
    run = record_names(records, ["plain"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tracelet\[parquet\]'"):
        export.write_parquet(run, tmp_path / "r.parquet")
    assert not (tmp_path / "r.parquet").exists()


def test_the_command_writes_what_the_suffix_says(records, tmp_path):
    pytest.importorskip("pyarrow")
    record_names(records, ["größe"])

    def tracelet(*words, **env):
        return subprocess.run(
            [sys.executable, "-m", "tracelet", *map(str, words), "--dir", records.data],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            env={**os.environ, **env},
        )

    done = tracelet("export", "r", "-o", tmp_path / "r.parquet")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.parquet").read_bytes()[:4] == b"PAR1"
    for suffix in ("xlsx", "feather", "arrow", "txt"):
        done = tracelet("export", "r", "-o", tmp_path / f"r.{suffix}")
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr
        assert not (tmp_path / f"r.{suffix}").exists()
    for environ in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ):
        done = tracelet("export", "r", **environ)
        assert "größe,0,1.5," in done.stdout.decode("utf-8"), done.stderr
    shown = tracelet("show", records.folder("r"))
    assert shown.returncode == 0, shown.stderr
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tracelet", "show", records.folder("r"), "--json"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert json.loads(elsewhere.stdout)["id"] == "r", elsewhere.stderr
    by_dir = subprocess.run(
        [sys.executable, "-m", "tracelet", "show", "--json", "--dir", records.folder("r")],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert json.loads(by_dir.stdout)["id"] == "r", by_dir.stderr
