"""Ray Tune: each trial is a run inside the sweep's, whatever happens to it."""

from __future__ import annotations

import time

import pytest

# On a busy machine: each process imports Ray.
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("ray")]

PROGRAM = """
import os, sys
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
import tracelet
from tracelet.integrations.ray import TraceletLoggerCallback

HERE = os.getcwd()
ray.init(logging_level="ERROR")


def objective(config):
    import json, os, signal, tempfile, time
    from ray import tune

    checkpoint, first = tune.get_checkpoint(), 1
    if checkpoint:
        with checkpoint.as_directory() as folder:
            first = json.load(open(os.path.join(folder, "step"))) + 1
    for step in range(first, config["steps"] + 1):
        with tempfile.TemporaryDirectory() as folder:
            json.dump(step, open(os.path.join(folder, "step"), "w"))
            result = {"score": config["x"] * step, "nested": {"twice": 2 * step}, "note": "text"}
            tune.report(result, checkpoint=tune.Checkpoint.from_directory(folder))
        if step == 2 and config["x"] == config["dies"] and first == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == 3 and config["x"] == config["raises"]:
            raise ValueError("a bad x")
        time.sleep(config["seconds"])


def build(scheduler=None, at_once=None, **space):
    space = {"steps": 8, "dies": 0, "raises": 0, "seconds": 0, "x": tune.grid_search([2, 3, 1, 4]), **space}
    return tune.Tuner(
        tune.with_resources(objective, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(metric="score", mode="max", scheduler=scheduler, max_concurrent_trials=at_once),
        run_config=tune.RunConfig(
            name="search", storage_path=os.environ["STORAGE"], verbose=0, callbacks=[TraceletLoggerCallback()],
            failure_config=tune.FailureConfig(max_failures=1 if space["dies"] else 0),
        ),
    )


mode = sys.argv[1]
if mode == "asha":
    asha = ASHAScheduler(max_t=8, grace_period=2, reduction_factor=2)
    with tracelet.start_run("sweep", plugins=["no:system", "no:environment"]):
        build(asha, at_once=1, raises=4, seconds=0.1).fit()
        tracelet.log({"after": 1.0})
elif mode == "killed worker":
    build(dies=3).fit()
elif mode == "long":
    build(steps=12, seconds=0.5).fit()
elif mode == "restore":
    tune.Tuner.restore(os.environ["STORAGE"] + "/search", tune.with_resources(objective, {"cpu": 1})).fit()
"""


@pytest.fixture
def sweep(ray_jobs, recorded):
    """Return a function that runs the program. It returns the sweep's run, and its trials by x."""
    ray_jobs.jobs.project.write("search.py", PROGRAM)

    def run(mode):
        ray_jobs.run("search.py", mode)
        return read()

    def read():
        runs = recorded().values()
        [parent] = [each for each in runs if each.parent is None]
        trials = {each.params["x"]: each for each in runs if each.parent is not None}
        assert len(trials) == len(runs) - 1
        assert {each.parent for each in trials.values()} == {parent.id}
        return parent, trials

    run.read = read
    return run


def steps(record, name="score"):
    return [int(step) for step in record.metric(name).iterations]


def test_each_trial_is_a_run_with_its_outcome(sweep):
    parent, trials = sweep("asha")
    assert (parent.name, parent.outcome) == ("sweep", "finished")
    assert parent.metrics() == ["after"]
    assert parent.params["ray/scheduler"] == "AsyncHyperBandScheduler"
    # One after the other: each is compared with those before it. The best one raises.
    outcomes = {x: trial.outcome for x, trial in trials.items()}
    assert outcomes == {2: "finished", 3: "finished", 1: "pruned", 4: "failed"}
    assert {x: steps(trial)[-1] for x, trial in trials.items()} == {2: 8, 3: 8, 1: 2, 4: 3}
    assert trials[4].error == "ValueError: a bad x"
    for x, trial in trials.items():
        assert [float(value) for value in trial.metric("score").values] == [x * step for step in steps(trial)]
        assert float(trial.metric("nested/twice").values[-1]) == 2 * steps(trial)[-1]
        assert trial.group == "search"


def test_a_trial_whose_worker_is_killed_continues_its_run(sweep):
    parent, trials = sweep("killed worker")
    assert {x: trial.outcome for x, trial in trials.items()} == dict.fromkeys((1, 2, 3, 4), "finished")
    assert sorted({*steps(trials[3])}) == list(range(1, 9))
    assert steps(trials[4]) == list(range(1, 9))
    assert (parent.name, parent.outcome) == ("search", "finished")


def test_a_restored_experiment_continues_the_same_runs(sweep, ray_jobs, recorded):
    driver = ray_jobs.start("search.py", "long")
    end = time.monotonic() + 90
    while time.monotonic() < end and driver.poll() is None:
        runs = [each for each in recorded().values() if "score" in each.metrics()]
        if len(runs) == 4 and all(len(each.metric("score")) >= 3 for each in runs):
            break
        time.sleep(0.2)
    driver.kill()
    said = driver.communicate(timeout=30)[0]
    before, interrupted = sweep.read()
    assert len(interrupted) == 4, said[-3000:]
    parent, trials = sweep("restore")
    assert parent.id == before.id
    assert {x: trial.id for x, trial in trials.items()} == {x: trial.id for x, trial in interrupted.items()}
    for trial in trials.values():
        assert trial.outcome == "finished"
        assert sorted({*steps(trial)}) == list(range(1, 13))
