"""Which job this process is a rank of: torchrun, Slurm, MPI, Lightning and Ray say so in the environment."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

#: Launcher, and its variables for rank, size and rank on the host. torchrun comes first: under Slurm it sets its own
#: variables and leaves Slurm's in place. Slurm's size is that of the step: the allocation's (SLURM_NTASKS) is also
#: set for a single process that runs in a batch script or in a shell of salloc.
_LAUNCHERS: Final = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"),  # Ray Train and DeepSpeed set the same variables
    ("mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("mpi", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK"),
    ("mpi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("mpi", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK"),  # jsrun, under LSF
    ("slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
)
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
_NAMESPACES: Final = ("PMIX_NAMESPACE", "PMI_JOBID")
#: Numbers of ranks on this host, for launchers whose ranks are all children of one process if the job has one host.
_LOCAL_SIZES: Final = (
    "LOCAL_WORLD_SIZE",  # torchrun
    "LOCAL_SIZE",  # DeepSpeed
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
)
#: The job ids of batch systems. Namespaces of MPI are unique on one host at one time only.
_BATCH_JOBS: Final = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "COBALT_JOBID", "JOB_ID")


class Elastic(NamedTuple):
    """What a worker knows of its job if the launcher may restart it, with other ranks and on other hosts."""

    agent: str | None  # the process that started this host's workers, and outlives them
    rank_process: str | None  # the process that the agent started: this one, or a shell above it
    rank_started: int | None  # when that was, in hundredths of a second since the host's boot
    rendezvous: str
    requeued: str  # how often the batch system has started the whole job again


class Job(NamedTuple):
    """A process's place among the processes of its job."""

    launcher: str
    rank: int
    world_size: int
    local_rank: int
    run_id: str | None  # the run that all ranks share; ``None`` if nothing distinguishes this job from others
    launch: str | None  # this launch of the job, as opposed to those before a preemption
    launcher_pid: int | None = None  # the process that started all ranks, if there is one
    elastic: Elastic | None = None

    def facts(self) -> dict[str, Any]:
        """Return what the journal says about it."""
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
        if rank is not None and size is not None and size > 1 and rank < size:
            launcher = "ray" if launcher == "torchrun" and "RAY_JOB_ID" in environ else launcher
            local_rank = rank if local_rank is None else local_rank
            pid = _launcher_pid(keys[:2], environ) if _has_one_parent(launcher, size, environ) else None
            if launcher == "torchrun" and _rendezvous_id(environ) is not None:
                return _elastic_job(rank, size, local_rank, keys[:2], pid, environ)
            run_id, launch = _shared_id(launcher, pid, environ), _launch(pid, environ)
            return Job(launcher, rank, size, local_rank, run_id, launch, pid)
    return _lightning_job(environ)


def _elastic_job(
    rank: int, size: int, local_rank: int, keys: list[str], pid: int | None, environ: Mapping[str, str]
) -> Job:
    """Return the job of a worker of torchrun with ``--rdzv-id``: hosts may join and leave, which changes the rest."""
    names = [f"{key}={environ[key]}" for key in _BATCH_JOBS if environ.get(key)]
    name = short_hash(" ".join([str(_rendezvous_id(environ)), *names]))
    agent = _launcher_pid(keys, environ)
    above = [os.getpid(), *ancestors()]
    process = above[above.index(agent) - 1] if agent in above else os.getpid()
    identity = process_id(process)
    elastic = Elastic(
        process_id(agent),
        identity,
        int(identity.split()[-1]) if identity is not None else None,
        rendezvous(environ).strip(),
        environ.get("SLURM_RESTART_COUNT", ""),
    )
    return Job("torchrun", rank, size, local_rank, f"torchrun-{name}", name, pid, elastic)


def _rendezvous_id(environ: Mapping[str, str]) -> str | None:
    name = environ.get("TORCHELASTIC_RUN_ID", "none")
    return None if name in ("", "none") else name


def _lightning_job(environ: Mapping[str, str]) -> Job | None:
    """Return the job of a process that Lightning started as a rank (or that started them, then as rank zero).

    The script's first process starts the other ranks of its host as children. None of them has a RANK.
    """
    local_rank, node_rank, size = (
        _number(environ.get(key)) for key in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE")
    )
    if local_rank is None or node_rank is None or size is None or size < 2 or "RANK" in environ:
        return None
    if node_rank:  # the number of ranks on the other hosts is unknown
        return Job("lightning", local_rank, size, local_rank, None, None)
    pid = os.getpid() if local_rank == 0 else _launcher_pid(["LOCAL_RANK"], environ)
    parent = process_id(pid)
    run_id = f"job-{short_hash(parent)}" if parent is not None else None
    return Job("lightning", local_rank, size, local_rank, run_id, _launch(pid, environ), pid)


def _number(text: str | None) -> int | None:
    try:
        number = int(text) if text else None
    except ValueError:
        return None
    return number if number is None or number >= 0 else None


def _shared_id(launcher: str, pid: int | None, environ: Mapping[str, str]) -> str | None:
    """Return an id that every rank of this job can compute, and no rank of another job."""
    if launcher == "slurm":
        return _slurm_id(environ)
    if launcher == "ray":  # its workers are children of a daemon that outlives the job
        return f"ray-{short_hash(environ['RAY_JOB_ID'] + rendezvous(environ))}"
    if pid is not None and (parent := process_id(pid)) is not None:
        # On one host the launcher's process names the job, restarts of its workers included.
        return f"job-{short_hash(parent)}"
    if launcher == "mpi":
        names = [environ[key] for key in (*_NAMESPACES, *_BATCH_JOBS) if environ.get(key)]
        return f"mpi-{short_hash(' '.join(names))}" if names else None
    return _slurm_id(environ)


def _launch(pid: int | None, environ: Mapping[str, str]) -> str | None:
    known = [f"{key}={environ[key]}" for key in _LAUNCHES if key in environ]
    if pid is not None and (parent := process_id(pid)) is not None:
        known.append(parent)
    return short_hash(" ".join(known)) if known else None


def _has_one_parent(launcher: str, size: int, environ: Mapping[str, str]) -> bool:
    """Return whether one process started all ranks, and no other job's."""
    if launcher not in ("torchrun", "mpi"):
        return False
    local_sizes = [environ[key] for key in _LOCAL_SIZES if key in environ]
    if launcher == "mpi" and not local_sizes:
        return not environ.keys() & {*_NAMESPACES}
    return str(size) in local_sizes


def _launcher_pid(keys: list[str], environ: Mapping[str, str]) -> int | None:
    """Return the nearest ancestor that is not this rank: a rank may be started by its own shell script."""
    mine = [environ.get(key) for key in keys]
    for ancestor in ancestors():
        if _environment(ancestor, keys) != mine:
            return ancestor
    return None


def ancestors() -> Iterator[int]:
    """Return the ids of the processes above this one, the parent first."""
    pid: int | None = os.getppid()
    while pid is not None and pid > 0:
        yield pid
        pid = _parent(pid)


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None if os.path.exists("/proc/self/stat") else _parent_elsewhere(pid)


def _parent_elsewhere(pid: int) -> int | None:
    import psutil

    try:
        return psutil.Process(pid).ppid() or None
    except (psutil.Error, OSError):
        return None


def _environment(pid: int, keys: list[str]) -> list[str | None] | None:
    import psutil

    try:
        environ = psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return None
    return [environ.get(key) for key in keys]


def rendezvous(environ: Mapping[str, str]) -> str:
    """Return where the ranks of a job meet."""
    return f" {environ.get('MASTER_ADDR')} {environ.get('MASTER_PORT')}"


def _slurm_id(environ: Mapping[str, str]) -> str | None:
    step = environ.get("SLURM_STEP_ID") or environ.get("SLURM_STEPID") or "batch"
    job = slurm_job(environ)
    return f"{job}-{step}" if job is not None else None


def slurm_job(environ: Mapping[str, str]) -> str | None:
    """Return what identifies a Slurm job: clusters that share a file system number their jobs independently."""
    if not (number := environ.get("SLURM_JOB_ID")):
        return None
    cluster = re.sub("[^A-Za-z0-9._-]", "-", environ.get("SLURM_CLUSTER_NAME", ""))[:40]
    return f"slurm-{cluster}-{number}" if cluster else f"slurm-{number}"


def process_id(pid: int | None) -> str | None:
    """Return what identifies a process of this host among all that ever ran on any host."""
    from tracelet.journal.identity import boot_id, process_state

    state = process_state(pid) if pid is not None else None
    return f"{boot_id()} {pid} {state[1]}" if state is not None else None


def short_hash(text: str) -> str:
    """Return the beginning of a text's SHA-256: 12 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
