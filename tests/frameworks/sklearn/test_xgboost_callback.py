"""The callback for XGBoost, with real boosters."""

from __future__ import annotations

import copy
import pickle

import pytest

import tracelet

xgb = pytest.importorskip("xgboost", reason="XGBoost is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from tracelet.integrations.xgboost import TraceletCallback  # noqa: E402

PARAMS = {
    "max_depth": 3,
    "eta": 0.3,
    "objective": "binary:logistic",
    "eval_metric": ["logloss", "error"],
    "nthread": 1,
}


@pytest.fixture
def data(digits):
    return xgb.DMatrix(digits.x, digits.y), xgb.DMatrix(digits.x_test, digits.y_test)


def train(data, callback, rounds=4, **options):
    dtrain, dtest = data
    evals = [(dtrain, "train"), (dtest, "eval")]
    options.setdefault("verbose_eval", False)
    return xgb.train(PARAMS, dtrain, rounds, evals=evals, callbacks=[callback], **options)


def test_the_series_equal_what_xgboost_reports(recorded, data):
    reported = {}
    run = recorded(lambda: train(data, TraceletCallback(), evals_result=reported))
    for name, metrics in reported.items():
        for metric, values in metrics.items():
            assert run.values(f"{name}/{metric}") == values
            assert run.steps(f"{name}/{metric}") == [0, 1, 2, 3]


def test_the_parameters_are_recorded_with_their_defaults(recorded, data):
    run = recorded(lambda: train(data, TraceletCallback()))
    assert run.params["xgboost/max_depth"] == 3
    assert run.params["xgboost/eta"] == 0.3
    assert run.params["xgboost/subsample"] == 1
    assert run.params["xgboost/objective"] == "binary:logistic"


def test_a_continued_training_counts_on(recorded, data):
    def both():
        first = train(data, TraceletCallback())
        train(data, TraceletCallback(), rounds=3, xgb_model=first)

    run = recorded(both)
    assert run.steps("eval/logloss") == list(range(7))
    assert "2/eval/logloss" not in run.names


def test_another_training_gets_series_of_its_own(recorded, data):
    run = recorded(lambda: [train(data, TraceletCallback(), rounds=rounds) for rounds in (4, 2)])
    assert len(run.values("eval/logloss")) == 4
    assert len(run.values("2/eval/logloss")) == 2


def test_one_callback_serves_several_trainings_under_a_given_name(recorded, data):
    callback = TraceletCallback(prefix="fold/")
    run = recorded(lambda: [train(data, callback, rounds=2), train(data, callback, rounds=3)])
    assert run.steps("fold/eval/logloss") == [0, 1, 0, 1, 2]


def test_an_early_stop_loses_no_round(recorded, data):
    reported = {}
    stop = xgb.callback.EarlyStopping(rounds=2, data_name="eval", metric_name="logloss", min_delta=10.0)

    def stopped():
        dtrain, dtest = data
        evals = [(dtrain, "train"), (dtest, "eval")]
        callbacks = [stop, TraceletCallback()]  # it ends the round before ours is called
        xgb.train(
            PARAMS, dtrain, 50, evals=evals, evals_result=reported, verbose_eval=False, callbacks=callbacks
        )

    run = recorded(stopped)
    assert run.values("eval/logloss") == reported["eval"]["logloss"]
    assert run.values("best_iteration") == [0]


def test_cross_validation_has_mean_and_deviation(recorded, data):
    results = []

    def validate():
        results.append(
            xgb.cv(PARAMS, data[0], 3, nfold=3, seed=1, as_pandas=False, callbacks=[TraceletCallback()])
        )

    run = recorded(validate)
    assert run.values("cv/test/logloss/mean") == pytest.approx(results[0]["test-logloss-mean"])
    assert run.values("cv/test/logloss/std") == pytest.approx(results[0]["test-logloss-std"])


@pytest.mark.parametrize("as_pickle", [False, True])
def test_a_checkpoint_becomes_an_artifact_and_stays_what_it_was(recorded, data, tmp_path, as_pickle):
    (tmp_path / "saved").mkdir()
    saving = xgb.callback.TrainingCheckPoint(tmp_path / "saved", interval=2, as_pickle=as_pickle)

    def saved():
        dtrain, _ = data
        booster = xgb.train(PARAMS, dtrain, 5, callbacks=[TraceletCallback(), saving])
        assert "save_model" not in vars(booster)

    run = recorded(saved)
    files = sorted(path.name for path in (tmp_path / "saved").iterdir())
    if as_pickle:
        loaded = pickle.loads((tmp_path / "saved" / files[0]).read_bytes())
        assert loaded.num_boosted_rounds() > 0
    else:
        assert run.artifacts == [f"artifacts/checkpoints/{name}" for name in files]


def test_a_search_records_the_final_fit_only(recorded, digits):
    from sklearn.model_selection import GridSearchCV

    model = xgb.XGBClassifier(n_estimators=3, n_jobs=1, callbacks=[TraceletCallback()])
    search = GridSearchCV(model, {"max_depth": [2, 3]}, cv=2, n_jobs=2)
    fit = {"eval_set": [(digits.x_test, digits.y_test)], "verbose": False}
    run = recorded(lambda: search.fit(digits.x, digits.y, **fit))
    assert (
        run.values("validation_0/logloss") == search.best_estimator_.evals_result()["validation_0"]["logloss"]
    )
    assert not [name for name in run.names if name.startswith("2/")]


def test_the_callback_survives_copies_and_pickles(data, recorded):
    callback = TraceletCallback(prefix="p/")
    train(data, callback)
    tracelet.end_run()
    for twin in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        run = recorded(lambda twin=twin: train(data, twin, rounds=2))
        assert run.steps("p/eval/logloss") == [0, 1]


def test_a_training_goes_on_when_the_run_ends_in_its_middle(store, data):
    class End(xgb.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 1:
                run.finish()
            return False

    run = store.start()
    dtrain, _ = data
    booster = xgb.train(
        PARAMS,
        dtrain,
        4,
        evals=[(dtrain, "train")],
        verbose_eval=False,
        callbacks=[TraceletCallback(), End()],
    )
    assert booster.num_boosted_rounds() == 4
    assert store.read(run).steps("train/logloss") == [0, 1]
