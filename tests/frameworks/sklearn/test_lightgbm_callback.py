"""The callback for LightGBM, with real boosters."""

from __future__ import annotations

import copy
import pickle

import pytest

lgb = pytest.importorskip("lightgbm", reason="LightGBM is not installed")

from tracelet.integrations.lightgbm import TraceletCallback  # noqa: E402

PARAMS = {"objective": "binary", "verbose": -1, "num_leaves": 7, "num_threads": 1}


@pytest.fixture
def data(digits):
    train = lgb.Dataset(digits.x, digits.y, free_raw_data=False)
    return train, lgb.Dataset(digits.x_test, digits.y_test, reference=train, free_raw_data=False)


def train(data, *callbacks, rounds=4, **options):
    dtrain, dtest = data
    given = {"valid_sets": [dtrain, dtest], "valid_names": ["train", "eval"], **options}
    return lgb.train(PARAMS, dtrain, rounds, callbacks=list(callbacks), **given)


def test_the_series_equal_what_lightgbm_reports(recorded, data):
    reported = {}
    run = recorded(lambda: train(data, TraceletCallback(), lgb.record_evaluation(reported)))
    for name in ("train", "eval"):
        assert run.values(f"{name}/binary_logloss") == reported[name]["binary_logloss"]
        assert run.steps(f"{name}/binary_logloss") == [0, 1, 2, 3]
    assert run.params["lightgbm/num_leaves"] == 7
    assert run.params["lightgbm/num_iterations"] == 4


def test_a_continued_training_counts_on_and_another_one_is_apart(recorded, data):
    def three():
        first = train(data, TraceletCallback())
        train(data, TraceletCallback(), rounds=2, init_model=first)
        train(data, TraceletCallback(), rounds=3)

    run = recorded(three)
    assert run.steps("eval/binary_logloss") == list(range(6))
    assert run.steps("2/eval/binary_logloss") == [0, 1, 2]


def test_an_early_stop_loses_no_iteration(recorded, data):
    reported = {}
    stop = lgb.early_stopping(2, verbose=False, min_delta=10.0)
    run = recorded(lambda: train(data, stop, TraceletCallback(), lgb.record_evaluation(reported), rounds=50))
    assert run.values("eval/binary_logloss") == reported["eval"]["binary_logloss"]


def test_cross_validation_has_mean_and_deviation(recorded, data):
    results = []
    run = recorded(
        lambda: results.append(lgb.cv(PARAMS, data[0], 3, nfold=3, seed=1, callbacks=[TraceletCallback()]))
    )
    assert run.values("cv/valid/binary_logloss/mean") == results[0]["valid binary_logloss-mean"]
    assert run.values("cv/valid/binary_logloss/std") == results[0]["valid binary_logloss-stdv"]


def test_the_estimators_take_it_and_a_search_records_the_final_fit_only(recorded, digits):
    selection = pytest.importorskip("sklearn.model_selection")
    search = selection.GridSearchCV(
        lgb.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1), {"num_leaves": [4, 8]}, cv=2
    )
    fit = {"eval_X": digits.x_test, "eval_y": digits.y_test, "callbacks": [TraceletCallback()]}
    run = recorded(lambda: search.fit(digits.x, digits.y, **fit))
    assert (
        run.values("valid_0/binary_logloss")
        == search.best_estimator_.evals_result_["valid_0"]["binary_logloss"]
    )
    assert not [name for name in run.names if name.startswith("2/")]


def test_the_callback_survives_copies_and_pickles(recorded, data):
    callback = TraceletCallback(prefix="p/")
    recorded(lambda: train(data, callback))
    for twin in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        run = recorded(lambda twin=twin: train(data, twin, rounds=2))
        assert run.steps("p/eval/binary_logloss") == [0, 1]


def test_a_function_among_the_parameters_is_recorded_by_name(recorded, data):
    def flat(predictions, dataset):
        return predictions * 0 + 1.0, predictions * 0 + 1.0

    def custom():
        lgb.train({**PARAMS, "objective": flat}, data[0], 1, callbacks=[TraceletCallback()])

    run = recorded(custom)
    assert run.params["lightgbm/objective"] in ("none", flat.__qualname__)
