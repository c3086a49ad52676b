"""The callback for CatBoost, with real models."""

from __future__ import annotations

import pickle

import pytest

catboost = pytest.importorskip("catboost", reason="CatBoost is not installed")

from tracelet.integrations.catboost import TraceletCallback  # noqa: E402


def model(iterations=4, **options):
    return catboost.CatBoostClassifier(
        iterations=iterations, verbose=False, allow_writing_files=False, thread_count=1, depth=3, **options
    )


def test_the_series_equal_what_catboost_reports(recorded, digits):
    trained = model(custom_metric=["AUC"])
    run = recorded(
        lambda: trained.fit(
            digits.x, digits.y, eval_set=(digits.x_test, digits.y_test), callbacks=[TraceletCallback()]
        )
    )
    for name, metrics in trained.evals_result_.items():
        for metric, values in metrics.items():
            assert run.values(f"{name}/{metric}") == values
            assert run.steps(f"{name}/{metric}") == [0, 1, 2, 3]
    assert run.params["catboost/depth"] == 3


def test_a_metric_with_a_period_is_recorded_at_its_iterations(recorded, digits):
    trained = model(5, metric_period=2)
    run = recorded(lambda: trained.fit(digits.x, digits.y, callbacks=[TraceletCallback()]))
    assert run.values("learn/Logloss") == trained.evals_result_["learn"]["Logloss"]
    assert run.steps("learn/Logloss") == [0, 2, 4]


def test_a_continued_training_counts_on_and_another_one_is_apart(recorded, digits):
    callback = TraceletCallback()

    def three():
        first = model(3)
        first.fit(digits.x, digits.y, callbacks=[callback])
        model(2).fit(digits.x, digits.y, init_model=first, callbacks=[callback])
        model(2).fit(digits.x, digits.y, callbacks=[callback])

    run = recorded(three)
    assert run.steps("learn/Logloss") == [0, 1, 2, 3, 4]
    assert run.steps("2/learn/Logloss") == [0, 1]


def test_the_callback_survives_a_pickle(recorded, digits):
    twin = pickle.loads(pickle.dumps(TraceletCallback(prefix="p/")))
    run = recorded(lambda: model(2).fit(digits.x, digits.y, callbacks=[twin]))
    assert run.steps("p/learn/Logloss") == [0, 1]
