"""Workers of a real torchrun, and its elastic restarts, on one host and on two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

RUN = (sys.executable, "-m", "torch.distributed.run")


def torchrun(jobs, *options, **environ):
    """Run the training under torchrun and return what it printed."""
    return jobs.project.run(*RUN, *options, "train.py", environ=environ, timeout=150).stdout


def started(text):
    """Return what the ranks printed when they started: (run, rank, size, first step)."""
    lines = [line.split()[-4:] for line in text.splitlines() if "STARTED" in line]
    return [(run, int(rank), int(size), int(first)) for run, rank, size, first in lines]


@pytest.mark.parametrize("options", [(), ("--standalone",)], ids=["static", "standalone"])
def test_two_workers_record_one_run(jobs, options):
    torchrun(jobs, *options, "--nproc-per-node=2")
    found = jobs.the_run()
    assert (found.ranks, found.outcome, found.steps) == ([0, 1], "finished", list(range(30)))


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_is_restarted_and_the_run_goes_on(jobs, victim):
    """torchrun restarts all workers. Each gets the same last step."""
    words = (*RUN, "--nproc-per-node=2", "--max-restarts=2", "--monitor-interval=0.1", "train.py")
    with launched(jobs, words, STEP_SECONDS="0.1") as process:
        for rank in (0, 1):
            jobs.wait_for_file(f"begun-training-{rank}-0")
        os.kill(int(jobs.wait_for_file(f"begun-training-{victim}-0").read_text()), signal.SIGKILL)
        text = process.communicate(timeout=120)[0]
    assert process.returncode == 0, text
    assert len({run for run, *_ in started(text)}) == 1
    [first] = {first for _, _, _, first in started(text)[2:]}
    assert 6 <= first < 30
    found = jobs.the_run()
    assert (found.ranks, found.outcome, found.steps) == ([0, 0, 1, 1], "finished", list(range(30)))


def test_a_second_job_with_the_same_id_is_another_run(jobs):
    """People copy ``--rdzv-id=100`` from the documentation."""
    for _ in range(2):
        torchrun(
            jobs, "--rdzv-id=100", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "--nproc-per-node=2"
        )
    assert [found.steps for found in jobs.runs().values()] == [list(range(30))] * 2


def test_programs_of_one_worker_are_runs_of_their_own_and_each_is_continued(jobs):
    """Each worker is a shell script that runs two programs. The second is killed: both are run again."""
    shell = f"{sys.executable} train.py one && exec {sys.executable} train.py two"
    options = (
        "--standalone",
        "--nproc-per-node=2",
        "--max-restarts=1",
        "--monitor-interval=0.1",
        "--no-python",
    )
    with launched(jobs, (*RUN, *options, "sh", "-c", shell), STEP_SECONDS="0.05") as process:
        for rank in (0, 1):
            jobs.wait_for_file(f"begun-two-{rank}-0")
        os.kill(int(jobs.wait_for_file("begun-two-1-0").read_text()), signal.SIGKILL)
        text = process.communicate(timeout=120)[0]
    assert process.returncode == 0, text
    found = sorted((run.name, run.ranks, run.steps) for run in jobs.runs().values())
    assert found == [("one", [0, 0, 1, 1], list(range(30))), ("two", [0, 0, 1, 1], list(range(30)))]


def launched(jobs, words, **environ):
    """Start a program that prints as it goes."""
    return subprocess.Popen(
        words,
        cwd=jobs.path,
        env={**jobs.project.environ, "PYTHONUNBUFFERED": "1", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
