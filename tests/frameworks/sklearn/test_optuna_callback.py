"""The callback for Optuna, with real studies."""

from __future__ import annotations

import pytest

import tracelet

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")

from tracelet.integrations.optuna import TraceletCallback  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    for step in range(3):
        trial.report(x * x + step, step)
        if trial.number == 1 and step == 1:
            raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError("a bad x")
    if tracelet.active_run() is not None:
        tracelet.log({"inner": x}, step=0)
    return x * x


def study(**options):
    sampler = optuna.samplers.RandomSampler(seed=1)
    return optuna.create_study(study_name="parabola", sampler=sampler, **options)


@pytest.fixture
def optimized(store):
    """Return a function that optimizes; it returns the study, its run and the runs of its trials by number."""

    def optimize(study, objective, callback, **options):
        with store.start("search") as run:
            study.optimize(objective, n_trials=4, callbacks=[callback], catch=(ValueError,), **options)
        others = [each for each in store.all() if each.record.id != run.id]
        return study, store.read(run), {each.tags["optuna/trial"]: each for each in others}

    return optimize


def test_each_trial_is_a_run_with_its_state(optimized):
    searched, _, trials = optimized(study(), objective, TraceletCallback())
    assert {number: trial.outcome for number, trial in trials.items()} == {
        0: "finished",
        1: "pruned",
        2: "failed",
        3: "finished",
    }
    for number in (0, 1, 3):
        assert trials[number].params["x"] == searched.trials[number].params["x"]
        assert trials[number].values("value") == [searched.trials[number].value]
    assert trials[1].steps("intermediate_value") == [0, 1]
    assert trials[3].values("intermediate_value") == list(searched.trials[3].intermediate_values.values())


def test_the_trials_are_children_of_the_studys_run(optimized):
    _, run, trials = optimized(study(), objective, TraceletCallback())
    for trial in trials.values():
        assert trial.record.parent == run.record.id
        assert trial.record.group == "parabola"


def test_the_studys_run_has_the_course_of_the_study(optimized):
    searched, run, _ = optimized(study(), objective, TraceletCallback())
    assert run.steps("value") == [0, 1, 3]
    assert run.values("best_value")[-1] == searched.best_value
    assert run.params["optuna/best_params/x"] == searched.best_params["x"]
    assert run.params["optuna/direction"] == "minimize"
    assert run.outcome == "finished"


def test_a_tracked_objective_records_into_its_trial(optimized):
    callback = TraceletCallback()
    _, run, trials = optimized(study(), callback.track(objective), callback)
    assert sorted(trials) == [0, 1, 2, 3]
    assert trials[0].values("inner") == [trials[0].params["x"]]
    assert "inner" not in run.names
    assert trials[2].outcome == "failed"
    assert trials[2].record.error == "ValueError: a bad x"
    assert trials[1].outcome == "pruned"


def test_trials_of_threads_do_not_mix(optimized):
    callback = TraceletCallback()
    _, run, trials = optimized(study(), callback.track(objective), callback, n_jobs=2)
    for number in (0, 3):
        assert trials[number].values("inner") == [trials[number].params["x"]]
    assert sorted(run.steps("trial_seconds")) == [0, 1, 2, 3]


def test_a_trial_that_ends_the_study_is_recorded_as_failed(store):
    callback = TraceletCallback()
    with pytest.raises(ValueError, match="a bad x"), store.start("search"):
        study().optimize(callback.track(objective), n_trials=4, callbacks=[callback])
    outcomes = {each.tags.get("optuna/trial"): each.outcome for each in store.all()}
    assert outcomes == {None: "failed", 0: "finished", 1: "pruned", 2: "failed"}


def test_several_values_have_their_names(optimized):
    both = study(directions=["minimize", "maximize"])
    both.set_metric_names(["error", "speed"])

    def two(trial):
        x = trial.suggest_float("x", 0, 1)
        return x, 1 - x

    searched, run, trials = optimized(both, two, TraceletCallback())
    assert run.values("speed") == [trial.values[1] for trial in searched.trials]
    assert trials[0].values("error") == [searched.trials[0].values[0]]


def test_without_runs_of_trials_only_the_study_is_recorded(optimized):
    _, run, trials = optimized(study(), objective, TraceletCallback(trials=False))
    assert trials == {}
    assert run.steps("value") == [0, 1, 3]
