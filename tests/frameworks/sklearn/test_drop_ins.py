"""W&B's callbacks for Keras, XGBoost and LightGBM, and MLflow's autolog of them, under --shield."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

import tracelet

PROGRAM = """
    import json
    import os

    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import lightgbm
    import mlflow
    import numpy as np
    import wandb
    import xgboost
    from wandb.integration.keras import WandbMetricsLogger, WandbModelCheckpoint
    from wandb.integration.lightgbm import log_summary, wandb_callback
    from wandb.integration.xgboost import WandbCallback

    rng = np.random.default_rng(0)
    x, y = rng.random((64, 3)), rng.random(64)
    seen = {}

    wandb.init(project="w", name="keras")
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [WandbMetricsLogger(log_freq=2), WandbModelCheckpoint("checkpoint.keras")]
    seen["keras"] = model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=callbacks).history["loss"]
    wandb.finish()

    data = xgboost.DMatrix(x, label=y)
    with wandb.init(project="w", name="xgboost"):
        result = {}
        callbacks = [WandbCallback(log_model=True)]
        xgboost.train({"max_depth": 2}, data, 3, [(data, "train")], evals_result=result, callbacks=callbacks)
        seen["xgboost"] = result["train"]["rmse"]

    with wandb.init(project="w", name="lightgbm"):
        result = {}
        table = lightgbm.Dataset(x, label=y)
        callbacks = [wandb_callback(), lightgbm.record_evaluation(result)]
        booster = lightgbm.train({"verbose": -1, "num_leaves": 4}, table, 3, [table], callbacks=callbacks)
        log_summary(booster)
        seen["lightgbm"] = result["training"]["l2"]

    mlflow.autolog(exclude_flavors=["sklearn"])
    with mlflow.start_run(run_name="autolog"):
        booster = xgboost.train({"max_depth": 2}, data, 3, [(data, "train")], verbose_eval=False)
        info = mlflow.xgboost.log_model(booster, name="model")
    assert mlflow.xgboost.load_model(info.model_uri).num_boosted_rounds() == 3
    print(json.dumps(seen))
"""


def points(record: Any, name: str) -> list[tuple[int, float]]:
    series = record.metric(name)
    return list(zip(map(int, series.iterations), map(float, series.values), strict=True))


def test_callbacks_and_autolog(project: Any) -> None:
    for name in ("keras", "xgboost", "lightgbm"):
        if importlib.util.find_spec(name) is None:  # importing Keras needs a backend
            pytest.skip(f"{name} is not installed")
    project.write("train.py", PROGRAM)
    off = ("-p", "no:system", "-p", "no:environment", "-p", "no:code", "-p", "no:console")
    done = project.tracelet("run", "-q", *off, "--shield", "wandb,mlflow", "train.py", timeout=170)
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    found = {record.name: record for record in tracelet.open_store(project.path).runs()}
    expected = {
        name: [(step, pytest.approx(one, rel=1e-6)) for step, one in enumerate(seen[name])] for name in seen
    }
    assert points(found["keras"], "epoch/loss") == expected["keras"]
    assert [step for step, _ in points(found["keras"], "batch/loss")] == [0, 2, 4, 6]
    assert [one["metadata"]["wandb"]["version"] for one in found["keras"].artifacts] == ["v0", "v1"]
    assert points(found["xgboost"], "train-rmse") == expected["xgboost"]
    assert {"Feature Importance", "model.json"} == {one["name"] for one in found["xgboost"].artifacts}
    assert points(found["lightgbm"], "training_l2") == expected["lightgbm"]
    assert found["lightgbm"].params["num_leaves"] == 4
    assert points(found["autolog"], "train/rmse") == expected["xgboost"]
    assert "model" in {one["name"] for one in found["autolog"].artifacts}
