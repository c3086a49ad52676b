"""MLflow's and Trackio's stores, as files that these trackers write: exact, live, damaged and hostile ones."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import struct
from pathlib import Path

import pytest

from tracelet_builtin_plugins.sqlite_source import open_database

MLFLOW = """
CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);
CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time BIGINT, end_time BIGINT, lifecycle_stage TEXT,
    artifact_uri TEXT, experiment_id INTEGER);
CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
INSERT INTO experiments VALUES (1, 'digits', 'active');
"""
PARENT, CHILD = "a" * 32, "b" * 32
VALUES = [0.1, math.inf, -0.25, 5e-324, 2.0**53]


def mlflow_database(folder: Path, artifacts: str = "") -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "mlflow.db")
    connection.executescript(MLFLOW)
    run = "INSERT INTO runs VALUES (?, ?, ?, ?, ?, 'active', ?, 1)"
    connection.execute(run, (PARENT, "parent", "FINISHED", 1_700_000_000_123, 1_700_000_100_000, artifacts))
    connection.execute(run, (CHILD, "child", "RUNNING", 1_700_000_001_000, None, ""))
    rows = [("loss", value, 1_700_000_000_000 + at, PARENT, at, 0) for at, value in enumerate(VALUES)]
    rows += [
        ("loss", 0.0, 1_700_000_000_900, PARENT, -(2**63), 1),
        ("loss", 7.0, 1_700_000_000_000, CHILD, 2**62, 0),
    ]
    connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.execute("INSERT INTO params VALUES ('lr', '0.1', ?)", (PARENT,))
    connection.executemany(
        "INSERT INTO tags VALUES (?, ?, ?)",
        [
            ("mlflow.parentRunId", PARENT, CHILD),
            ("mlflow.note.content", "a note", CHILD),
            ("team", "x", PARENT),
        ],
    )
    connection.commit()
    return connection


def test_mlflow_s_database(target, tmp_path):
    (tmp_path / "arts" / "sub").mkdir(parents=True)
    (tmp_path / "arts" / "sub" / "model.txt").write_text("weights")
    connection = mlflow_database(tmp_path, f"file://{tmp_path}/arts")
    results = {one.name: one for one in target.load(tmp_path / "mlflow.db")}
    assert {name: (one.format, one.project, one.points) for name, one in results.items()} == {
        "parent": ("mlflow", "digits", 6),
        "child": ("mlflow", "digits", 1),
    }
    points = target.points("parent", "loss")
    assert [value for _, value, _ in points[:5]] == [struct.pack("<d", value) for value in VALUES]
    assert points[0][2] == 1_700_000_000.0
    assert (points[5][0], math.isnan(target.run("parent").metric("loss").values[5])) == (-(2**63), True)
    parent, child = target.run("parent"), target.run("child")
    assert (parent.params, parent.tags, parent.outcome) == ({"lr": "0.1"}, {"team": "x"}, "finished")
    assert (child.outcome, child.tags["mlflow.parentRunId"]) == ("running", PARENT)
    assert (child.parent, child.notes) == (parent.id, "a note")
    [artifact] = parent.artifacts
    assert (artifact["name"], artifact["artifact_path"]) == ("model.txt", "sub")
    again = target.load(tmp_path / "mlflow.db")
    assert [(one.points, one.params, one.tags, one.files, one.is_new) for one in again] == [
        (0, 0, 0, 0, False)
    ] * 2
    connection.execute("UPDATE runs SET status = 'FAILED', end_time = 1700000200000 WHERE name = 'child'")
    connection.execute("INSERT INTO metrics VALUES ('loss', 8.0, 1700000000001, ?, 5, 0)", (CHILD,))
    connection.commit()
    assert {one.name: one.points for one in target.load(tmp_path / "mlflow.db")} == {"parent": 0, "child": 1}
    assert target.run("child").outcome == "failed"
    connection.close()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_in_use_is_read_and_left_alone(target, tmp_path, mode):
    connection = mlflow_database(tmp_path)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("INSERT INTO params VALUES ('late', '1', ?)", (PARENT,))
    connection.commit()
    assert target.load(tmp_path / "mlflow.db")[0].params == 2
    connection.execute("INSERT INTO params VALUES ('later', '1', ?)", (PARENT,))
    connection.commit()
    connection.close()
    names = sorted(os.listdir(tmp_path))
    assert target.load(tmp_path / "mlflow.db")[0].params == 1
    assert sorted(os.listdir(tmp_path)) == names


def test_artifacts_elsewhere_are_counted(target, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    folder = tmp_path / "store"
    folder.mkdir()
    for uri in (f"file://{tmp_path}/secret", str(tmp_path / "secret"), "../secret", "s3://bucket/a"):
        (folder / "mlflow.db").unlink(missing_ok=True)
        mlflow_database(folder, uri).close()
        result = target.load(folder / "mlflow.db")[0]
        assert (result.files, result.damage) == (0, {"artifact folders outside the source": 1}), uri


def test_views_are_no_tables(tmp_path):
    from tracelet_builtin_plugins.backends.mlflow.history import import_mlflow

    connection = sqlite3.connect(tmp_path / "mlflow.db")
    connection.executescript(MLFLOW.replace("CREATE TABLE params (", "CREATE TABLE real_params ("))
    connection.execute("CREATE VIEW params AS SELECT 'k' AS key, 'v' AS value, '' AS run_uuid")
    connection.commit()
    assert import_mlflow(str(tmp_path / "mlflow.db")) is None


def test_values_of_any_type_are_counted(target, tmp_path):
    connection = mlflow_database(tmp_path)
    odd = [("text", 1, 0), (None, 1, 0), (b"\xff", 1, 0), (0.5, "text", 0), (0.5, 1.5, 0), (0.5, 1, "never")]
    connection.executemany(
        "INSERT INTO metrics VALUES ('odd', ?, ?, ?, ?, 0)",
        [(v, when, PARENT, step) for v, step, when in odd],
    )
    connection.execute("INSERT INTO params VALUES (NULL, x'ff', ?)", (PARENT,))
    connection.commit()
    result = target.load(tmp_path / "mlflow.db")[0]
    assert (result.points, result.damage) == (6, {"damaged records": 6})


def test_a_damaged_database_yields_what_can_be_read(target, tmp_path):
    connection = mlflow_database(tmp_path)
    connection.executemany(
        "INSERT INTO metrics VALUES ('more', ?, 1, ?, ?, 0)", [(n / 3, PARENT, n) for n in range(20_000)]
    )
    connection.commit()
    connection.close()
    data = bytearray((tmp_path / "mlflow.db").read_bytes())
    data[len(data) * 3 // 4 : len(data) * 3 // 4 + 4096] = b"\xff" * 4096
    (tmp_path / "mlflow.db").write_bytes(data)
    results = target.load(tmp_path / "mlflow.db")
    assert sum(one.points for one in results) > 100
    assert sum(sum(one.damage.values()) for one in results) > 0


def test_mlflow_s_folders(target, tmp_path):
    run = tmp_path / "mlruns" / "7" / PARENT
    for kind in ("metrics/val", "params", "tags", "artifacts/sub"):
        (run / kind).mkdir(parents=True)
    (tmp_path / "mlruns" / "7" / "meta.yaml").write_text("experiment_id: '7'\nname: 'it''s digits'\n")
    (run / "meta.yaml").write_text(
        f"artifact_uri: file:///before/7/{PARENT}/artifacts\nrun_id: {PARENT}\nrun_name: a long\n  name\nstatus: 4\n"
        "start_time: 1700000000000\nend_time: 1700000010000\nlifecycle_stage: active\n"
    )
    (run / "metrics" / "val" / "loss").write_text(
        "1700000000000 nan 1\n1700000000001 -inf 2\nbroken\n1700000000002 0.5"
    )
    (run / "params" / "lr").write_text("0.1")
    (run / "artifacts" / "sub" / "a.txt").write_text("a")
    os.symlink("/etc/passwd", run / "params" / "stolen")
    [result] = target.load(tmp_path / "mlruns")
    assert (result.name, result.project, result.points, result.files) == ("a long name", "it's digits", 2, 1)
    assert result.damage == {"damaged lines": 1, "lines that are cut off": 1, "files that cannot be read": 1}
    assert (target.run("a long name").params, target.run("a long name").outcome) == ({"lr": "0.1"}, "failed")
    with (run / "metrics" / "val" / "loss").open("a") as file:
        file.write(" 3\n")
    assert target.load(tmp_path)[0].points == 1


# --- Trackio -------------------------------------------------------------------------------------------------


def trackio_database(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "proj.db")
    connection.executescript(
        """
        CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, run_name TEXT, step INTEGER,
            metrics TEXT);
        CREATE TABLE system_metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, run_name TEXT, metrics TEXT);
        CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id TEXT, run_name TEXT, config TEXT, created_at TEXT);
        """
    )
    config = {"lr": 0.1, "_Group": "g", "_Created": "2023-11-14T22:13:20+00:00"}
    connection.execute("INSERT INTO configs VALUES (1, 'r1', 'run a', ?, '')", (json.dumps(config),))
    return connection


def add_rows(connection: sqlite3.Connection, rows: list[tuple[int, object]], run: str = "r1") -> None:
    when = "2023-11-14T22:13:20.250000+00:00"
    data = [(run, when, "run a", step, json.dumps(row)) for step, row in rows]
    connection.executemany(
        "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?, ?)", data
    )
    connection.commit()


def test_trackio(target, tmp_path):
    connection = trackio_database(tmp_path)
    image = {"_type": "trackio.image", "file_path": "proj/a.png"}
    table = {"_type": "trackio.table", "_value": [{"x": 1}, {"x": 2, "y": "b"}]}
    add_rows(
        connection,
        [(0, {"loss": "NaN", "n": {"a": 1}}), (1, {"loss": "-Infinity"}), (2, {"img": image, "tab": table})],
    )
    connection.execute(
        "INSERT INTO system_metrics VALUES (1, 'r1', '2023-11-14T22:13:21+00:00', 'run a', '{\"gpu\": 5}')"
    )
    connection.execute("INSERT INTO metrics VALUES (99, 'r1', 'no time', 'run a', 4, '{\"loss\": 1}')")
    add_rows(connection, [("text", {"loss": 1}), (5, {"loss": 10**400}), (6, [1]), (7, {"loss": 2**53 + 1})])
    connection.commit()
    (tmp_path / "media" / "proj").mkdir(parents=True)
    (tmp_path / "media" / "proj" / "a.png").write_bytes(b"picture")
    [result] = target.load(tmp_path)
    assert (result.format, result.project, result.points, result.files) == ("trackio", "proj", 5, 2)
    assert result.damage == {"damaged records": 4, "whole numbers beyond 2**53, rounded": 1}
    run = target.run("run a")
    assert (run.params, run.group, run.started_at) == ({"lr": 0.1}, "g", 1_700_000_000.0)
    losses = target.points("run a", "loss")
    assert [(step, when) for step, _, when in losses] == [(at, 1_700_000_000.25) for at in (0, 1, 7)]
    assert losses[1][1] == struct.pack("<d", -math.inf)
    assert run.metric("gpu").type == "system"
    add_rows(connection, [(3, {"loss": 0.5})])
    assert target.load(tmp_path / "proj.db")[0].points == 1
    assert not target.load(tmp_path)[0].changed
    connection.close()


def test_a_database_is_opened_for_reading_only(tmp_path):
    trackio_database(tmp_path).close()
    with (
        open_database(tmp_path / "proj.db") as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("DELETE FROM metrics")
