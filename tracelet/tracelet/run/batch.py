"""A single process in a batch job: if Slurm preempts the job and requeues it, the process continues its own run."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tracelet.run.job import Job, short_hash, slurm_job

#: Variables with the number of an array's task, and what they hold outside of an array.
_ARRAY_TASKS: Final = (
    ("SLURM_ARRAY_TASK_ID", ""),
    ("PBS_ARRAY_INDEX", ""),
    ("SGE_TASK_ID", "undefined"),
    ("LSB_JOBINDEX", "0"),
)


class BatchProcess(NamedTuple):
    """A process that a batch job will start again with the same command, should it be requeued."""

    job: Job  # of this process alone
    requeued: bool

    def runs(self, runs: Path) -> itertools.chain[Path]:
        """Return the folders of its runs: the first that it starts, the second, and so on."""
        first = runs / str(self.job.run_id)
        return itertools.chain([first], (Path(f"{first}-{number}") for number in itertools.count(2)))


def batch_process(name: str | None, environ: Mapping[str, str] | None = None) -> BatchProcess | None:
    """Return this process's place in a Slurm job; ``name`` is the name that it gives its run.

    The place is the command in the job, not its number: programs that run at the same time start in any order.
    """
    environ = os.environ if environ is None else environ
    job, rank = slurm_job(environ), environ.get("SLURM_PROCID")
    if job is None or rank is None:
        return None
    restarts = environ.get("SLURM_RESTART_COUNT", "0")
    command = [os.path.abspath(sys.argv[0]), *sys.argv[1:]] if sys.argv else []
    place = short_hash("\0".join([*command, name or "", rank]))[:6]
    launch = short_hash(f"{job} {restarts}")
    return BatchProcess(Job("slurm", 0, 1, 0, f"{job}-{place}", launch), restarts not in ("", "0"))


def array_task(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the number of this task in its array of jobs, ``None`` outside of one."""
    environ = os.environ if environ is None else environ
    found = (environ[key] for key, absent in _ARRAY_TASKS if environ.get(key, absent) not in ("", absent))
    return next(found, None)
