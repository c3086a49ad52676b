"""The part of a run that a list shows: name, times, outcome, parameters, tags."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.store import journal_access
from tracelet.store.history import History
from tracelet.store.outcome import KILLED, RUNNING, LastSeen, determine_outcome, sum_active_time

UNREADABLE: Final = "unreadable"
#: The outcome of a folder without a journal: the run is about to begin, or its journal is gone.
EMPTY: Final = "empty"
#: What a run says of its place among others; an empty text means nothing.
ABOUT: Final = ("group", "parent", "job_type", "notes")
_NEW: Final = 60.0  # seconds for which a folder without a journal is a run that is about to begin


class Details(NamedTuple):
    """A run without its metrics. Times are seconds since the epoch."""

    id: str
    name: str
    project: str
    started_at: float
    ended_at: float | None
    outcome: str
    error: str | None
    host: str | None
    group: str | None
    parent: str | None  # the id of another run
    job_type: str | None
    notes: str | None
    params: dict[str, Any]
    tags: dict[str, Any]
    archived: bool = False
    goals: Mapping[str, str] = {}  # by name or pattern of metrics: min, max or last
    problem: str | None = None  # why the run cannot be read, in whole or in part
    active: float = 0.0  # seconds in all attempts that are over
    running_since: float | None = None

    @property
    def duration(self) -> float:
        """How long the run was active, in seconds. The time between two attempts does not count."""
        running = time.time() - self.running_since if self.running_since is not None else 0.0
        return self.active + max(0.0, running)


def read_details(
    run_dir: Path, last_time: Callable[[str], float], history: History | None = None
) -> tuple[Details, History]:
    """Read what a run says of itself. If it cannot be read, ``problem`` says why and nothing is raised.

    ``last_time`` returns when a process recorded its last point; it is called for those that were killed. ``history``
    is what the events add up to, if that is known.
    """
    try:
        segments = journal_access.list_segments(run_dir)
        last_seen = {writer: journal_access.read_last_seen(run_dir, writer) for writer in segments}
        history = history if history is not None else journal_access.read_history(run_dir)
        killed = [writer for writer, seen in last_seen.items() if seen.state == KILLED]
        for writer in killed:  # the last point may be later than the last heartbeat
            last_seen[writer] = last_seen[writer]._replace(at=max(last_seen[writer].at, last_time(writer)))
        details = (
            build_details(run_dir, history, last_seen) if last_seen else describe_without_journal(run_dir)
        )
    except FileNotFoundError:
        return describe_without_journal(run_dir), History()
    except Exception as error:  # whatever a damaged or hostile journal makes fail
        return describe_unreadable(run_dir, error), History()
    return details, history


def build_details(run_dir: Path, history: History, last_seen: Mapping[str, LastSeen]) -> Details:
    """Return the details that events and signs of life add up to."""
    refusal = next((seen.refusal for seen in last_seen.values() if seen.refusal), None)
    if refusal and not history.processes:
        return _bare_details(run_dir, UNREADABLE, refusal)
    run, processes = history.run, history.recording
    if history.processes and not processes:  # nothing but edits is left of it
        return describe_without_journal(run_dir)
    result = determine_outcome(processes, last_seen)
    active = sum_active_time(processes, last_seen)
    first = min(processes, key=lambda one: (one.started_at or 0.0, one.id), default=None)
    started_at = history.started_at or _folder_time(run_dir)
    return Details(
        id=run_dir.name,
        name=run.get("name") or run_dir.name,
        project=run.get("project") or "",
        started_at=started_at,
        ended_at=result.ended_at,
        outcome=result.outcome,
        error=result.error,
        host=first.host if first is not None else None,
        **{key: run.get(key) or None for key in ABOUT},
        params=history.params.plain(),
        tags=history.tags.plain(),
        archived=bool(run.get("archived")),
        goals=history.goals.plain(),
        problem=refusal or (None if run else "the journal's first records are damaged"),
        active=active.seconds,
        running_since=active.since if result.outcome == RUNNING else None,
    )


def describe_unreadable(run_dir: Path, error: Exception) -> Details:
    """Return the details of a run that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _bare_details(run_dir, UNREADABLE, f"cannot be read: {reason or type(error).__name__}")


def describe_problem(run_dir: Path, problem: str) -> Details:
    """Return the details of a run that cannot be read for this reason."""
    return _bare_details(run_dir, UNREADABLE, problem)


def describe_without_journal(run_dir: Path) -> Details:
    """Return the details of a run without a journal: it is about to begin, or its journal is gone."""
    if time.time() - _folder_time(run_dir) < _NEW:
        return _bare_details(run_dir, EMPTY, None)
    return _bare_details(run_dir, EMPTY, "has no journal")


def _bare_details(run_dir: Path, outcome: str, problem: str | None) -> Details:
    began, name = _folder_time(run_dir), run_dir.name
    return Details(
        *(name, name, "", began, None, outcome, None, None),
        *(None, None, None, None),
        *({}, {}, False, {}),
        *(problem, 0.0, None),
    )


def _folder_time(run_dir: Path) -> float:
    try:
        return run_dir.stat().st_mtime
    except OSError:
        return 0.0
