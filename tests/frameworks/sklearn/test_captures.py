"""The framework plugins, in this process: a run is started after the frameworks were imported, and records them."""

from __future__ import annotations

import pytest

xgb = pytest.importorskip("xgboost", reason="XGBoost is not installed")
lgb = pytest.importorskip("lightgbm", reason="LightGBM is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402

import tracelet.integrations.lightgbm  # noqa: E402
import tracelet.integrations.sklearn  # noqa: E402
import tracelet.integrations.xgboost  # noqa: E402


@pytest.fixture
def captured(record_with):
    """Return a function that calls another one inside a run with these plugins."""
    return record_with("xgboost", "lightgbm", "sklearn")


def boost(digits, *callbacks, reported=None):
    data = xgb.DMatrix(digits.x, digits.y, nthread=1)
    params = {"objective": "binary:logistic", "nthread": 1}
    return xgb.train(
        *(params, data, 3),
        evals=[(data, "train")],
        evals_result=reported,
        verbose_eval=False,
        callbacks=list(callbacks),
    )


def boost_light(digits, *callbacks):
    data = lgb.Dataset(digits.x, digits.y)
    params = {"objective": "binary", "verbose": -1, "num_threads": 1}
    return lgb.train(params, data, 3, valid_sets=[data], callbacks=list(callbacks))


def test_xgboost_is_recorded(captured, digits):
    reported = {}
    run = captured(lambda: boost(digits, reported=reported))
    assert run.values("train/logloss") == reported["train"]["logloss"]
    assert run.params["xgboost/objective"] == "binary:logistic"


def test_xgboosts_estimators_are_recorded_by_both_plugins(captured, digits):
    model = xgb.XGBClassifier(n_estimators=2, n_jobs=1)
    run = captured(lambda: model.fit(digits.x, digits.y, eval_set=[(digits.x, digits.y)], verbose=False))
    assert run.values("validation_0/logloss") == model.evals_result()["validation_0"]["logloss"]
    assert run.params["XGBClassifier/n_estimators"] == 2
    assert run.values("XGBClassifier/training_score") == [model.score(digits.x, digits.y)]


def test_a_model_that_is_saved_becomes_an_artifact(captured, digits, tmp_path):
    def save():
        boost(digits).save_model(tmp_path / "booster.json")
        boost_light(digits).save_model(tmp_path / "light.txt")

    names = [path.rpartition("/")[2] for path in captured(save).artifacts]
    assert names == ["booster.json", "light.txt"]


def test_lightgbm_is_recorded(captured, digits):
    reported = {}
    run = captured(lambda: boost_light(digits, lgb.record_evaluation(reported)))
    assert run.values("training/binary_logloss") == reported["training"]["binary_logloss"]


def test_lightgbms_arguments_may_be_given_by_position(captured, digits):
    data = lgb.Dataset(digits.x, digits.y)
    results = []
    params = {"objective": "binary", "verbose": -1, "num_threads": 1}
    run = captured(lambda: results.append(lgb.cv(params, data, 2, None, 2)))
    assert run.values("cv/valid/binary_logloss/mean") == results[0]["valid binary_logloss-mean"]
    with pytest.raises(TypeError, match="train_set"):
        captured(lambda: lgb.train(params))


def test_scikit_learn_is_recorded(captured, digits):
    scores = []

    def train():
        GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2).fit(digits.x, digits.y)
        scores.append(cross_val_score(GaussianNB(), digits.x, digits.y, cv=2))

    run = captured(train)
    assert run.steps("GridSearchCV/mean_test_score") == [0, 1]
    assert run.values("cross_validate/GaussianNB/test_score") == list(scores[0])
    assert "GaussianNB/fit_seconds" not in run.names


def test_a_search_of_boosters_records_the_final_fit_only(captured, digits):
    search = GridSearchCV(xgb.XGBClassifier(n_estimators=2, n_jobs=1), {"max_depth": [1, 2]}, cv=2)
    run = captured(lambda: search.fit(digits.x, digits.y, eval_set=[(digits.x, digits.y)], verbose=False))
    assert len(run.values("validation_0/logloss")) == 2
    assert not [name for name in run.names if name.startswith(("2/", "XGBClassifier/"))]


def test_with_the_objects_beside_nothing_is_recorded_twice(captured, digits, tmp_path):
    (tmp_path / "saved").mkdir()
    saving = xgb.callback.TrainingCheckPoint(tmp_path / "saved", interval=1)

    def train():
        boost(digits, tracelet.integrations.xgboost.TraceletCallback(), saving)
        boost_light(digits, tracelet.integrations.lightgbm.TraceletCallback())
        with tracelet.integrations.sklearn.capture():
            GaussianNB().fit(digits.x, digits.y)

    run = captured(train)
    assert run.steps("train/logloss") == run.steps("training/binary_logloss") == [0, 1, 2]
    assert run.steps("GaussianNB/fit_seconds") == [0]
    names = [path.rpartition("/")[2] for path in run.artifacts]
    assert sorted(names) == sorted({path.name for path in (tmp_path / "saved").iterdir()})
    assert not [name for name in run.names if name.startswith("2/")]


def test_an_object_and_a_capture_number_trainings_together(captured, digits):
    def train():
        boost(digits, tracelet.integrations.xgboost.TraceletCallback())
        boost(digits)

    run = captured(train)
    assert run.steps("train/logloss") == run.steps("2/train/logloss") == [0, 1, 2]


def test_runs_after_each_other_have_their_own_and_nothing_stays(captured, digits):
    originals = xgb.callback.CallbackContainer.__init__, lgb.train, vars(GaussianNB)["fit"]

    def train():
        boost(digits)
        boost_light(digits)
        GaussianNB().fit(digits.x, digits.y)

    for _ in range(2):
        run = captured(train)
        assert run.steps("train/logloss") == run.steps("training/binary_logloss") == [0, 1, 2]
        assert run.steps("GaussianNB/fit_seconds") == [0]
    assert (xgb.callback.CallbackContainer.__init__, lgb.train, vars(GaussianNB)["fit"]) == originals


def test_a_nested_run_gets_what_is_trained_in_it(store, captured, digits):
    inner = []

    def train():
        boost(digits)
        with store.start("inner") as run:
            boost(digits)
        inner.append(run)

    outer = captured(train)
    # The inner run has no such plugin, so its training is the outer run's second one.
    assert outer.steps("2/train/logloss") == [0, 1, 2]
    assert store.read(inner[0]).names == set()


def test_a_failing_training_stays_the_programs_own(captured, digits):
    def fail():
        params = {"objective": "no such objective"}
        with pytest.raises(xgb.core.XGBoostError, match="no such objective"):
            xgb.train(params, xgb.DMatrix(digits.x, digits.y), 1, verbose_eval=False)
        boost(digits)

    assert captured(fail).steps("train/logloss") == [0, 1, 2]


def test_a_strict_run_is_not_disturbed(captured, digits):
    assert captured(lambda: boost(digits), strict=True).outcome == "finished"
