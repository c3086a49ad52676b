"""Which incarnation of a restarted job a rank belongs to, and which run. Real torchruns are in tests/jobs."""

from __future__ import annotations

import pytest

import tracelet
from tracelet.run.elastic import enter
from tracelet.run.job import Elastic, Job, current_job

pytestmark = pytest.mark.any_python

QUIET = ["no:system", "no:environment", "no:gpu"]


def rank(number, process, *, size=2, agent="agent a", rendezvous="host 1", requeued=""):
    elastic = Elastic(agent, process, 0, rendezvous, requeued)
    return Job("torchrun", number, size, number, "torchrun-x", "x", None, elastic)


def test_the_ranks_of_one_start_are_one_incarnation_whichever_comes_first(tmp_path):
    assert [enter(tmp_path, rank(number, f"p{number}")).launch for number in (1, 0)] == ["x.1", "x.1"]


def test_all_ranks_of_a_restart_are_the_next_incarnation(tmp_path):
    for number in (0, 1):
        enter(tmp_path, rank(number, f"p{number}"))
    assert [enter(tmp_path, rank(number, f"q{number}")).launch for number in (1, 0)] == ["x.2", "x.2"]


def test_ranks_of_a_larger_job_are_the_next_incarnation_of_the_same_job(tmp_path):
    for number in (0, 1):
        enter(tmp_path, rank(number, f"p{number}"))
    ranks = [rank(number, f"q{number}", size=3) for number in (2, 0, 1)]
    assert [enter(tmp_path, each).launch for each in ranks] == ["x.2"] * 3


def test_a_second_program_of_the_same_worker_takes_another_run(tmp_path):
    first = enter(tmp_path, rank(0, "p0"))
    again = enter(tmp_path, rank(0, "p0"))
    assert (first.launch, again.launch) == ("x.1", None)
    assert again.owner


@pytest.fixture
def interrupted(tmp_path):
    """Return the folder of a run that rank zero left with this outcome."""

    def leave(outcome):
        job = rank(0, "p0")
        with tracelet.start_run(run_id="run-1", dir=tmp_path, plugins=QUIET) as run:
            enter(run.dir, job)
            run.log({"x": 1.0}, step=0)
            run.finish(outcome)
        return run.dir

    return leave


def test_another_agent_continues_what_was_interrupted(interrupted):
    run_dir = interrupted("killed")
    assert enter(run_dir, rank(0, "q0", agent="agent b", rendezvous="host 2")).launch == "x.2"


def test_another_job_with_the_same_id_takes_another_run(interrupted, monkeypatch):
    monkeypatch.setattr("tracelet.run.elastic._PATIENCE", 0.1)
    run_dir = interrupted("finished")
    assert enter(run_dir, rank(0, "q0", agent="agent b", rendezvous="host 2")).launch is None


def test_a_requeued_job_continues_its_run_on_other_hosts(interrupted):
    run_dir = interrupted("finished")
    job = rank(0, "q0", agent="agent b", rendezvous="host 2", requeued="1")
    assert enter(run_dir, job).launch == "x.2"


def test_a_claim_that_cannot_be_read_is_ignored(tmp_path):
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks" / "incarnation-7-0").write_text("no JSON")
    (tmp_path / "ranks" / "incarnation-x-0").write_text("{}")
    assert enter(tmp_path, rank(0, "p0")).launch == "x.1"


def test_the_id_does_not_depend_on_the_rendezvous_but_on_the_batch_job():
    environ = {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "vision-7"}
    job = current_job({**environ, "MASTER_ADDR": "a", "MASTER_PORT": "1"})
    assert job.run_id == current_job({**environ, "MASTER_ADDR": "b", "MASTER_PORT": "2"}).run_id
    assert job.run_id != current_job({**environ, "SLURM_JOB_ID": "7"}).run_id


def test_slurm_clusters_that_share_a_folder_have_jobs_of_their_own():
    step = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}
    named = [current_job({**step, "SLURM_CLUSTER_NAME": name}).run_id for name in ("big", "small/one")]
    assert named == ["slurm-big-7-0", "slurm-small-one-7-0"]
