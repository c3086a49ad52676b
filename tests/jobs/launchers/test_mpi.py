"""Programs that a real mpirun starts."""

from __future__ import annotations

import shutil
import sys

import pytest

MPIRUN = shutil.which("mpirun")
pytestmark = pytest.mark.skipif(
    MPIRUN is None, reason="needs the program 'mpirun' (Debian: apt-get install openmpi-bin)"
)

#: Loopback only, more ranks than cores, and no objection to root.
OPTIONS = (
    "--oversubscribe",
    "--mca",
    "btl",
    "self,tcp",
    "--mca",
    "oob_tcp_if_include",
    "lo",
    "--mca",
    "plm",
    "isolated",
)
ENVIRON = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def mpirun(jobs, *words, **environ):
    options = (*OPTIONS, "-n", "4") if "-n" not in words else OPTIONS
    return jobs.project.run(MPIRUN, *options, *words, environ={**ENVIRON, **environ})


def test_four_ranks_record_one_run(jobs):
    done = mpirun(jobs, sys.executable, "train.py")
    found = jobs.the_run()
    assert (found.ranks, found.outcome, found.steps) == ([0, 1, 2, 3], "finished", list(range(30)))
    assert done.stderr.count("records nothing, rank 0 does") == 3


def test_two_launches_are_two_runs(jobs):
    for name in ("one", "two"):
        mpirun(jobs, sys.executable, "train.py", name)
    assert sorted((run.name, run.ranks) for run in jobs.runs().values()) == [
        ("one", [0, 1, 2, 3]),
        ("two", [0, 1, 2, 3]),
    ]


def test_several_programs_of_one_launch_are_one_run(jobs):
    """``mpirun -n 1 a : -n 2 b`` is one job of three ranks."""
    mpirun(jobs, "-n", "1", sys.executable, "train.py", ":", "-n", "2", sys.executable, "train.py")
    assert jobs.the_run().ranks == [0, 1, 2]


def test_a_single_process_is_no_job(jobs):
    mpirun(jobs, "-n", "1", sys.executable, "train.py")
    assert jobs.the_run().ranks == [None]


def test_ranks_that_start_through_a_shell(jobs):
    mpirun(jobs, "sh", "-c", f"{sys.executable} train.py one; {sys.executable} train.py two")
    assert sorted((run.name, run.ranks) for run in jobs.runs().values()) == [
        ("one", [0, 1, 2, 3]),
        ("two", [0, 1, 2, 3]),
    ]
