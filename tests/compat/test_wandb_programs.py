"""Ten programs as W&B's documentation shows them, under --shield, and every number that they record."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from shielded import files, media, points, records, run_program


def test_quickstart(project: Any) -> None:
    run_program(project, "wandb_quickstart.py")
    [record] = records(project)
    random.seed(0)
    offset = random.random() / 5
    expected = []
    for epoch in range(2, 10):
        accuracy = 1 - 2**-epoch - random.random() / epoch - offset
        expected.append((accuracy, 2**-epoch + random.random() / epoch + offset))
    assert points(record, "accuracy") == [(step, pair[0]) for step, pair in enumerate(expected)]
    assert points(record, "loss") == [(step, pair[1]) for step, pair in enumerate(expected)]
    assert (record.name, record.project, record.outcome) == ("quickstart", "my-awesome-project", "finished")
    assert record.params == {
        "learning_rate": 0.01,
        "epochs": 10,
        "architecture": "CNN",
        "dataset": "CIFAR-100",
    }


def test_classification(project: Any) -> None:
    pytest.importorskip("sklearn")
    done = run_program(project, "wandb_classification.py", status=0)
    [record] = records(project)
    assert record.params == {"alpha": 0.001, "epochs": 3}
    assert [step for step, _ in points(record, "train/accuracy")] == [0, 1, 2]
    assert f"accuracy {points(record, 'test/accuracy')[-1][1]}" in done.stdout
    assert points(record, "test_size") == [(4, 450.0)]
    assert record.tags == {"sklearn": "", "baseline": "", "summary/verdict": "good"}
    kinds = {name: (one["media"], one["step"]) for name, one in media(record).items()}
    assert kinds["confusion"] == kinds["roc"] == kinds["pr"] == ("custom", 3)
    table = json.loads((record.dir / media(record)["predictions"]["path"]).read_text())
    assert table["columns"] == ["image", "label", "prediction"]
    assert table["rows"][0][0] == "predictions/image/0"
    assert kinds["predictions/image/2"] == ("image", 3)
    matrix = json.loads((record.dir / media(record)["confusion"]["path"]).read_text())
    assert sum(map(sum, matrix["matrix"])) == 450


def test_sweep(project: Any) -> None:
    run_program(project, "wandb_sweep.py")
    drawn = records(project, "my-first-sweep")
    assert len(drawn) == 4
    for record in drawn:
        x, y = record.params["x"], record.params["y"]
        assert 0.01 <= x <= 0.1
        assert y in (1, 3, 7)
        assert points(record, "score") == [(0, x**3 + y)]
    grid = [record for record in records(project) if record.project != "my-first-sweep"]
    chosen = [(record.params["batch"], record.params["kind"]) for record in grid]
    assert chosen == [(8, "a"), (8, "b"), (16, "a"), (16, "b")]
    assert [points(record, "loss") for record in grid] == [[(0, b / 10)] for b, _ in chosen]


def test_artifacts(project: Any) -> None:
    done = run_program(project, "wandb_artifacts.py")
    assert "artifact 'dataset-2:latest' not found" in done.stdout
    assert "did you mean 'dataset'?" in done.stdout
    first, second, third = records(project)
    assert files(first)["dataset/train.csv"] == b"x,y\n1,2\n"
    assert files(first)["dataset/pictures/cats/b.txt"] == b"b"
    assert files(second) == {"dataset/train.csv": b"x,y\n2,4\n"}
    assert second.tags["used_artifacts/dataset"] == "dataset:v0"
    assert third.tags["used_artifacts/net"] == "net:v0"
    [logged] = [one for one in first.artifacts if one["name"] == "dataset"]
    about = logged["metadata"]["wandb"]
    assert (about["version"], about["aliases"], about["type"]) == ("v0", ["raw", "latest"], "dataset")
    assert about["references"] == {"big": "https://example.org/big.bin"}


def test_media(project: Any) -> None:
    run_program(project, "wandb_media.py")
    [record] = records(project)
    found = media(record)
    assert (found["one"]["step"], found["one"]["metadata"]["caption"]) == (3, "a caption")
    assert [found[name]["step"] for name in ("several/0", "several/1", "boxed")] == [4, 4, 4]
    box = found["boxed"]["metadata"]["boxes"]["predictions"]["box_data"][0]
    assert box["position"]["maxX"] == 0.5
    assert found["boxed/masks/truth"]["media"] == "image"
    kinds = {name: one["media"] for name, one in found.items()}
    expected = {"sound": "audio", "video": "video", "cloud": "mesh", "weights": "histogram", "text": "text"}
    assert expected.items() <= kinds.items()
    counted = json.loads((record.dir / found["counted"]["path"]).read_text())
    assert counted["counts"] == [1, 1, 1]
    vector = json.loads((record.dir / found["vector"]["path"]).read_text())
    assert vector["count"] == 100
    assert (record.dir / found["short"]["path"]).read_text() == "[1, 2, 3]"
    assert (record.dir / found["page"]["path"]).read_text() == "<b>bold</b>"
    assert found["sound"]["metadata"]["sample_rate"] == 8000
    line = json.loads((record.dir / found["line_table"]["path"]).read_text())
    assert line["rows"] == [[0, 0], [1, 1], [2, 4], [3, 9]]
    assert found["line_table"]["metadata"]["chart"]["fields"] == {"x": "x", "y": "y"}
    assert {"scatter_table", "bars_table", "hist_table", "series_table", "rows"} <= found.keys()


def test_steps(project: Any) -> None:
    run_program(project, "wandb_steps.py")
    [record] = records(project)
    assert points(record, "loss") == [(0, 1.0), (1, 0.75), (2, 2.0), (3, 0.5)]
    assert points(record, "lr") == [(0, 0.1), (1, 0.2), (3, pytest.approx(0.3))]
    assert points(record, "epoch") == [(4, 10), (5, 20)]
    assert points(record, "val/acc") == [(10, 0.5), (20, 0.75), (20, 0.8)]
    assert sorted(points(record, "jump")) == [(50, 2), (100, 1)]
    assert points(record, "after") == [(100, 3)]
    assert points(record, "deep/a/b") == [(101, 1.5)]
    assert points(record, "flag") == [(101, 1)]
    assert points(record, "count") == [(101, 7)]
    assert record.metric("nan").values[0] != record.metric("nan").values[0]
    assert points(record, "inf") == [(102, float("inf"))]
    assert points(record, "best") == [(103, 0.99)]
    assert points(record, "summary/jump") == [(103, 5)]
    assert "nothing" not in record.metrics()


def test_configuration(project: Any) -> None:
    done = run_program(project, "wandb_configuration.py")
    assert 'refused: Attempted to change value of key "epochs" from 5 to 6' in done.stdout
    first, second = records(project)
    assert first.params == {
        "lr": 0.2,
        "model/layers/0": 64,
        "model/layers/1": 32,
        "model/act": "relu",
        "x.y": 3,
        "epochs": 5,
        "seed": 1,
        "dropout": 0.5,
    }
    assert first.tags == {"one": "", "two": ""}
    assert (second.project, second.params) == ("from-file", {"width": 3})


def test_several_runs(project: Any) -> None:
    run_program(project, "wandb_several_runs.py")
    found = {record.name: record for record in records(project, "many")}
    for lr in (0.1, 0.2):
        record = found[f"lr-{lr}"]
        assert points(record, "loss") == [(step, lr * step) for step in range(3)]
        assert (record.group, record.job_type, record.notes) == ("experiment-1", "train", "a note")
        assert record.tags == {"extra": ""}
    assert (found["broken"].outcome, found["broken"].error) == ("failed", "RuntimeError: out of memory")
    long = found["long"]
    assert (long.id, long.outcome) == ("resumable", "failed")
    assert points(long, "loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert media(long)["alerts/Low"]["media"] == "text"
    assert len(records(project)) == 4


def test_processes(project: Any) -> None:
    done = run_program(project, "wandb_processes.py")
    assert "No module named 'wandb.proto' in tracelet's drop-in" in done.stdout
    assert "did you mean 'wandb.plot'?" in done.stdout
    ranks = sorted(records(project, "ranks"), key=lambda record: record.name)
    assert [points(record, "rank") for record in ranks] == [[(0, 0)], [(0, 1)]]
    assert {record.group for record in ranks} == {"job"}
    assert points(records(project, "child")[0], "a") == [(0, 1)]
    assert points(records(project, "parent")[0], "done") == [(0, 1)]


def test_files(project: Any) -> None:
    done = run_program(project, "wandb_files.py")
    [record] = records(project)
    kept = files(record)
    assert kept["notes.txt"] == b"in the run's folder"
    assert kept["checkpoints/model-1.bin"] == b"\1"
    assert kept["log.txt"] == b"first and second"
    assert any(name.startswith("source-files-") for name in kept)
    assert (
        "wandb.imge is not offered by tracelet's drop-in for wandb; did you mean wandb.Image?" in done.stdout
    )
    assert "use wandb.sweep with wandb.agent" in done.stdout
    assert "did you mean wandb.Table?" in done.stdout
    assert record.outcome == "finished"
    assert not (record.dir / "files").exists()
