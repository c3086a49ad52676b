"""Which rank of a job records into which run.

A rank claims a run with a small file in the run's folder. So a program that starts several runs, or several programs
that a rank runs one after the other, or two launches that look alike, never end up in the same run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.journal.identity import boot_id, process_facts, process_state
from tracelet.run.job import Job, ancestors

_CLAIMS: Final = "ranks"
_SLACK: Final = 2.0  # seconds by which a file system's clock may be behind

_claimed: set[Path] = set()  # by this process, also if the file could not be written


class HostRun(NamedTuple):
    """A run of the process that launched the job: that process's writer, and whether ``tracelet run`` opened it."""

    writer: str
    is_ambient: bool


def claim(run_dir: Path, job: Job) -> str | None:
    """Claim a run for this rank of this launch. Returns who has claimed it before, or ``None`` on success."""
    file = run_dir / _CLAIMS / f"{job.launch}-{job.rank}"
    if file in _claimed:
        return _owner()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        with contextlib.suppress(OSError):
            return file.read_text(encoding="utf-8")[:200]
        return "unknown"
    except OSError:  # the disk is full or read-only: the journal reports that
        _claimed.add(file)
        return None
    with contextlib.suppress(OSError), os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(_owner())
    _claimed.add(file)
    return None


def has_writer_of(run_dir: Path, ranks: Collection[int]) -> bool:
    """Return whether a process of one of these ranks has joined a run."""
    from tracelet.journal.reading.lifetime import writer_facts
    from tracelet.journal.reading.source import Source, writers

    facts = (writer_facts(Source(run_dir, writer)) for writer in writers(run_dir))
    return any(each is not None and each.get("rank") in ranks for each in facts)


def _owner() -> str:
    facts = process_facts()
    return f"{facts['pid']} {facts['pid_started']} {facts['boot_id']}"


def is_ancestor(owner: str) -> bool:
    """Return whether the process that made a claim is a living ancestor of this one."""
    pid, started, boot = [*owner.split(), "", "", ""][:3]
    if boot != str(boot_id()):
        return False
    states = ((each, process_state(each)) for each in ancestors())
    return any(str(each) == pid and state is not None and str(state[1]) == started for each, state in states)


def runs_of_launcher(runs: Path, job: Job) -> dict[str, HostRun]:
    """Return the runs of the process that launched the job, which its ranks join.

    Of most launchers that is the run that ``tracelet run`` has opened around them, unless the launcher uses tracelet
    itself. Lightning's first process is a rank of the job: the others join every run that it has started.
    """
    if job.launcher_pid is None or job.launcher_pid == os.getpid():
        return {}
    found = sorted(_runs_of_process(runs, job.launcher_pid), key=lambda each: str(each[1]["id"]))
    if job.launcher == "lightning":
        return {folder.name: HostRun(facts["id"], False) for folder, facts in found}
    return {
        folder.name: HostRun(facts["id"], True)
        for folder, facts in found
        if facts.get("ambient") and not _is_adopted(folder)
    }


def _runs_of_process(runs: Path, pid: int) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Find the runs that a process has written to, with its facts. Only folders that are younger are read."""
    from tracelet.journal.reading.lifetime import writer_facts
    from tracelet.journal.reading.source import Source, writers

    state, since = process_state(pid), _started_at(pid)
    if state is None or not runs.is_dir():
        return
    identity = {"pid": pid, "pid_started": state[1], "boot_id": boot_id()}
    for folder in runs.iterdir():
        with contextlib.suppress(OSError):
            if folder.stat().st_ctime < since - _SLACK:
                continue
            for writer in writers(folder):
                facts = writer_facts(Source(folder, writer))
                if facts is not None and all(facts.get(key) == value for key, value in identity.items()):
                    yield folder, facts
                    break


def _is_adopted(run_dir: Path) -> bool:
    from tracelet.journal import read_events

    return any(event.type == "adopted" for event in read_events(run_dir))


def _started_at(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, OSError):
        return float("inf")
