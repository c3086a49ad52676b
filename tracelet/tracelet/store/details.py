"""What a list of runs says of each: name, times, outcome, parameters, tags."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.store import reading
from tracelet.store.history import History
from tracelet.store.outcome import KILLED, RUNNING, LastSeen, standing

UNREADABLE: Final = "unreadable"
_NEWBORN: Final = 60.0  # seconds in which a folder without a journal is a run about to begin


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
    params: dict[str, Any]
    tags: dict[str, Any]
    problem: str | None = None  # why the run cannot be read, in whole or in part


def read_details(run_dir: Path, last_time: Callable[[str], float]) -> tuple[Details, History]:
    """Read what a run says of itself. What cannot be read is told in ``problem``, and raises nothing.

    ``last_time`` says when a process recorded its last point; it is asked for those that were killed.
    """
    try:
        signs = {writer: reading.read_sign(run_dir, writer) for writer in reading.files_of(run_dir)}
        history = reading.read_history(run_dir)
        killed = [writer for writer, sign in signs.items() if sign.state == KILLED]
        for writer in killed:  # the last point may be later than the last heartbeat
            signs[writer] = signs[writer]._replace(at=max(signs[writer].at, last_time(writer)))
    except FileNotFoundError:
        return without_journal(run_dir), History()
    except (OSError, ValueError) as error:
        return unreadable(run_dir, error), History()
    return (details_of(run_dir, history, signs) if signs else without_journal(run_dir)), history


def details_of(run_dir: Path, history: History, signs: Mapping[str, LastSeen]) -> Details:
    """Return the details that events and signs of life add up to."""
    refusal = next((sign.refusal for sign in signs.values() if sign.refusal), None)
    if refusal and not history.processes:
        return _bare(run_dir, UNREADABLE, refusal)
    run, stands = history.run, standing(history.processes.values(), signs)
    first = min(history.processes.values(), key=lambda one: (one.started_at or 0.0, one.id), default=None)
    return Details(
        id=run_dir.name,
        name=str(run.get("name") or run_dir.name),
        project=str(run.get("project") or ""),
        started_at=history.started_at or _folder_time(run_dir),
        ended_at=stands.ended_at,
        outcome=stands.outcome,
        error=stands.error,
        host=first.host if first is not None else None,
        params=history.params.plain(),
        tags=history.tags.plain(),
        problem=refusal or (None if run else "the journal's first records are damaged"),
    )


def unreadable(run_dir: Path, error: Exception) -> Details:
    """Return what there is to say of a run that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _bare(run_dir, UNREADABLE, f"cannot be read: {reason or type(error).__name__}")


def without_journal(run_dir: Path) -> Details:
    """Return what there is to say of a run without a journal: it is about to begin, or its journal is gone."""
    if time.time() - _folder_time(run_dir) < _NEWBORN:
        return _bare(run_dir, RUNNING, None)
    return _bare(run_dir, UNREADABLE, "has no journal")


def _bare(run_dir: Path, outcome: str, problem: str | None) -> Details:
    began = _folder_time(run_dir)
    return Details(run_dir.name, run_dir.name, "", began, None, outcome, None, None, {}, {}, problem)


def _folder_time(run_dir: Path) -> float:
    try:
        return run_dir.stat().st_mtime
    except OSError:
        return 0.0
