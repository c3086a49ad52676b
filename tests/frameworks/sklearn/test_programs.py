"""Unchanged programs under ``tracelet run --automagic``: they import their frameworks during the run."""

from __future__ import annotations

import pytest


def test_gradient_boosting_and_scikit_learn(record):
    for module in ("xgboost", "lightgbm", "sklearn"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    run = record(
        """
        import argparse
        import json

        from lightgbm import LGBMClassifier
        from sklearn.datasets import load_digits
        from sklearn.model_selection import GridSearchCV, train_test_split
        from sklearn.naive_bayes import GaussianNB
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from xgboost import XGBClassifier

        parser = argparse.ArgumentParser()
        parser.add_argument("--rounds", type=int, default=3)
        rounds = parser.parse_args().rounds

        x, x_test, y, y_test = train_test_split(*load_digits(n_class=2, return_X_y=True), random_state=0)
        xgb = XGBClassifier(n_estimators=rounds, n_jobs=1)
        xgb.fit(x, y, eval_set=[(x_test, y_test)], verbose=False)
        lgb = LGBMClassifier(n_estimators=rounds, n_jobs=1, verbose=-1)
        lgb.fit(x, y, eval_X=x_test, eval_y=y_test)
        model = make_pipeline(StandardScaler(), GaussianNB())
        search = GridSearchCV(model, {"gaussiannb__var_smoothing": [1e-9, 1e-2]}, cv=2).fit(x, y)
        print(json.dumps({
            "xgb": xgb.evals_result()["validation_0"]["logloss"],
            "lgb": lgb.evals_result_["valid_0"]["binary_logloss"],
            "search": list(search.cv_results_["mean_test_score"]),
        }))
        """,
        "--automagic",
    )
    reported = run.printed
    series = run.series()
    assert series["validation_0/logloss"] == list(enumerate(reported["xgb"]))
    assert series["valid_0/binary_logloss"] == list(enumerate(reported["lgb"]))
    assert series["GridSearchCV/mean_test_score"] == list(enumerate(reported["search"]))
    fits = {name for name in series if name.endswith("/fit_seconds")}
    assert fits == {f"{name}/fit_seconds" for name in ("XGBClassifier", "LGBMClassifier", "GridSearchCV")}
    assert run.record.params["rounds"] == 3


def test_keras(record):
    pytest.importorskip("torch", reason="PyTorch, Keras' backend here, is not installed")
    pytest.importorskip("keras", reason="Keras is not installed")
    run = record(
        """
        import json
        import os

        os.environ["KERAS_BACKEND"] = "torch"

        import keras
        import numpy as np

        x = np.random.default_rng(0).random((64, 8))
        y = (x.sum(axis=1) > 4).astype(int)
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, epochs=2, validation_split=0.25, verbose=2)
        print(json.dumps(history.history))
        """,
        "--automagic",
    )
    assert "Epoch 1/2" in run.out
    for name, values in run.printed.items():
        assert run.series(name) == {name: list(enumerate(values))}
