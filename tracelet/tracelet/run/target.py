"""Which run a process records into: a new one, a resumed one, or the one that its job shares."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tracelet.config import Config
from tracelet.errors import UsageError
from tracelet.layout import runs_folder
from tracelet.logs import get_logger
from tracelet.run.batch import BatchProcess, array_task, batch_process
from tracelet.run.folder import check_run_id, new_run_id
from tracelet.run.job import Job, current_job
from tracelet.run.ray_train import ray_train_job

if TYPE_CHECKING:
    from tracelet.journal import EventRecord

log = get_logger("tracelet.run")


class RunTarget(NamedTuple):
    """The run that a process records into, and what is known of it so far."""

    run_id: str
    name: str | None = None
    project: str | None = None
    resumed: bool = False
    attempt: int = (
        0  # how often the run has been resumed; orders what the attempts record, whatever the clock says
    )
    last_steps: Mapping[str, int] = MappingProxyType({})  # of each metric
    last_step: int | None = None  # recorded by the program; ``None`` in a new run
    job: Job | None = None
    shared: bool = False  # by the ranks of the job
    hosted: bool = False  # opened by ``tracelet run`` around the job's launcher
    exists: bool = False
    about: Mapping[str, Any] = MappingProxyType({})  # what is known of the run itself
    given: Mapping[str, Any] = MappingProxyType({})  # the part that the program recorded: no edits


def choose_target(config: Config, name: str | None) -> RunTarget:
    """Choose the run to record into.

    An id from the environment, or from a job of several processes, may belong to a run that is still going on or has
    ended (a preempted job that is back): that run is continued. An id given by the program itself needs ``resume``.
    Raises :class:`UsageError` if that is missing.
    """
    runs = runs_folder(config.dir)
    job = ray_train_job() or current_job()
    if job is not None and job.launcher == "ray" and "ray" not in sys.modules:
        job = None  # a subprocess of a worker, which inherited its variables
    separate = config.settings.get("ranks") == "separate"
    if config.run_id is not None:
        run_id = check_run_id(config.run_id)
        if job is not None and not separate:
            return _job_target(runs / run_id, _placed(runs / run_id, job))
        welcome = os.environ.get("TRACELET_RUN_ID") == run_id
        return _target_of(runs / run_id, welcome=welcome, resume=config.resume)._replace(job=job)
    latest = _latest(runs, config.project, name) if config.resume else None
    if job is not None and job.run_id is not None and not separate:
        if latest is not None:
            target: RunTarget | None = _job_target(latest, _placed(latest, job))
        else:
            target = _claimed_target(runs, job)
        if target is not None:
            return target
        job = None  # a subprocess of a rank, which inherited its variables
    if job is not None and not separate:
        _warn_of_unnamed_job(job)
    process = batch_process(name) if job is None or job.launcher == "slurm" else None
    if process is not None and (process.requeued or latest is None):
        target = _batch_target(runs, process, must_exist=latest is not None)
        if target is not None:
            return target._replace(job=job)
    if latest is not None:
        return _target_of(latest, welcome=True, resume=True)._replace(job=job)
    return RunTarget(new_run_id(), job=job)


def _batch_target(runs: Path, process: BatchProcess, *, must_exist: bool) -> RunTarget | None:
    """Return the run of a single process of a batch job, continued if the job was requeued.

    ``None`` in a subprocess that inherited the variables, and with ``must_exist`` if there is no such run yet.
    """
    from tracelet.run.claims import claim, is_ancestor

    for run_dir in process.runs(runs):
        exists = (run_dir / "journal").exists()
        if must_exist and not exists:
            return None
        owner = claim(run_dir, process.job)
        if owner is None:
            return _target_of(run_dir, welcome=True, resume=True) if exists else RunTarget(run_dir.name)
        if is_ancestor(owner):
            return None
    raise AssertionError("the numbers do not end")


def _warn_of_unnamed_job(job: Job) -> None:
    log.warning(
        "rank %d of %d: nothing in the environment identifies the job, so each rank records a run of its own;"
        " set TRACELET_RUN_ID to one id for all of them, or unset the variables if they are left over",
        job.rank,
        job.world_size,
    )


def _claimed_target(runs: Path, job: Job) -> RunTarget | None:
    """Return the first run of the job that this rank has not recorded into yet; ``None`` in a subprocess of the rank.

    All ranks start the same runs in the same order, whether in one program or in several, one after the other.
    """
    from tracelet.run.claims import is_ancestor, runs_of_launcher

    hosts = runs_of_launcher(runs, job)
    ids = (job.run_id if number == 1 else f"{job.run_id}-{number}" for number in itertools.count(1))
    for run_id in itertools.chain(hosts, (each for each in ids if each not in hosts)):
        launch, owner = _claim(runs / str(run_id), job)
        if owner is None:
            host = hosts.get(str(run_id))
            placed = job._replace(launch=launch)
            target = _job_target(runs / str(run_id), placed, apart={host.writer} if host else ())
            return target._replace(hosted=host is not None and host.is_ambient)
        if is_ancestor(owner):
            return None
    raise AssertionError("the numbers do not end")


def _claim(run_dir: Path, job: Job) -> tuple[str | None, str | None]:
    """Claim a run for this rank. Returns the launch that the rank belongs to, and who has claimed the run before."""
    from tracelet.run.claims import claim
    from tracelet.run.elastic import enter

    return (job.launch, claim(run_dir, job)) if job.elastic is None else enter(run_dir, job)


def _placed(run_dir: Path, job: Job) -> Job:
    """Return the job as it is part of a run that the user has chosen."""
    from tracelet.run.elastic import enter

    return job if job.elastic is None else job._replace(launch=enter(run_dir, job, always=True).launch)


def _job_target(run_dir: Path, job: Job, apart: Collection[str] = ()) -> RunTarget:
    """Return a rank's target: it resumes what earlier launches of the job recorded, and joins its own launch.

    So all ranks get the same last step, whichever starts first and however far the others are by then. ``apart`` are
    writers that belong to no launch.
    """
    from tracelet.journal import read_events

    if job.launch is None:
        return _target_of(run_dir, welcome=True)._replace(job=job, shared=True)
    with _readable(run_dir):
        events = read_events(run_dir)
        processes = [
            event.payload for event in events if event.type == "writer" and not event.payload.get("edit")
        ]
        earlier = {
            process["id"]
            for process in processes
            if process.get("launch") != job.launch and process.get("id") not in apart
        }
        target = _known(run_dir, events)._replace(job=job, shared=True)
        if not earlier:
            return target
        before = [process for process in processes if process.get("id") in earlier]
        return _resumed(run_dir, target._replace(attempt=_attempt(before)), earlier)


def _target_of(run_dir: Path, *, welcome: bool, resume: bool = False) -> RunTarget:
    """Return the run with a given id: a new one, one that is still going on, or one to be resumed."""
    from tracelet.journal import read_events

    if not run_dir.exists():
        return RunTarget(run_dir.name)
    with _readable(run_dir):
        # A run that was killed on another host a moment ago still looks alive: resume is taken at its word.
        is_joined = _is_running(run_dir) and not resume
        if is_joined or welcome or resume:
            target = _known(run_dir, read_events(run_dir))
            return target if is_joined else _resumed(run_dir, target)
    raise UsageError(
        f"run_id: run {run_dir.name!r} exists and has ended; pass resume=True (tracelet run --resume,"
        " TRACELET_RESUME=1) to continue it, or another id"
    )


def _known(run_dir: Path, events: Iterable[EventRecord]) -> RunTarget:
    events = list(events)
    recorded = _recorded(events)
    attempt = _attempt(event.payload for event in events if event.type == "writer")
    return RunTarget(
        run_dir.name,
        recorded.get("name"),
        recorded.get("project"),
        attempt=attempt,
        exists=bool(recorded),
        about=recorded,
        given=_recorded(events, edits=False),
    )


def _attempt(processes: Iterable[Mapping[str, Any]]) -> int:
    """Return the latest attempt of some processes, by what they recorded about themselves."""
    return max((one.get("attempt") or int(bool(one.get("resumed"))) for one in processes), default=0)


@contextlib.contextmanager
def _readable(run_dir: Path) -> Iterator[None]:
    """Report a run that cannot be read: silently starting it again would be wrong."""
    journal = run_dir / "journal"
    try:
        if os.path.lexists(journal) and (journal.is_symlink() or not journal.is_dir()):
            raise NotADirectoryError(f"{journal} is not a folder, but a file or a symbolic link")
        yield
    except OSError as error:
        raise UsageError(f"run_id: run {run_dir.name!r} cannot be read: {error}") from error


def _latest(runs: Path, project: str, name: str | None) -> Path | None:
    """Return the newest run of a project (of a name), or ``None``."""
    from tracelet.journal import read_events

    task = array_task()
    folders = [(_first_writer(folder), folder) for folder in (runs.iterdir() if runs.is_dir() else ())]
    for _, folder in sorted((each for each in folders if each[0]), reverse=True):
        events = list(read_events(folder))
        recorded = _recorded(events)
        if task is not None and all(event.payload.get("array_task") != task for event in events):
            continue  # of another task of an array: all tasks have the same project and name
        if recorded.get("project") == project and name in (None, recorded.get("name")):
            return folder
    return None


def _first_writer(run_dir: Path) -> str:
    """Return the first writer's id, which sorts by time; empty for a folder that is unreadable or holds no run."""
    from tracelet.journal import writers

    with contextlib.suppress(OSError):
        return next(iter(writers(run_dir)), "")
    return ""


def _resumed(run_dir: Path, target: RunTarget, writers: Collection[str] | None = None) -> RunTarget:
    """Return the target that continues a run; with ``writers``, after the last steps of these."""
    from tracelet.journal import read_columns

    every: dict[str, int] = {}
    own: list[int] = []
    for metric, columns in read_columns(run_dir).items():
        for part in columns.parts:
            if part.stop > part.start and (writers is None or part.writer in writers):
                steps = columns.steps[part.start : part.stop]
                step = int(steps.max() if hasattr(steps, "max") else max(steps))
                every[metric] = max(step, every.get(metric, step))
                own += [step] * (part.source is None)  # the steps of collectors count ticks
    return target._replace(
        resumed=True, attempt=target.attempt + 1, last_steps=every, last_step=max(own, default=None)
    )


def _recorded(events: Iterable[EventRecord], *, edits: bool = True) -> dict[str, Any]:
    """Return what a run's journal says about the run itself; the latest value counts.

    The events of each process follow each other, its ``writer`` event first.
    """
    recorded: dict[str, Any] = {}
    is_edit = False
    for event in events:
        if event.type == "writer":
            is_edit = event.payload.get("edit") is True
            recorded = {**(event.payload.get("run") or {}), **recorded}
        elif event.type == "run" and (edits or not is_edit):
            recorded.update(event.payload)
    return recorded


def _is_running(run_dir: Path) -> bool:
    from tracelet.journal import liveness, writers
    from tracelet.journal.reading.lifetime import is_edit

    states = [liveness(run_dir, writer) for writer in writers(run_dir) if not is_edit(run_dir, writer)]
    return not states or "running" in states
