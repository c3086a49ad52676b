"""The callback for Hydra, in real programs."""

from __future__ import annotations

import pytest

import tracelet

pytest.importorskip("hydra", reason="Hydra is not installed")

PROGRAM = """
    import contextlib
    import hydra
    import tracelet

    @hydra.main(version_base=None, config_path=".", config_name="config")
    def main(cfg):
        own = tracelet.start_run("own") if cfg.own else contextlib.nullcontext()
        with own:
            for step in range(3):
                tracelet.log({"loss": cfg.lr / (step + 1)}, step=step)
        if cfg.lr > 1:
            raise ValueError("lr is too large")
        return cfg.lr

    main()
"""
CONFIG = """
    lr: 0.1
    own: false
    name: "lr-${lr}"
    needed: ???
    db:
      password: hunter2-hunter2
      host: ${name}.example
    hydra:
      job:
        chdir: true
      callbacks:
        tracelet:
          _target_: tracelet.integrations.hydra.TraceletCallback
"""


@pytest.fixture
def application(project):
    """Return a function that runs the program, and returns its runs, the oldest first."""
    project.write("app.py", PROGRAM)
    project.write("config.yaml", CONFIG)
    project.write("tracelet.toml", "quiet = true\n[plugins]\nsystem = false\nenvironment = false\n")

    def run(*arguments, status=0, command=("python",)):
        if command[0] == "tracelet":
            project.tracelet("run", *command[1:], "app.py", *arguments, status=status)
        else:
            project.python("app.py", *arguments, status=status)
        runs = tracelet.open_store(project.path / ".tracelet").runs()
        return sorted(runs, key=lambda each: each.started_at)

    return run


def test_a_job_is_a_run_with_its_configuration(application):
    (run,) = application("lr=0.2")
    assert run.outcome == "finished"
    assert run.name == "app"
    assert run.params["lr"] == 0.2
    assert run.params["db/host"] == "lr-0.2.example"
    assert run.params["needed"] == "???"
    assert "hydra/job/chdir" not in run.params
    assert list(run.metric("loss").values) == [0.2, 0.1, 0.2 / 3]
    assert list(run.metric("objective").values) == [0.2]


def test_a_secret_is_recorded_nowhere(application, project):
    application("db.password=correct-horse-battery", "+db.api_token=another-secret-value")
    for file in (project.path / ".tracelet").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"correct-horse" not in data
            assert b"another-secret" not in data


def test_a_multirun_is_a_group_of_runs(application):
    runs = application("-m", "lr=0.2,0.3")
    assert [run.params["lr"] for run in runs] == [0.2, 0.3]
    assert [run.name for run in runs] == ["app-0", "app-1"]
    assert len({run.group for run in runs}) == 1
    assert runs[0].group.startswith("app-")


def test_a_job_that_fails_is_a_failed_run(application):
    (run,) = application("lr=2", status=1)
    assert run.outcome == "failed"
    assert run.error == "ValueError: lr is too large"


def test_a_run_that_the_job_starts_is_the_jobs(application):
    (run,) = application("own=true")
    assert run.name == "own"
    assert run.params["lr"] == 0.1
    assert len(run.metric("loss").values) == 3
    assert run.outcome == "finished"


def test_under_tracelet_run_a_job_joins_and_a_multirun_is_inside(application):
    (run,) = application("lr=0.2", command=("tracelet", "-q"))
    assert run.params["lr"] == 0.2
    runs = application("-m", "lr=0.3,0.4", command=("tracelet", "-q"))[1:]
    assert [run.params.get("lr") for run in runs] == [None, 0.3, 0.4]
    assert [run.parent for run in runs] == [None, runs[0].id, runs[0].id]
