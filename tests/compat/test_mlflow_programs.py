"""Ten programs as MLflow's documentation shows them, under --shield, and every number that they record."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from shielded import files, media, points, records, run_program


def test_quickstart(project: Any) -> None:
    done = run_program(project, "mlflow_quickstart.py")
    [record] = records(project)
    assert (record.project, record.outcome) == ("MLflow Quickstart", "finished")
    assert record.params == {
        "solver": "lbfgs",
        "max_iter": 1000,
        "multi_class": "auto",
        "random_state": 8888,
        "penalty": None,
    }
    assert points(record, "accuracy") == [(0, 0.93)]
    assert points(record, "loss") == [(step, 1 / (step + 1)) for step in range(5)]
    assert record.tags == {"Training Info": "Basic LR model for iris data"}
    assert files(record) == {"output.txt": b"Hello world!"}
    assert "tracking http://127.0.0.1:8080" in done.stdout
    assert "[plugins.mlflow] tracking_uri delivers to a server" in done.stderr


def test_autolog(project: Any) -> None:
    pytest.importorskip("sklearn")
    done = run_program(project, "mlflow_autolog.py")
    forest, classifier = records(project, "diabetes")
    assert f"mse {points(forest, 'training_mean_squared_error')[0][1]}" in done.stdout
    assert points(forest, "training_score") == points(forest, "training_r2_score")
    assert (forest.params["n_estimators"], forest.params["max_depth"], forest.params["criterion"]) == (
        5,
        3,
        "squared_error",
    )
    assert forest.tags["estimator_name"] == "RandomForestRegressor"
    assert {"model/model.pkl", "model/MLmodel"} <= files(forest).keys()
    assert f"accuracy {points(classifier, 'training_accuracy_score')[0][1]}" in done.stdout
    assert points(classifier, "mine") == [(0, 1.0)]
    assert {"training_f1_score", "training_log_loss", "training_roc_auc"} <= set(classifier.metrics())
    assert len(records(project)) == 2


def test_search(project: Any) -> None:
    done = run_program(project, "mlflow_search.py")
    parent, *children = records(project, "search")
    assert {child.parent for child in children} == {parent.id}
    assert parent.params == {"trials": 4}
    errors = {child.name: points(child, "error") for child in children}
    assert errors["child-0.05-2"] == [(0, (0.05 - 0.1) ** 2 + 2)]
    assert points(parent, "best_error") == [(0, 1.0)]
    assert parent.tags == {"best_run": next(one.id for one in children if one.name == "child-0.1-1")}
    assert "best child-0.1-1 0.1" in done.stdout
    assert "is already active" in done.stdout
    assert done.stdout.count("refused Invalid") == 3


def test_artifacts(project: Any) -> None:
    done = run_program(project, "mlflow_artifacts.py")
    [record] = records(project)
    kept = files(record)
    assert {name: kept[name] for name in ("a.txt", "copies/a.txt", "states/a.txt", "states/sub/b.txt")} == {
        "a.txt": b"a",
        "copies/a.txt": b"a",
        "states/a.txt": b"a",
        "states/sub/b.txt": b"b",
    }
    assert json.loads(kept["data.json"]) == {"k": "v", "list": [1, 2]}
    assert kept["dir/notes.txt"] == b"some text"
    assert b"k" in kept["data.yml"]
    assert '[["states/a.txt", false, 1], ["states/sub", true, null]]' in done.stdout
    assert "No such artifact: 'nothing'" in done.stdout


def test_models(project: Any) -> None:
    pytest.importorskip("sklearn")
    done = run_program(project, "mlflow_models.py")
    [record] = records(project)
    kept = files(record)
    assert {"model/model.pkl", "named/model.pkl", "adder/python_model.pkl"} <= kept.keys()
    described = json.loads(kept["model/MLmodel"])
    assert described["flavors"]["sklearn"]["class"].endswith("KNeighborsClassifier")
    assert json.loads(described["signature"]["inputs"])[0]["shape"] == [-1, 4]
    assert record.tags["registered_model/iris/1"] == f"runs:/{record.id}/model"
    assert "expected a model of flavor 'sklearn'" in done.stdout
    assert "tracelet has no registry of models" in done.stderr


def test_client(project: Any) -> None:
    done = run_program(project, "mlflow_client.py")
    first, second = records(project, "client experiment")
    assert (first.name, first.outcome) == ("by hand", "killed")
    assert points(first, "m") == [(1, 1.5), (2, 2.5)]
    assert points(first, "n") == [(3, 7)]
    assert first.params == {"p": "q", "second": 2}
    assert first.tags == {"kind": "test", "t": "u", "release": "1.0"}
    assert points(second, "n") == [(0, 1), (0, 2)]
    assert second.outcome == "finished"
    assert "MlflowException Run with id=0123 not found" in done.stdout
    assert "mlflow.MlflowClient.search_traces is not offered" in done.stdout


def test_rules(project: Any) -> None:
    done = run_program(project, "mlflow_rules.py")
    [record] = records(project)
    assert points(record, "plain") == [(0, 1), (0, 2)]
    assert (points(record, "a"), points(record, "b")) == ([(7, 0.5)], [(7, 3)])
    assert sorted(points(record, "back")) == [(2, 2.0), (5, 1.0)]
    assert math.isnan(points(record, "nan")[0][1])
    assert points(record, "val/acc") == [(-1, 0.5)]
    expected = {"lr": 0.1, "layers": "[64, 32]", "opt": "{'name': 'adam'}", "bias": True, "none": None}
    assert record.params == expected
    assert record.tags == {"first": 1, "release": "1.1"}
    assert (record.name, record.notes) == ("renamed", "described")
    assert "INVALID_PARAMETER_VALUE Changing param values is not allowed." in done.stdout
    assert "invalid value 'high' for metric 'x'" in done.stdout
    assert "mlflow.evaluate is not offered" in done.stdout
    assert "did you mean mlflow.log_metrics?" in done.stdout
    assert "No module named 'mlflow.gateway' in tracelet's drop-in" in done.stdout


def test_grid(project: Any) -> None:
    pytest.importorskip("sklearn")
    done = run_program(project, "mlflow_grid.py")
    parent, *children = records(project)
    [(_, score)] = points(parent, "best_cv_score")
    assert f"best {parent.params['best_max_depth']} {score}" in done.stdout
    assert {"cv_results.csv", "model/model.pkl", "best_estimator/model.pkl"} <= files(parent).keys()
    assert len(children) == 3
    assert {child.parent for child in children} == {parent.id}
    best = next(one for one in children if one.params["max_depth"] == parent.params["best_max_depth"])
    assert points(best, "mean_test_score") == [(0, score)]


def test_implicit(project: Any) -> None:
    run_program(project, "mlflow_implicit.py")
    found = {record.name: record for record in records(project)}
    assert (found["broken"].outcome, found["broken"].error) == ("failed", "ValueError: diverged")
    assert found["ended"].outcome == "failed"
    assert {found["broken"].project, found["ended"].project} == {"second"}
    assert points(found["child"], "c") == [(0, 4)]
    assert found["child"].outcome == "finished"
    [implicit] = [record for record in found.values() if record.params == {"implicit": True}]
    assert points(implicit, "m") == [(1, 1.0), (2, 3.0)]
    assert implicit.outcome == "finished"


def test_tables(project: Any) -> None:
    pytest.importorskip("pandas")
    done = run_program(project, "mlflow_tables.py")
    record, *_ = records(project)
    table = json.loads(files(record)["eval.json"])
    assert table == {"columns": ["question", "score"], "data": [["a", 0.5], ["b", 1.0], ["c", 0.25]]}
    assert files(record)["pictures/black.png"].startswith(b"\x89PNG")
    steps = [(one["name"], one["step"]) for one in record.artifacts if one["media"] == "image"]
    assert steps == [("sample", 0), ("sample", 1), ("wrapped", 5)]
    assert media(record)["wrapped"]["media"] == "image"
    assert record.tags["dataset/questions"].startswith("digest ")
    assert record.notes == "about tables"
    assert "Exactly one of 'artifact_file' and 'key'" in done.stdout
