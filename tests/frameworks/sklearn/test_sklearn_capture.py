"""``tracelet.integrations.sklearn.capture`` with real estimators."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tracelet.integrations.sklearn import capture


@pytest.fixture
def captured(recorded):
    """Return a function that calls another one inside a run and a capture."""

    def run(train):
        def inside():
            with capture():
                train()

        return recorded(inside)

    return run


def fits(run):
    """Return how often each class was fitted."""
    suffix = "/fit_seconds"
    return {name.removesuffix(suffix): len(run.values(name)) for name in run.names if name.endswith(suffix)}


def test_a_fit_is_one_record(captured, digits):
    model = DecisionTreeClassifier(max_depth=3, random_state=0)
    run = captured(lambda: model.fit(digits.x, digits.y))
    assert fits(run) == {"DecisionTreeClassifier": 1}
    assert run.params["DecisionTreeClassifier/max_depth"] == 3
    assert run.params["DecisionTreeClassifier/n_samples"] == 400
    assert run.params["DecisionTreeClassifier/n_features"] == 64
    assert run.values("DecisionTreeClassifier/training_score") == [model.score(digits.x, digits.y)]


def test_named_arguments_are_the_data_too(captured, digits):
    run = captured(lambda: DecisionTreeClassifier(max_depth=2).fit(X=digits.x, y=digits.y))
    assert run.params["DecisionTreeClassifier/n_samples"] == 400
    assert len(run.values("DecisionTreeClassifier/training_score")) == 1


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_what_is_fitted_inside_a_fit_is_no_record(captured, digits, n_jobs):
    def train():
        make_pipeline(StandardScaler(), GaussianNB()).fit(digits.x, digits.y)
        RandomForestClassifier(5, n_jobs=n_jobs).fit(digits.x, digits.y)
        VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier())], n_jobs=n_jobs).fit(
            digits.x, digits.y
        )
        BaggingClassifier(GaussianNB(), 3, n_jobs=n_jobs).fit(digits.x, digits.y)

    run = captured(train)
    assert fits(run) == dict.fromkeys(
        ["Pipeline", "RandomForestClassifier", "VotingClassifier", "BaggingClassifier"], 1
    )
    assert run.params["Pipeline/standardscaler__with_mean"] is True
    assert run.params["Pipeline/gaussiannb"] == "GaussianNB"


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_search_has_its_results(captured, digits, n_jobs):
    search = GridSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3, 5]}, cv=2, n_jobs=n_jobs
    )
    run = captured(lambda: search.fit(digits.x, digits.y))
    assert fits(run) == {"GridSearchCV": 1}
    assert run.values("GridSearchCV/mean_test_score") == list(search.cv_results_["mean_test_score"])
    assert run.values("GridSearchCV/std_test_score") == list(search.cv_results_["std_test_score"])
    assert run.values("GridSearchCV/best_score") == [search.best_score_]
    assert run.params["GridSearchCV/best_params/max_depth"] == search.best_params_["max_depth"]
    (table,) = (one for one in run.record.artifacts if one["media"] not in (None, "image"))
    assert table["name"] == "GridSearchCV/cv_results"


def test_a_cross_validation_has_the_scores_of_its_folds(captured, digits):
    model = DecisionTreeClassifier(max_depth=3, random_state=0)
    scores = []

    def validate():  # both were imported before the capture began
        scores.append(cross_val_score(model, digits.x, digits.y, cv=3))
        scores.append(cross_validate(model, digits.x, digits.y, cv=3, return_train_score=True)["train_score"])

    run = captured(validate)
    name = "cross_validate/DecisionTreeClassifier"
    assert fits(run) == {}
    assert run.values(f"{name}/test_score") == list(scores[0])
    assert run.values(f"{name}/test_score/mean") == pytest.approx([scores[0].mean()])
    assert run.values(f"{name}/test_score/std") == pytest.approx([scores[0].std()])
    assert run.values(f"{name}-2/train_score") == list(scores[1])
    assert run.params[f"{name}/folds"] == 3


def test_fits_of_one_class_are_a_series_and_other_parameters_are_apart(captured, digits):
    def train():
        for depth in (1, 2, 2, 4):
            DecisionTreeClassifier(max_depth=depth, random_state=0).fit(digits.x, digits.y)

    run = captured(train)
    assert run.steps("DecisionTreeClassifier/training_score") == [0, 1, 2, 3]
    assert run.params["DecisionTreeClassifier/max_depth"] == 1
    assert run.params["DecisionTreeClassifier-2/max_depth"] == 2
    assert "DecisionTreeClassifier-3/max_depth" not in run.params
    assert run.params["DecisionTreeClassifier-4/max_depth"] == 4


def test_the_curves_that_an_estimator_keeps_are_series(captured, digits):
    model = MLPClassifier((4,), max_iter=3, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        run = captured(lambda: model.fit(digits.x, digits.y))
    assert run.values("MLPClassifier/loss_curve") == model.loss_curve_
    assert run.values("MLPClassifier/n_iter") == [3]


def test_partial_fits_of_one_estimator_are_one_record(captured, digits):
    model = SGDClassifier(random_state=0)
    run = captured(
        lambda: [
            model.partial_fit(digits.x[at : at + 50], digits.y[at : at + 50], [0, 1]) for at in (0, 50, 100)
        ]
    )
    assert fits(run) == {}
    assert run.params["SGDClassifier/loss"] == "hinge"
    assert "SGDClassifier-2/loss" not in run.params


def test_fitting_by_transforming_or_predicting_counts(captured, digits):
    run = captured(lambda: StandardScaler().fit_transform(digits.x))
    assert fits(run) == {"StandardScaler": 1}


def test_the_programs_numbers_stay_the_same(captured, digits):
    def train():
        np.random.seed(5)
        model = RandomForestClassifier(3).fit(digits.x, digits.y)
        return model.predict_proba(digits.x_test), np.random.random()

    results = []
    captured(lambda: results.append(train()))
    results.append(train())
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_an_estimator_of_the_programs_own_is_recorded_and_never_asked(captured, digits):
    run = captured(lambda: Own(level=7).fit(digits.x, digits.y))
    assert run.params["Own/level"] == 7
    assert "Own/training_score" not in run.names


def test_odd_estimators_are_left_in_peace(captured, digits):
    class Odd(BaseEstimator):
        __hash__ = None

        @staticmethod
        def fit(x):
            return len(x)

        def partial_fit(self, x):
            return self

    def train():
        odd = Odd()
        assert odd.partial_fit(digits.x).partial_fit(digits.x) is odd
        assert odd.fit(digits.x) == len(digits.x)

    captured(train)


class Own(BaseEstimator):
    def __init__(self, level=1):
        self.level = level

    def fit(self, x, y):
        return self

    def score(self, x, y):
        raise AssertionError("only the program may call this")


def test_a_class_that_is_defined_meanwhile_is_recorded(captured, digits):
    def train():
        class Late(BaseEstimator):
            def fit(self, x, y):
                return self

        Late().fit(digits.x, digits.y)

    assert fits(captured(train)) == {"Late": 1}


def test_everything_is_restored(captured, digits):
    def methods():
        kinds = (LogisticRegression, GaussianNB, StandardScaler, GridSearchCV)
        return (
            [vars(kind).get("fit") for kind in kinds],
            BaseEstimator.__init_subclass__,
            cross_validate.__module__,
        )

    before, own = methods(), cross_validate
    captured(lambda: GaussianNB().fit(digits.x, digits.y))
    assert methods()[0] == before[0]
    assert "__init_subclass__" not in vars(BaseEstimator)
    assert globals()["cross_validate"] is own


def test_a_fit_that_fails_is_no_record_and_the_next_one_is(captured, digits):
    def train():
        with pytest.raises(ValueError, match="max_depth"):
            DecisionTreeClassifier(max_depth=-1).fit(digits.x, digits.y)
        GaussianNB().fit(digits.x, digits.y)

    assert fits(captured(train)) == {"GaussianNB": 1}


def test_estimators_stay_what_they_are_for_scikit_learn(captured, digits):
    def train():
        model = GaussianNB().fit(digits.x, digits.y)
        assert pickle.loads(pickle.dumps(model)).score(digits.x, digits.y) == model.score(digits.x, digits.y)
        assert clone(model).get_params() == model.get_params()
        assert GaussianNB.fit.__doc__.lstrip().startswith("Fit Gaussian Naive Bayes")

    captured(train)


def test_a_class_of_the_main_module_still_goes_to_worker_processes(record, project):
    run = record(
        """
        from sklearn.base import BaseEstimator, TransformerMixin
        from sklearn.datasets import load_digits
        from sklearn.model_selection import GridSearchCV
        from sklearn.naive_bayes import GaussianNB
        from sklearn.pipeline import make_pipeline

        class Scale(TransformerMixin, BaseEstimator):
            def __init__(self, by=1.0):
                self.by = by

            def fit(self, x, y=None):
                return self

            def transform(self, x):
                return x * self.by

        model = make_pipeline(Scale(), GaussianNB())
        GridSearchCV(model, {"scale__by": [1, 2]}, cv=2, n_jobs=2).fit(*load_digits(n_class=2, return_X_y=True))
        """,
        *("-p", "sklearn"),
    )
    assert {name for name in run.series() if name.endswith("fit_seconds")} == {"GridSearchCV/fit_seconds"}


def test_captures_inside_each_other_record_once(captured, digits):
    def train():
        with capture():
            GaussianNB().fit(digits.x, digits.y)
        DecisionTreeClassifier(max_depth=2).fit(digits.x, digits.y)

    assert fits(captured(train)) == {"GaussianNB": 1, "DecisionTreeClassifier": 1}


def test_without_a_run_it_starts_one(store, digits):
    with capture():
        GaussianNB().fit(digits.x, digits.y)
    (run,) = store.all()
    assert fits(run) == {"GaussianNB": 1}
