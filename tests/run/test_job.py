"""Ranks of torchrun, Slurm, MPI and Ray know each other by what their launchers put into the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tracelet
from tracelet.run.job import current_job


def test_no_job_without_a_launcher():
    assert current_job({}) is None
    assert current_job({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert current_job({"RANK": "zero", "WORLD_SIZE": "two"}) is None


def test_torchrun_on_one_host_is_named_by_its_agent():
    environ = {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "TORCHELASTIC_RUN_ID": "none",
    }
    job = current_job(environ)
    assert (job.launcher, job.rank, job.world_size, job.local_rank) == ("torchrun", 1, 2, 1)
    assert job.run_id == current_job({**environ, "RANK": "0", "LOCAL_RANK": "0"}).run_id
    assert job.run_id.startswith("job-")


def test_torchrun_on_several_hosts_is_named_by_its_rendezvous():
    environ = {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "TORCHELASTIC_RUN_ID": "vision-7",
        "MASTER_ADDR": "node0",
        "MASTER_PORT": "29500",
    }
    job = current_job(environ)
    assert job.run_id == current_job({**environ, "RANK": "0", "LOCAL_RANK": "0"}).run_id
    assert job.run_id != current_job({**environ, "TORCHELASTIC_RUN_ID": "vision-8"}).run_id
    assert current_job({**environ, "TORCHELASTIC_RUN_ID": "none"}).run_id is None


def test_workers_of_ray_train_are_named_by_job_and_rendezvous():
    """Not by their parent: Ray's daemon starts the workers of every job on the host."""
    environ = {
        "RAY_JOB_ID": "01000000",
        "RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "192.0.2.2",
        "MASTER_PORT": "53683",
    }
    job = current_job(environ)
    assert (job.launcher, job.rank, job.world_size, job.local_rank) == ("ray", 1, 2, 1)
    assert job.run_id == current_job({**environ, "RANK": "0", "LOCAL_RANK": "0"}).run_id
    assert job.run_id != current_job({**environ, "MASTER_PORT": "42257"}).run_id


def test_torchrun_on_several_hosts_without_an_id_is_named_by_slurm():
    environ = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "none"}
    assert current_job({**environ, "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "1"}).run_id == "slurm-77-1"


def test_a_second_run_of_a_job_is_another_run(project):
    """Real ranks, which start two runs each."""
    project.write(
        "train.py",
        """
        import tracelet
        for name in ("first", "second"):
            with tracelet.start_run(name) as run:
                run.log({"x": 1.0}, step=0)
        """,
    )
    rank = {"WORLD_SIZE": "2", "SLURM_JOB_ID": "7", "LOCAL_WORLD_SIZE": "1"}
    for number in ("0", "1"):
        project.python("train.py", environ={**rank, "RANK": number})
    runs = tracelet.open_store(project.path / ".tracelet").runs()
    assert {run.id: run.name for run in runs} == {"slurm-7-batch": "first", "slurm-7-batch-2": "second"}


def test_slurm_is_named_by_job_and_step():
    environ = {
        "SLURM_PROCID": "3",
        "SLURM_NTASKS": "4",
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_LOCALID": "1",
        "SLURM_JOB_ID": "77",
        "SLURM_STEP_ID": "0",
    }
    job = current_job(environ)
    assert (job.launcher, job.rank, job.local_rank, job.run_id) == ("slurm", 3, 1, "slurm-77-0")


def test_torchrun_under_slurm_is_torchruns():
    environ = {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7", "RANK": "9", "WORLD_SIZE": "16"}
    assert (current_job(environ).launcher, current_job(environ).rank) == ("torchrun", 9)


def test_mpi_is_named_by_its_namespace():
    environ = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}
    job = current_job({**environ, "PMIX_NAMESPACE": "prterun-node-123@1"})
    assert (job.rank, job.world_size, job.local_rank) == (2, 4, 0)
    assert (
        job.run_id
        == current_job(
            {**environ, "OMPI_COMM_WORLD_RANK": "0", "PMIX_NAMESPACE": "prterun-node-123@1"}
        ).run_id
    )


@pytest.mark.parametrize("parent", ["same", "other"])
def test_children_of_one_launcher_share_an_id_and_those_of_another_do_not(parent):
    """Real launchers: a process starts its ranks, as torchrun and mpirun do."""
    rank = "from tracelet.run.job import current_job; print(current_job().run_id)"
    launcher = (
        "import os, subprocess, sys\n"
        "for r in range(2):\n"
        "    env = {**os.environ, 'RANK': str(r), 'WORLD_SIZE': '2', 'LOCAL_WORLD_SIZE': '2', 'LOCAL_RANK': str(r)}\n"
        f"    subprocess.run([sys.executable, '-c', {rank!r}], env=env, check=True)\n"
    )
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "OMPI_"))}
    ids = [
        subprocess.run(
            [sys.executable, "-c", launcher], env=environ, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(1 if parent == "same" else 2)
    ]
    assert all(one == other for one, other in ids)
    assert len({each[0] for each in ids}) == len(ids)


RESUMING = """
import sys, tracelet
with tracelet.start_run("trial", resume="resume" in sys.argv) as run:
    print(run.id, run.last_step, run.name)
    first = 0 if run.last_step is None else run.last_step + 1
    for step in range(first, first + 10):
        run.log_metric("x", step, step)
"""


def test_all_ranks_that_come_back_are_told_the_same_last_step(project):
    """However far the others are by then: here rank zero has done all its steps before rank one begins."""
    project.write("train.py", RESUMING)
    slurm = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "SLURM_JOB_ID": "7"}
    for environ, expected in (
        ({}, "None"),
        ({"SLURM_RESTART_COUNT": "1"}, "9"),
        ({"SLURM_RESTART_COUNT": "2"}, "19"),
    ):
        for rank in ("0", "1"):
            told = project.python("train.py", environ={**slurm, **environ, "RANK": rank}).stdout
            assert told == f"slurm-7-batch {expected} trial\n"


def test_resume_finds_the_newest_run_whatever_named_it(project):
    project.write("train.py", RESUMING)
    older = {"WORLD_SIZE": "2", "SLURM_JOB_ID": "7", "RANK": "0"}  # sorts after ids that begin with the date
    project.python("train.py", environ=older)
    newer = project.python("train.py").stdout.split()[0]
    assert project.python("train.py", "resume").stdout == f"{newer} 9 trial\n"
    again = {**older, "SLURM_JOB_ID": "8"}
    assert project.python("train.py", "resume", environ=again).stdout == f"{newer} 19 trial\n"


def test_resume_passes_over_what_cannot_be_read_but_not_where_it_was_asked_for(project):
    project.write("train.py", RESUMING)
    broken = project.write(".tracelet/runs/broken/notes.txt", "").parent
    (broken / "journal").symlink_to("journal")  # leads to itself; root, too, cannot read it
    newest = project.python("train.py").stdout.split()[0]
    assert project.python("train.py", "resume").stdout == f"{newest} 9 trial\n"
    rank = {"RANK": "0", "WORLD_SIZE": "2", "SLURM_JOB_ID": "7"}
    for job in ({}, rank):
        done = project.python("train.py", "resume", environ={"TRACELET_RUN_ID": "broken", **job}, status=1)
        assert done.stderr.startswith("tracelet: run_id: run 'broken' cannot be read: ")


def test_the_last_step_is_the_programs_own(project):
    """Collectors count their ticks, of which there may be more than steps."""
    project.write("tracelet.toml", "[plugins.system]\ninterval = 0.05\n")
    project.write(
        "train.py",
        """
        import time, tracelet
        with tracelet.start_run("trial", resume=True) as run:
            print(run.last_step)
            run.log_metric("x", 1.0, 3)
            end = time.monotonic() + 20
            while run.status()["recorded"] < 200 and time.monotonic() < end:
                time.sleep(0.05)
        """,
    )
    assert project.python("train.py").stdout == "None\n"
    assert project.python("train.py").stdout == "3\n"
    [record] = tracelet.open_store(project.path / ".tracelet").runs()
    assert max(max(series.iterations) for series in record.series("*") if series.type == "system") > 3
