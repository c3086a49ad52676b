"""Runs of real MLflow stores (SQLite, folders, a server), compared number by number with MlflowClient."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlflow", reason="needs MLflow: pip install 'tracelet[mlflow]'")
import tracelet
from tracelet.importers import import_runs


def record(uri: str, folder: Path, name: str) -> list[str]:
    """Record a run with a nested one, and return their ids."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(uri)
    artifacts = None if uri.startswith("http") else f"file://{folder}/artifacts"
    experiment = client.create_experiment(name, artifact_location=artifacts)
    run = client.create_run(experiment, run_name=f"{name} parent", tags={"team": "x"}).info.run_id
    metrics = [Metric("loss", 1 / (i + 1), 1_700_000_000_000 + i, i) for i in range(60)]
    metrics += [Metric("odd", value, 1_700_000_000_000, 5) for value in (math.nan, 1e300, -0.5)]
    client.log_batch(run, metrics, [Param("lr", "0.1")], [])
    nested = {"mlflow.parentRunId": run, "mlflow.note.content": "a note"}
    child = client.create_run(experiment, run_name=f"{name} child", tags=nested).info.run_id
    client.log_metric(child, "big", 2.0**53, timestamp=1_700_000_000_123, step=2**40)
    (folder / "model.txt").write_text("weights")
    client.log_artifact(run, str(folder / "model.txt"), "sub")
    client.set_terminated(run)
    client.set_terminated(child, "FAILED")
    return [run, child]


def own_points(client: Any, run_id: str) -> dict[str, list[tuple[int, bytes, float]]]:
    found = {}
    for name in client.get_run(run_id).data.metrics:
        history = client.get_metric_history(run_id, name)
        found[name] = sorted(
            (one.step, struct.pack("<d", one.value), one.timestamp / 1000) for one in history
        )
    return found


def check(store: Path, source: Path | str, uri: str, ids: list[str], name: str) -> None:
    from mlflow import MlflowClient

    results = {one.name: one for one in import_runs(source, dir=store, format="mlflow")}
    client = MlflowClient(uri)
    for run_id, label in zip(ids, (f"{name} parent", f"{name} child"), strict=True):
        run = tracelet.open_store(store).run(label)
        points = {
            series.name: sorted(
                (int(step), struct.pack("<d", value), float(time))
                for step, value, time in zip(series.iterations, series.values, series.timestamps, strict=True)
            )
            for series in run.series()
        }
        assert points == own_points(client, run_id)
        assert (results[label].damage, run.project) == ({}, name)
    parent, child = (tracelet.open_store(store).run(f"{name} {which}") for which in ("parent", "child"))
    assert (parent.params, parent.outcome, child.outcome) == ({"lr": "0.1"}, "finished", "failed")
    assert (child.parent, child.notes, parent.tags["team"]) == (parent.id, "a note", "x")
    [artifact] = parent.artifacts
    assert (artifact["artifact_path"], artifact["name"]) == ("sub", "model.txt")
    assert (parent.dir / artifact["path"]).read_text() == "weights"
    again = import_runs(source, dir=store, format="mlflow")
    assert not any(one.changed for one in again)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return tmp_path / "work" / ".tracelet"


def test_a_sqlite_file(store, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ids = record(uri, tmp_path, "sqlite")
    check(store, tmp_path / "mlflow.db", uri, ids, "sqlite")


def test_a_folder_store(store, tmp_path):
    uri = f"file://{tmp_path}/mlruns"
    ids = record(uri, tmp_path, "folders")
    check(store, tmp_path, uri, ids, "folders")


def test_a_server(store, tmp_path, sqlite_mlflow):
    ids = record(sqlite_mlflow.uri, tmp_path, f"server {tmp_path.name}")
    check(store, sqlite_mlflow.uri, sqlite_mlflow.uri, ids, f"server {tmp_path.name}")
