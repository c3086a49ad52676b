"""Which job this process is a rank of: torchrun, Slurm, MPI and Ray say so in the environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

# Rank, size, rank on the host. torchrun first: under Slurm it sets its own and leaves Slurm's behind.
_LAUNCHERS: Final = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("mpi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
)


class Job(NamedTuple):
    """A process's place among the processes of its job."""

    launcher: str
    rank: int
    world_size: int
    local_rank: int
    run_id: str | None  # the run that all ranks share, where the environment tells one job from another

    def facts(self) -> dict[str, Any]:
        """Return what the journal says of it."""
        return {
            "rank": self.rank,
            "world_size": self.world_size,
            "local_rank": self.local_rank,
            "launcher": self.launcher,
        }


def current_job(environ: Mapping[str, str] | None = None) -> Job | None:
    """Return the job of several processes that this one belongs to, or ``None``."""
    environ = os.environ if environ is None else environ
    for launcher, rank, size, local in _LAUNCHERS:
        numbers = [_number(environ.get(key)) for key in (rank, size)]
        if numbers[0] is not None and numbers[1] is not None and numbers[1] > 1:
            local_rank = _number(environ.get(local))
            return Job(
                launcher,
                numbers[0],
                numbers[1],
                numbers[0] if local_rank is None else local_rank,
                _shared_id(launcher, environ),
            )
    return None


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text else None
    except ValueError:
        return None


def _shared_id(launcher: str, environ: Mapping[str, str]) -> str | None:
    """Return an id that every rank of this job works out for itself, and no rank of another job."""
    if launcher == "slurm":
        step = environ.get("SLURM_STEP_ID") or environ.get("SLURM_STEPID") or "batch"
        return f"slurm-{environ['SLURM_JOB_ID']}-{step}" if environ.get("SLURM_JOB_ID") else None
    if namespace := environ.get("PMIX_NAMESPACE") or environ.get("PMI_JOBID"):
        return f"mpi-{_short_hash(namespace)}"
    if launcher == "mpi" or environ.get("LOCAL_WORLD_SIZE") == environ.get("WORLD_SIZE"):
        return _id_of_parent()
    if environ.get("TORCHELASTIC_RUN_ID", "none") != "none":
        where = f"{environ['TORCHELASTIC_RUN_ID']} {environ.get('MASTER_ADDR')} {environ.get('MASTER_PORT')}"
        return f"torchrun-{_short_hash(where)}"
    return None


def _id_of_parent() -> str | None:
    """On one host all ranks are children of the launcher: its process names the job, restarts included."""
    from tracelet.journal.identity import boot_id, process_state

    state = process_state(os.getppid())
    if state is None:
        return None
    return f"job-{_short_hash(f'{boot_id()} {os.getppid()} {state[1]}')}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
