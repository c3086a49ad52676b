"""Which run a process records into: a new one, a resumed one, or the one that its job shares."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tracelet.config import Config
from tracelet.errors import UsageError
from tracelet.layout import runs_folder
from tracelet.run.folder import check_run_id, new_run_id
from tracelet.run.job import Job, current_job

if TYPE_CHECKING:
    from tracelet.journal import EventRecord

log = logging.getLogger("tracelet.run")

_runs_of_job = itertools.count(1)  # started by this process


class RunTarget(NamedTuple):
    """The run that a process records into, and what is known of it so far."""

    run_id: str
    name: str | None = None
    resumed: bool = False
    last_steps: Mapping[str, int] = MappingProxyType({})  # of each metric
    last_step: int | None = None  # recorded by the program; ``None`` in a new run
    job: Job | None = None


def choose_target(config: Config, name: str | None) -> RunTarget:
    """Choose the run to record into.

    An id from the environment, or from a job of several processes, may belong to a run that is still going on or has
    ended (a preempted job that is back): that run is continued. An id given by the program itself needs ``resume``.
    Raises :class:`UsageError` if that is missing.
    """
    runs = runs_folder(config.dir)
    job = current_job()
    if config.run_id is not None:
        run_id = check_run_id(config.run_id)
        if job is not None:
            return _of_job(runs / run_id, job)
        welcome = os.environ.get("TRACELET_RUN_ID") == run_id
        return _at(runs / run_id, welcome=welcome, resume=config.resume)
    latest = _latest(runs, config.project, name) if config.resume else None
    if job is not None and job.run_id is not None:
        return _of_job(latest or runs / _numbered(job.run_id), job)
    if job is not None:
        log.warning(
            "rank %d of %d: nothing in the environment names the job, so each rank records a run of its own;"
            " set TRACELET_RUN_ID to one id for all of them",
            job.rank,
            job.world_size,
        )
    if latest is not None:
        return _at(latest, welcome=True, resume=True)._replace(job=job)
    return RunTarget(new_run_id(), job=job)


def _numbered(run_id: str) -> str:
    """Return the id of a job's next run: all ranks start the same runs in the same order."""
    number = next(_runs_of_job)
    return run_id if number == 1 else f"{run_id}-{number}"


def _of_job(run_dir: Path, job: Job) -> RunTarget:
    """Return a rank's target: it resumes what earlier launches of the job recorded, and joins its own launch.

    So all ranks get the same last step, whichever starts first and however far the others are by then.
    """
    from tracelet.journal import read_events

    if job.launch is None:
        return _at(run_dir, welcome=True)._replace(job=job)
    with _readable(run_dir):
        events = read_events(run_dir)
        processes = [event.payload for event in events if event.type == "writer"]
        earlier = {process["id"] for process in processes if process.get("launch") != job.launch}
        name = _recorded(events).get("name")
        if not earlier:
            return RunTarget(run_dir.name, name, job=job)
        return _resumed(run_dir, name, earlier)._replace(job=job)


def _at(run_dir: Path, *, welcome: bool, resume: bool = False) -> RunTarget:
    """Return the run with a given id: a new one, one that is still going on, or one to be resumed."""
    from tracelet.journal import read_events

    if not run_dir.exists():
        return RunTarget(run_dir.name)
    with _readable(run_dir):
        # A run that was killed on another host a moment ago still looks alive: resume is taken at its word.
        is_joined = _is_running(run_dir) and not resume
        if is_joined or welcome or resume:
            name = _recorded(read_events(run_dir)).get("name")
            return RunTarget(run_dir.name, name) if is_joined else _resumed(run_dir, name)
    raise UsageError(
        f"run_id: run {run_dir.name!r} exists and has ended; pass resume=True (tracelet run --resume,"
        " TRACELET_RESUME=1) to continue it, or another id"
    )


@contextlib.contextmanager
def _readable(run_dir: Path) -> Iterator[None]:
    """Report a run that cannot be read: silently starting it again would be wrong."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"run_id: run {run_dir.name!r} cannot be read: {error}") from error


def _latest(runs: Path, project: str, name: str | None) -> Path | None:
    """Return the newest run of a project (of a name), or ``None``."""
    from tracelet.journal import read_events

    folders = [(_first_writer(folder), folder) for folder in (runs.iterdir() if runs.is_dir() else ())]
    for _, folder in sorted((each for each in folders if each[0]), reverse=True):
        recorded = _recorded(read_events(folder))
        if recorded.get("project") == project and name in (None, recorded.get("name")):
            return folder
    return None


def _first_writer(run_dir: Path) -> str:
    """Return the first writer's id, which sorts by time; empty for a folder that is unreadable or holds no run."""
    from tracelet.journal import writers

    with contextlib.suppress(OSError):
        return next(iter(writers(run_dir)), "")
    return ""


def _resumed(run_dir: Path, name: str | None, writers: Collection[str] | None = None) -> RunTarget:
    """Return the target that continues a run where it was; with ``writers``, where these were."""
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
    return RunTarget(run_dir.name, name, True, every, max(own, default=None))


def _recorded(events: Iterable[EventRecord]) -> dict[str, Any]:
    """Return what a run's journal says about the run itself; the latest value counts."""
    recorded: dict[str, Any] = {}
    for event in events:
        if event.type == "writer":
            recorded = {**(event.payload.get("run") or {}), **recorded}
        elif event.type == "run":
            recorded.update(event.payload)
    return recorded


def _is_running(run_dir: Path) -> bool:
    from tracelet.journal import liveness, writers

    states = [liveness(run_dir, writer) for writer in writers(run_dir)]
    return not states or "running" in states
