"""Which job this process is a rank of: torchrun, Slurm, MPI and Ray say so in the environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

#: What distinguishes one launch of a job from the next: the same on all its ranks, different after a restart.
_LAUNCHES: Final = (
    "TORCHELASTIC_RESTART_COUNT",
    "MASTER_PORT",
    "RAY_JOB_ID",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "SLURM_RESTART_COUNT",
    "PMIX_NAMESPACE",
    "PMI_JOBID",
)
#: Launcher, and its variables for rank, size and rank on the host. torchrun comes first: under Slurm it sets its own
#: variables and leaves Slurm's in place.
_LAUNCHERS: Final = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"),  # and Ray Train's workers, which are told the same
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
    launch: str | None  # this start of it, as opposed to those before a preemption

    def facts(self) -> dict[str, Any]:
        """Return what the journal says of it."""
        return {
            "rank": self.rank,
            "world_size": self.world_size,
            "local_rank": self.local_rank,
            "launcher": self.launcher,
            "launch": self.launch,
        }


def current_job(environ: Mapping[str, str] | None = None) -> Job | None:
    """Return the job of several processes that this one belongs to, or ``None``."""
    environ = os.environ if environ is None else environ
    for launcher, *keys in _LAUNCHERS:
        rank, size, local_rank = (_number(environ.get(key)) for key in keys)
        if rank is not None and size is not None and size > 1:
            launcher = "ray" if launcher == "torchrun" and "RAY_JOB_ID" in environ else launcher
            local_rank = rank if local_rank is None else local_rank
            return Job(
                launcher, rank, size, local_rank, _shared_id(launcher, environ), _launch(launcher, environ)
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
        return _id_of_slurm(environ)
    if launcher == "ray":  # its workers are children of a daemon that outlives the job
        return f"ray-{_short_hash(environ['RAY_JOB_ID'] + _rendezvous(environ))}"
    if namespace := environ.get("PMIX_NAMESPACE") or environ.get("PMI_JOBID"):
        return f"mpi-{_short_hash(namespace)}"
    if _is_of_one_parent(launcher, environ):
        return _id_of_parent()
    if environ.get("TORCHELASTIC_RUN_ID", "none") != "none":
        return f"torchrun-{_short_hash(environ['TORCHELASTIC_RUN_ID'] + _rendezvous(environ))}"
    return _id_of_slurm(environ)


def _launch(launcher: str, environ: Mapping[str, str]) -> str | None:
    told = [f"{key}={environ[key]}" for key in _LAUNCHES if key in environ]
    if _is_of_one_parent(launcher, environ) and (parent := _id_of_parent()) is not None:
        told.append(parent)
    return _short_hash(" ".join(told)) if told else None


def _is_of_one_parent(launcher: str, environ: Mapping[str, str]) -> bool:
    """Say whether all ranks are children of one process that starts them and no other job's."""
    if launcher == "torchrun":
        return environ.get("LOCAL_WORLD_SIZE") == environ.get("WORLD_SIZE")
    return launcher == "mpi" and not {"PMIX_NAMESPACE", "PMI_JOBID"} & environ.keys()


def _rendezvous(environ: Mapping[str, str]) -> str:
    return f" {environ.get('MASTER_ADDR')} {environ.get('MASTER_PORT')}"


def _id_of_slurm(environ: Mapping[str, str]) -> str | None:
    step = environ.get("SLURM_STEP_ID") or environ.get("SLURM_STEPID") or "batch"
    return f"slurm-{environ['SLURM_JOB_ID']}-{step}" if environ.get("SLURM_JOB_ID") else None


def _id_of_parent() -> str | None:
    """On one host all ranks are children of the launcher: its process names the job, restarts included."""
    from tracelet.journal.identity import boot_id, process_state

    state = process_state(os.getppid())
    if state is None:
        return None
    return f"job-{_short_hash(f'{boot_id()} {os.getppid()} {state[1]}')}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
