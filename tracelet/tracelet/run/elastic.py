"""Jobs whose workers are restarted: torchrun stops them all when one fails, or when a host joins or leaves.

Nothing in a worker's environment counts these restarts on all hosts: each host's agent counts the failures of its own
workers only. So the ranks number them in the run's folder. The first rank of a restart opens the next incarnation, and
the others join it. Before any worker is started, torchrun has stopped all earlier ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.journal.identity import host_name, is_alive, process_facts
from tracelet.run.job import Job

_FOLDER: Final = "ranks"
_PREFIX: Final = "incarnation-"
_PATIENCE: Final = 4.0  # seconds that a rank on a new host waits before it takes a run for another job's
_TRIES: Final = 100  # times that other ranks may be faster
_SPREAD: Final = 200  # hundredths of a second within which an agent starts the workers of a host
_HERE: Final = ("host", "boot_id", "pid_namespace")


class Place(NamedTuple):
    """What a rank finds in a run's folder: the launch that it belongs to, or the claim that keeps it out."""

    launch: str | None
    owner: str | None = None


class Claim(NamedTuple):
    """A rank's claim of a run: the incarnation, the rank, and what the rank said about itself."""

    incarnation: int
    rank: int
    facts: Mapping[str, Any]

    def is_stopped(self, job: Job) -> bool:
        """Whether its process ran on this host and was stopped before this one was started.

        One that has merely finished first was started at the same time.
        """
        here, started, mine = process_facts(), self.facts.get("rank_started"), _facts(job)["rank_started"]
        if any(self.facts.get(key) != here[key] for key in _HERE) or started is None or mine is None:
            return False
        return bool(mine - started > _SPREAD) and not is_alive(self.facts["pid"], self.facts["pid_started"])


def enter(run_dir: Path, job: Job, *, always: bool = False) -> Place:
    """Claim a run for this rank. ``always`` is for a run that the user chose: it is this job's in any case."""
    end = time.monotonic() + _PATIENCE
    for _ in range(_TRIES):
        claims = read_claims(run_dir)
        own = [each for each in claims if each.rank == job.rank and _says(each, job, "rank_process")]
        if own and not always:
            return Place(None, _owner(own[-1]))
        number = own[-1].incarnation if own else _incarnation(run_dir, claims, job)
        if number is None and not always:
            if time.monotonic() > end:
                return Place(None, "another job")
            time.sleep(_PATIENCE / 20)  # a rank on a host that was there before knows the run, and says so
            continue
        number = number or 1 + max(each.incarnation for each in claims)
        if own or _write(run_dir, Claim(number, job.rank, _facts(job))):
            return Place(f"{job.launch}.{number}")
    return Place(f"{job.launch}.{number}")


def read_claims(run_dir: Path) -> list[Claim]:
    """Return the claims of a run, in the order of the incarnations. One that cannot be read is left out."""
    found = []
    with contextlib.suppress(OSError):
        for file in (run_dir / _FOLDER).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                incarnation, rank = map(int, file.name.removeprefix(_PREFIX).split("-"))
                facts = json.loads(file.read_text(encoding="utf-8")[:10_000])
                found.append(Claim(incarnation, rank, {"pid": 0, "pid_started": None, **facts}))
    return sorted(found, key=lambda each: each[:2])


def _incarnation(run_dir: Path, claims: Collection[Claim], job: Job) -> int | None:
    """Return which incarnation this rank belongs to, ``None`` if the run is another job's."""
    newest = max((each.incarnation for each in claims), default=0)
    current = [each for each in claims if each.incarnation == newest]
    if not current:
        return 1
    joins = all(
        each.rank != job.rank and not each.is_stopped(job) and _says(each, job, "rendezvous", "world_size")
        for each in current
    )
    if joins:
        return newest
    return newest + 1 if _is_same_job(run_dir, claims, job) else None


def _is_same_job(run_dir: Path, claims: Collection[Claim], job: Job) -> bool:
    """Return whether a run is an earlier part of this job: people start different jobs with the same id, too."""
    if any(_says(each, job, "agent") or _says(each, job, "rendezvous") for each in claims):
        return True
    if not any(_says(each, job, "requeued") for each in claims):
        return True
    return not _has_finished(run_dir)


def _has_finished(run_dir: Path) -> bool:
    """Return whether rank zero has finished the run, or is still recording."""
    from tracelet.journal import liveness, read_events, writers

    rank, outcome = None, None
    for event in read_events(run_dir):
        if event.type == "writer":
            rank = event.payload.get("rank")
        elif event.type == "outcome" and rank in (0, None):
            outcome = event.payload.get("outcome")
    return outcome == "finished" or any(liveness(run_dir, each) == "running" for each in writers(run_dir))


def _facts(job: Job) -> dict[str, Any]:
    facts = job.elastic._asdict() if job.elastic is not None else {}
    return {**process_facts(), **facts, "world_size": job.world_size}


def _says(claim: Claim, job: Job, *keys: str) -> bool:
    mine = _facts(job)
    return all(claim.facts.get(key) == mine[key] for key in keys)


def _owner(claim: Claim) -> str:
    return f"{claim.facts['pid']} {claim.facts['pid_started']} {claim.facts.get('boot_id')}"


def _write(run_dir: Path, claim: Claim) -> bool:
    """Write a claim, whole or not at all. Returns whether this rank has it now."""
    folder = run_dir / _FOLDER
    file = folder / f"{_PREFIX}{claim.incarnation}-{claim.rank}"
    part = folder / f".{host_name()}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as written:
            json.dump(dict(claim.facts), written)
        if file.exists():
            return False
        try:
            os.link(part, file)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            os.rename(part, file)
        return True
    except OSError:  # the disk is full or read-only: the journal reports that
        return True
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
