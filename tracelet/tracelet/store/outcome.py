"""How a run stands, from how its processes stand."""

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
    """The last that was seen of a process: ``running``, ``ended`` or ``killed``, and when (seconds, epoch)."""

    state: str
    at: float
    refusal: str | None = None  # why its journal cannot be read


class RunOutcome(NamedTuple):
    """How a run stands. ``ended_at`` of one that was killed is the last sign of life."""

    outcome: str
    error: str | None = None
    ended_at: float | None = None


def standing(processes: Iterable[Process], signs: Mapping[str, LastSeen]) -> RunOutcome:
    """Return how a run stands.

    It is running while a process does that was not merely forked from another. Else the latest attempt
    counts: of each rank the process that began (or resumed) it; and among ranks the worst outcome.
    """
    all_of_them = list(processes)
    deciding = [process for process in all_of_them if not process.is_child] or all_of_them
    if any(_state(process, signs) == RUNNING for process in deciding) or not deciding:
        return RunOutcome(RUNNING)
    each = [_standing_of(process, signs) for process in _latest_attempt(deciding)]
    worst = max(each, key=lambda one: _badness(one.outcome))
    return worst._replace(ended_at=max((one.ended_at or 0.0 for one in each), default=None))


def _state(process: Process, signs: Mapping[str, LastSeen]) -> str:
    sign = signs.get(process.id)
    return "ended" if process.closed or sign is None else sign.state


def _standing_of(process: Process, signs: Mapping[str, LastSeen]) -> RunOutcome:
    sign = signs.get(process.id)
    seen = max(process.last_event, sign.at if sign is not None else 0.0)
    if process.closed or (
        sign is not None and sign.state == "ended"
    ):  # the latter where its last word is damaged
        return RunOutcome(process.outcome or FINISHED, process.error, process.ended_at or seen)
    return RunOutcome(KILLED, None, seen)


def _latest_attempt(processes: list[Process]) -> list[Process]:
    """Return the process that speaks for each rank, leaving out ranks that a smaller job no longer has."""
    by_rank: dict[int | None, list[Process]] = {}
    for process in sorted(processes, key=_age):
        by_rank.setdefault(process.rank, []).append(process)
    speaking = {rank: _opener(several) for rank, several in by_rank.items()}
    newest = max(speaking.values(), key=_age)
    size = newest.facts.get("world_size")
    if not isinstance(size, int) or newest.rank is None:
        return list(speaking.values())
    return [process for rank, process in speaking.items() if rank is None or rank < size]


def _opener(several: list[Process]) -> Process:
    """Return the process that resumed the run last, else the one that began it: the others joined it."""
    resuming = [process for process in several if process.facts.get("resumed")]
    return resuming[-1] if resuming else several[0]


def _age(process: Process) -> tuple[float, str]:
    return (process.started_at or 0.0, process.id)


def _badness(outcome: str) -> int:
    return {FINISHED: 0, KILLED: 2, FAILED: 3}.get(outcome, 1)
