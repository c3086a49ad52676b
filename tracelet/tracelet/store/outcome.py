"""How a run went and how long it took, from its processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from tracelet.store.history import Process

RUNNING: Final = "running"
FINISHED: Final = "finished"
FAILED: Final = "failed"
KILLED: Final = "killed"
OUTCOMES: Final = (RUNNING, FINISHED, FAILED, KILLED)


class LastSeen(NamedTuple):
    """The last known state of a process: ``running``, ``ended`` or ``killed``, and its time (seconds, epoch)."""

    state: str
    at: float
    refusal: str | None = None  # why its journal cannot be read


class RunOutcome(NamedTuple):
    """How a run went. ``ended_at`` of a killed run is its last sign of life."""

    outcome: str
    error: str | None = None
    ended_at: float | None = None


class ActiveTime(NamedTuple):
    """How long a run was active: seconds in all attempts that are over, and since when it has been running."""

    seconds: float = 0.0
    since: float | None = None


def determine_outcome(processes: Iterable[Process], last_seen: Mapping[str, LastSeen]) -> RunOutcome:
    """Return how a run went.

    It is running while any process is that was not merely forked from another. Otherwise the latest attempt
    decides: for each rank the process that began (or resumed) it, and among ranks the worst outcome.
    """
    deciding = _without_stopped(_deciding(processes))
    if any(_state(process, last_seen) == RUNNING for process in deciding) or not deciding:
        return RunOutcome(RUNNING)
    each = [_outcome_of(process, last_seen) for process in _latest_attempt(deciding)]
    worst = max(each, key=lambda one: _badness(one.outcome))
    return worst._replace(ended_at=max((one.ended_at or 0.0 for one in each), default=None))


def sum_active_time(processes: Iterable[Process], last_seen: Mapping[str, LastSeen]) -> ActiveTime:
    """Return how long a run was active. The time between two attempts does not count, nor does any time twice."""
    spans = []
    running_since: float | None = None
    for process in _deciding(processes):
        if process.started_at is None:
            continue
        if _state(process, last_seen) == RUNNING:
            running_since = min(
                process.started_at, process.started_at if running_since is None else running_since
            )
        else:
            spans.append((process.started_at, _outcome_of(process, last_seen).ended_at or process.started_at))
    seconds, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        if running_since is not None:
            end = min(end, running_since)
        seconds += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return ActiveTime(seconds, running_since)


def _deciding(processes: Iterable[Process]) -> list[Process]:
    """Return the processes that were not forked from another; if there are none, all of them."""
    every = list(processes)
    return [process for process in every if not process.is_child] or every


def _without_stopped(processes: list[Process]) -> list[Process]:
    """Leave out the ranks of earlier launches of a job: the launcher has stopped them.

    One that was killed on another host would look as if it were running for a while.
    """
    launched = [process for process in processes if process.facts.get("launch") is not None]
    latest = max((process.attempt for process in launched), default=0)
    return (
        [process for process in processes if process.facts.get("launch") is None or process.attempt == latest]
        if latest
        else processes
    )


def _state(process: Process, last_seen: Mapping[str, LastSeen]) -> str:
    seen = last_seen.get(process.id)
    return "ended" if process.closed or seen is None else seen.state


def _outcome_of(process: Process, last_seen: Mapping[str, LastSeen]) -> RunOutcome:
    seen = last_seen.get(process.id)
    latest = max(process.last_event, seen.at if seen is not None else 0.0)
    # A process may have ended without an outcome event that can be read.
    if process.closed or (seen is not None and seen.state == "ended"):
        return RunOutcome(process.outcome or FINISHED, process.error, process.ended_at or latest)
    return RunOutcome(KILLED, None, latest)


def _latest_attempt(processes: list[Process]) -> list[Process]:
    """Return the process that decides for each rank, without the ranks that a smaller job no longer has."""
    by_rank: dict[int | None, list[Process]] = {}
    for process in sorted(processes, key=lambda one: one.age):
        by_rank.setdefault(process.rank, []).append(process)
    deciding = {rank: _opener(several) for rank, several in by_rank.items()}
    newest = max(deciding.values(), key=lambda one: one.age)
    size = newest.facts.get("world_size")
    if not isinstance(size, int) or newest.rank is None:
        return list(deciding.values())
    return [process for rank, process in deciding.items() if rank is None or rank < size]


def _opener(several: list[Process]) -> Process:
    """Return the process that resumed the run last, or else the one that began it: the others joined it."""
    resuming = [process for process in several if process.facts.get("resumed")]
    return resuming[-1] if resuming else several[0]


def _badness(outcome: str) -> int:
    return {FINISHED: 0, KILLED: 2, FAILED: 3}.get(outcome, 1)
