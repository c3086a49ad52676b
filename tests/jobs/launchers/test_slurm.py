"""Jobs of a real Slurm: steps with several tasks, arrays, and jobs that are preempted and requeued."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

pytestmark = pytest.mark.xdist_group("slurm")

RESUMING = """
import tracelet
with tracelet.start_run("training", resume=True) as run:
    first = 0 if run.last_step is None else run.last_step + 1
    for step in range(first, first + 10):
        run.log({"loss": 1 / (step + 1)}, step=step)
"""
PYTHON = shlex.quote(sys.executable)


class Batch:
    """What the tests ask of the cluster, in a project's folder."""

    def __init__(self, slurm, jobs):
        self.slurm, self.jobs = slurm, jobs

    def srun(self, *options, program="train.py", **environ):
        """Run a step now and wait for it."""
        words = ("srun", *options, sys.executable, program)
        return self.jobs.project.run(*words, environ={**self.slurm.environ, **environ})

    def sbatch(self, script, *options, **environ):
        """Submit a batch script and return the job's id."""
        (self.jobs.path / "job.sh").write_text(f"#!/bin/sh\n{script}\n")
        words = ("sbatch", "--parsable", "--output=out-%j.txt", "--open-mode=append", *options, "job.sh")
        return self.jobs.project.run(*words, environ={**self.slurm.environ, **environ}).stdout.strip()

    def preempt(self, job):
        """Take the node for another job, wait until the first is requeued, and give the node back."""
        other = self.sbatch("sleep 60", "--partition=high", "--exclusive")
        self.slurm.wait_for(job, "PENDING")
        self.slurm.command("scancel", other)
        # The node refuses a job that it has stopped within the same second.
        self.slurm.command("scontrol", "update", f"JobId={job}", "StartTime=now+2")

    def printed(self, job):
        """Return the lines that the programs of a job have printed: run id, rank, size and first step."""
        text = (self.jobs.path / f"out-{job}.txt").read_text()
        found = re.findall(r"STARTED (\S+) (\d+) (\d+) (\d+)", text)
        return [(run, int(rank), int(size), int(first)) for run, rank, size, first in found]


@pytest.fixture
def batch(slurm, jobs):
    return Batch(slurm, jobs)


def test_four_tasks_of_a_step_record_one_run(batch, jobs):
    batch.srun("--ntasks=4")
    found = jobs.the_run()
    assert (found.ranks, found.outcome, found.steps) == ([0, 1, 2, 3], "finished", list(range(30)))


def test_the_same_with_an_interface_for_mpi(batch, jobs):
    batch.srun("--ntasks=2", "--mpi=pmi2")
    assert jobs.the_run().ranks == [0, 1]


def test_all_ranks_on_request(batch, jobs):
    batch.srun("--ntasks=4", TRACELET_RANKS="all")
    assert sorted(jobs.the_run().steps) == sorted([*range(30)] * 4)


def test_independent_tasks_record_runs_of_their_own(batch, jobs):
    batch.srun("--ntasks=3", TRACELET_RANKS="separate")
    assert [found.steps for found in jobs.runs().values()] == [list(range(30))] * 3


def test_steps_of_one_allocation_are_different_runs(batch, jobs):
    script = f"srun -n 2 {PYTHON} train.py one\nsrun -n 2 {PYTHON} train.py two\n{PYTHON} train.py three"
    batch.slurm.wait_for(batch.sbatch(script, "--ntasks=2"), "COMPLETED")
    found = sorted((run.name, run.ranks) for run in jobs.runs().values())
    assert found == [("one", [0, 1]), ("three", [None]), ("two", [0, 1])]


def test_steps_at_the_same_time_are_different_runs(batch, jobs):
    step = f"srun -n 2 --exact {PYTHON} train.py"
    batch.slurm.wait_for(batch.sbatch(f"{step} one &\n{step} two &\nwait", "--ntasks=4"), "COMPLETED")
    assert sorted((run.name, run.ranks) for run in jobs.runs().values()) == [("one", [0, 1]), ("two", [0, 1])]


def test_each_task_of_an_array_is_a_run(batch, jobs):
    job = batch.sbatch(f"srun {PYTHON} train.py task-$SLURM_ARRAY_TASK_ID", "--array=0-3", "--ntasks=2")
    batch.slurm.wait_for(job, "COMPLETED")
    for task in range(4):
        batch.slurm.wait_for(f"{job}_{task}", "COMPLETED")
    found = sorted((run.name, run.ranks, len(run.steps)) for run in jobs.runs().values())
    assert found == [(f"task-{task}", [0, 1], 30) for task in range(4)]


@pytest.mark.parametrize("tasks", [1, 4])
def test_a_preempted_job_continues_its_run(batch, jobs, tasks):
    """Each task gets the last step of the run, and goes on from there."""
    job = batch.sbatch(f"srun {PYTHON} train.py", f"--ntasks={tasks}", "--requeue", STEP_SECONDS="0.1")
    for rank in range(tasks):
        jobs.wait_for_file(f"begun-training-{rank}-0")
    batch.preempt(job)
    batch.slurm.wait_for(job, "COMPLETED")
    started = batch.printed(job)
    assert len(started) == 2 * tasks
    assert len({run for run, *_ in started}) == 1
    assert {first for _, _, _, first in started[:tasks]} == {0}
    [first] = {first for _, _, _, first in started[tasks:]}
    assert 6 <= first < 30
    found = jobs.the_run()
    assert (found.outcome, found.steps) == ("finished", list(range(30)))


def test_a_preempted_batch_script_continues_the_run_of_each_program(batch, jobs):
    """Without srun: the programs of the script are known by their commands, in whatever order they start."""
    script = f"for name in one two; do {PYTHON} train.py $name & done; wait"
    job = batch.sbatch(script, "--ntasks=2", "--requeue", STEP_SECONDS="0.1")
    for name in ("one", "two"):
        jobs.wait_for_file(f"begun-{name}-0-0")
    batch.preempt(job)
    batch.slurm.wait_for(job, "COMPLETED")
    found = sorted((run.name, run.outcome, run.steps) for run in jobs.runs().values())
    assert found == [("one", "finished", list(range(30))), ("two", "finished", list(range(30)))]


def test_each_task_of_an_array_resumes_its_own_run(batch, jobs):
    """The tasks have the same command, and `resume=True` means the newest run of that name."""
    (jobs.path / "train.py").write_text(RESUMING)
    for _ in range(2):
        job = batch.sbatch(f"{PYTHON} train.py", "--array=1-3")
        for task in (1, 2, 3):
            batch.slurm.wait_for(f"{job}_{task}", "COMPLETED")
    assert [found.steps for found in jobs.runs().values()] == [list(range(20))] * 3
