"""Ranks of torchrun, Slurm, MPI and Ray know each other by what their launchers put into the environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import tracelet
from tracelet.run.job import current_job

pytestmark = pytest.mark.any_python


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


# -- which run a rank records into -------------------------------------------------------------------------

RECORDS = """
import os, sys, tracelet
name = sys.argv[1] if len(sys.argv) > 1 else "trial"
with tracelet.start_run(name, params={"name": name}) as run:
    run.log({"x": float(os.environ.get("RANK", 0))}, step=0)
    print(run.id, flush=True)
"""
RANKS = """
import os, subprocess, sys
def launch(*words, size=2, **more):
    ranks = [
        subprocess.Popen(words, env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), **more})
        for rank in range(size)
    ]
    assert [rank.wait() for rank in ranks] == [0] * size
"""


@pytest.fixture
def quiet(project):
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write("train.py", RECORDS)
    return project


def found(project):
    """Return the runs: name, ranks that joined, and how many points there are of x."""
    return sorted(
        (
            record.name,
            sorted((process.rank for process in record.writers), key=str),
            len(record.metric("x")) if "x" in record.metrics() else 0,
        )
        for record in tracelet.open_store(project.path).runs()
    )


@pytest.mark.parametrize(
    "surroundings",
    [
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},  # sbatch
        {
            "SLURM_JOB_ID": "1",
            "SLURM_NTASKS": "4",
            "SLURM_PROCID": "0",
            "SLURM_STEP_NUM_TASKS": "1",
        },  # salloc
        {"PBS_JOBID": "1.head", "PBS_NP": "4", "PBS_TASKNUM": "1", "PBS_NODENUM": "0"},
        {"LSB_JOBID": "1", "LSB_DJOB_NUMPROC": "4"},
        {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "PMIX_NAMESPACE": "singleton"},
        {"PMI_RANK": "0", "PMI_SIZE": "1"},
        {"RAY_JOB_ID": "01000000"},  # an actor
        {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"},
        {"RANK": "7", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"},
        {"RANK": "-1", "WORLD_SIZE": "4"},
        {"LOCAL_RANK": "0"},
        {"WORLD_SIZE": "4"},
    ],
    ids=lambda environ: "-".join(environ),
)
def test_one_process_is_no_rank(surroundings):
    assert current_job(surroundings) is None


@pytest.mark.parametrize(
    "left_over",
    [
        {"RANK": "1", "WORLD_SIZE": "2"},
        {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"},
        {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"},
        {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "PMIX_NAMESPACE": "same"},
    ],
    ids=["rank and size alone", "torchrun", "srun", "mpirun"],
)
def test_programs_one_after_the_other_never_share_a_run(quiet, left_over):
    """Be the variables left over, or several programs started by the same task."""
    for name in ("a", "b"):
        quiet.python("train.py", name, environ=left_over)
    assert [(name, points) for name, _, points in found(quiet)] == [("a", 1), ("b", 1)]


def test_all_tasks_of_a_step_run_the_same_programs_in_the_same_runs(quiet):
    for rank in ("0", "1"):
        step = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": rank, "SLURM_STEP_NUM_TASKS": "2"}
        for name in ("a", "b"):
            done = quiet.python("train.py", name, environ=step)
            assert ("records nothing, rank 0 does" in done.stderr) == (rank == "1")
    assert found(quiet) == [("a", [0, 1], 1), ("b", [0, 1], 1)]


def test_independent_programs_under_srun_can_record_runs_of_their_own(quiet):
    for rank in ("0", "1"):
        step = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": rank, "SLURM_STEP_NUM_TASKS": "2"}
        quiet.python("train.py", f"task-{rank}", environ={**step, "TRACELET_RANKS": "separate"})
    assert found(quiet) == [("task-0", [0], 1), ("task-1", [1], 1)]


def test_a_job_of_which_no_rank_records_is_reported(quiet):
    alone = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert "are left over from another job, unset them" in quiet.python("train.py", environ=alone).stderr


def test_ranks_started_through_a_shell_of_their_own_share_a_run(quiet):
    quiet.write("launcher.py", RANKS + "launch('/bin/sh', '-c', f'true; {sys.executable} train.py; true')\n")
    quiet.python("launcher.py")
    assert found(quiet) == [("trial", [0, 1], 1)]


def test_two_launches_by_one_process_are_two_runs(quiet):
    launches = "for name in 'ab': launch(sys.executable, 'train.py', name)\n"
    quiet.write("launcher.py", RANKS + launches)
    quiet.python("launcher.py")
    assert found(quiet) == [("a", [0, 1], 1), ("b", [0, 1], 1)]


def test_a_subprocess_of_a_rank_records_a_run_of_its_own(quiet):
    quiet.write(
        "outer.py",
        "import subprocess, sys, tracelet\n"
        "with tracelet.start_run('outer') as run:\n"
        "    run.log({'x': 1.0})\n"
        "    subprocess.run([sys.executable, 'train.py', 'inner'], check=True)\n",
    )
    quiet.write("launcher.py", RANKS + "launch(sys.executable, 'outer.py')\n")
    quiet.python("launcher.py")
    assert found(quiet) == [("inner", [None], 1), ("inner", [None], 1), ("outer", [0, 1], 1)]


LIGHTNING = """
import os, subprocess, sys, tracelet
def record(name):
    with tracelet.start_run(name) as run:
        run.log({"x": float(os.environ.get("LOCAL_RANK", 0))}, step=0)
        yield
before = record("before"); next(before)
if "LOCAL_RANK" not in os.environ:
    fit = {"LOCAL_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "2222"}
    os.environ.update(fit)
    child = subprocess.Popen([sys.executable, "train.py"], env={**os.environ, "LOCAL_RANK": "1"})
    assert child.wait() == 0
list(before)
list(record("in fit"))
"""


@pytest.mark.parametrize("command", ["python", "tracelet run"])
def test_processes_that_lightning_starts_join_the_runs_of_the_first(quiet, command):
    """Whether it has started the run before it starts them, or only then. The launcher's part is played here."""
    quiet.write("train.py", LIGHTNING)
    if command == "python":
        quiet.python("train.py")
    else:
        quiet.tracelet("run", "-q", "train.py")
    assert found(quiet) == [("before", [1, None], 1), ("in fit", [0, 1], 1)]


def test_under_tracelet_run_the_ranks_of_a_launcher_record_into_the_run_that_is_shown(quiet):
    quiet.write("launcher.py", RANKS + "launch(sys.executable, 'train.py', 'trained')\n")
    summary = quiet.tracelet("run", "launcher.py").stdout.partition("summary")[2]
    assert re.search(r"^x +", summary, re.M)
    assert found(quiet) == [("trained", [0, 1, None], 1)]


def test_a_launcher_that_records_itself_keeps_its_run(quiet):
    own = "import tracelet\nrun = tracelet.start_run('sweep')\n"
    quiet.write("launcher.py", RANKS + own + "launch(sys.executable, 'train.py', 'trial')\n")
    summary = quiet.tracelet("run", "launcher.py").stdout.partition("summary")[2]
    assert found(quiet) == [("sweep", [None], 0), ("trial", [0, 1], 1)]
    assert re.search("other runs +trial", summary)  # and names that of its ranks


def test_workers_that_torchrun_restarts_go_on_with_the_run(quiet):
    quiet.write(
        "launcher.py",
        RANKS + "for count in '01': launch(sys.executable, 'train.py', TORCHELASTIC_RESTART_COUNT=count)\n",
    )
    quiet.python("launcher.py")
    assert found(quiet) == [("trial", [0, 0, 1, 1], 2)]


@pytest.mark.parametrize("resume", [True, False], ids=["resumed", "joined"])
def test_program_and_store_agree_on_the_name_and_the_project(quiet, resume):
    quiet.write(
        "train.py",
        """
        import sys, tracelet
        with tracelet.start_run("first", project="old", run_id="r-1") as run:
            if "joined" in sys.argv:
                other = tracelet.start_run("second", project="new", run_id="r-1")
        if "resumed" in sys.argv:
            other = tracelet.start_run("second", project="new", run_id="r-1", resume=True)
        other.finish()
        print(other.name, other.project)
        """,
    )
    said = quiet.python("train.py", "resumed" if resume else "joined").stdout.split()
    record = tracelet.open_store(quiet.path).run("r-1")
    assert said == [record.name, record.project] == (["second", "new"] if resume else ["first", "old"])


def test_a_resumed_run_keeps_its_name_and_project_unless_others_are_given(quiet):
    quiet.python("train.py", "first", environ={"TRACELET_RUN_ID": "r-1", "TRACELET_PROJECT": "old"})
    again = "import tracelet\nwith tracelet.start_run(run_id='r-1', resume=True) as run: print(run.name, run.project)\n"
    quiet.write("again.py", again)
    assert quiet.python("again.py").stdout == "first old\n"
    record = tracelet.open_store(quiet.path).run("r-1")
    assert (record.name, record.project) == ("first", "old")
