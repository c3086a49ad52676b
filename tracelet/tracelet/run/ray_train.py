"""The job of a worker of Ray Train, which Ray describes in objects: the environment changes with each restart."""

from __future__ import annotations

import os
import sys
from typing import Any

from tracelet.run.job import Elastic, Job, process_id, rendezvous, short_hash


def ray_train_job() -> Job | None:
    """Return the job if this process is a worker of Ray Train. Imports nothing that the program has not imported."""
    ray, train = sys.modules.get("ray"), sys.modules.get("ray.train")
    if ray is None or train is None or "RAY_JOB_ID" not in os.environ:
        return None
    try:
        return _job(ray.get_runtime_context(), train.get_context())
    except Exception:  # no worker, or a Ray that lacks one of these
        return None


def _job(runtime: Any, context: Any) -> Job | None:
    rank, size, local_rank = context.get_world_rank(), context.get_world_size(), context.get_local_rank()
    name, actor = context.get_experiment_name(), runtime.get_actor_id()
    if not (isinstance(rank, int) and isinstance(size, int) and name and actor):
        return None
    storage = getattr(context.get_storage(), "storage_fs_path", "")
    shared = short_hash(f"{storage} {name} {_trial(context)}")
    process = process_id(os.getpid())
    elastic = Elastic(
        agent=f"{runtime.gcs_address} {runtime.get_job_id()}",
        rank_process=actor,
        rank_started=int(process.split()[-1]) if process is not None else None,
        rendezvous=rendezvous(os.environ).strip(),
        requeued="",
    )
    return Job("ray", rank, size, local_rank, f"ray-{shared}", shared, None, elastic)


def _trial(context: Any) -> str:
    """Return the trial of Tune that the workers belong to: older versions of Ray have one for every job."""
    try:
        return str(context.get_trial_id())
    except Exception:  # newer ones raise a DeprecationWarning
        return ""
