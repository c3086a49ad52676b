"""Which process of a job delivers what is in a run's folder: of those that still record there, the one of lowest rank.

With one folder for all hosts that is rank zero. On a host whose folder rank zero does not reach, it is the lowest rank
of that host. If it is killed, the next one takes over. The leases in the folder keep two from delivering at once.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.logs import get_logger
from tracelet.run.threads import try_start

if TYPE_CHECKING:
    from tracelet.run.context import RunContext

log = get_logger("tracelet.run")

PATIENCE: Final = 20.0  # seconds that a process of lower rank may take to open the run, or to become visible
LOOK: Final = 5.0  # seconds between two looks at the process that delivers
ENDING: Final = 5.0  # seconds that the end of a run waits for the other processes of the job
_POLL: Final = 0.1


class Succession:
    """Watches the processes of lower rank in a run's folder, and takes over when there is none."""

    def __init__(self, context: RunContext, take_over: Callable[[], None]) -> None:
        """``take_over`` starts to deliver. It is called once, on a thread."""
        self._context = context
        self._dir = context.dir
        self._own = [take_over]  # whoever pops it takes over: the thread, or the end of the run
        self._began = time.monotonic()
        self._senior: str | None = None  # the process of lower rank that was seen last
        self._juniors: set[str] = set()  # processes that never come before this one
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tracelet succession", daemon=True)

    def start(self) -> None:
        """Begin to watch. Without a thread, only the end of the run looks."""
        try_start(self._thread)

    def _watch(self) -> None:
        while not self._over.wait(LOOK if time.monotonic() - self._began > PATIENCE else PATIENCE / 4):
            if time.monotonic() - self._began >= PATIENCE and not self._has_senior():
                self._take_over()
                return

    def _take_over(self) -> None:
        with contextlib.suppress(IndexError):
            take_over = self._own.pop()
            log.info(
                "run %s: no process of lower rank records in %s; this one delivers",
                self._context.id,
                self._dir,
            )
            take_over()

    def close(self, is_pending: Callable[[], bool], timeout: float) -> bool:
        """Take over at the end of the run, after the journal is closed, if nobody else will deliver the rest.

        A process that is ending delivers the records of all; it is given some seconds. Returns ``False`` if the
        backends are still being started after ``timeout`` seconds.
        """
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        end = time.monotonic() + min(ENDING, timeout)
        while self._own and not self._has_senior() and is_pending():
            if not is_anyone_delivering(self._dir):
                self._take_over()
            elif time.monotonic() > end:
                break
            time.sleep(_POLL)
        return True

    def _has_senior(self) -> bool:
        """Say whether a process of lower rank records in the folder."""
        from tracelet.journal import liveness, writers

        try:
            if self._senior is not None and liveness(self._dir, self._senior) == "running":
                return True
            self._senior = next((each for each in writers(self._dir) if self._is_senior(each)), None)
        except OSError:
            return True  # a folder that cannot be read now is no reason to act
        return self._senior is not None

    def _is_senior(self, writer: str) -> bool:
        from tracelet.journal import liveness

        if writer in self._juniors:
            return False
        facts = _facts_of(self._dir, writer)
        if facts is None:
            return False  # it has not said yet what it is
        assert self._context.job is not None
        rank = facts.get("rank")
        if facts.get("edit") or (isinstance(rank, int) and rank >= self._context.job.rank):
            self._juniors.add(writer)
            return False
        return liveness(self._dir, writer) == "running"


def may_deliver_later(context: RunContext) -> bool:
    """Say whether a process may have to deliver in place of one of lower rank: it records, so it has something to."""
    is_other_rank = context.job is not None and context.job.rank != 0 and not context.hosted
    return context.config.mode == "online" and is_other_rank and (context.records or context.measures)


def is_anyone_delivering(run_dir: Path) -> bool:
    """Say whether a living process has the lease of a backend of this run."""
    from tracelet.delivery.ledger.lease import is_held

    try:
        return is_held(run_dir)
    except OSError:
        return True


def wait_for_others(context: RunContext, timeout: float) -> None:
    """Wait until the other ranks that record in this run's folder have closed their journals.

    So the process that delivers can deliver the last records of all of them.
    """
    from tracelet.journal import liveness, writers

    if context.job is None:
        return
    end = time.monotonic() + timeout
    with contextlib.suppress(OSError):
        others = [
            each for each in writers(context.dir) if _records_beside(context, _facts_of(context.dir, each))
        ]
        while time.monotonic() < end:
            while others and liveness(context.dir, others[-1]) != "running":
                others.pop()
            if not others:
                return
            time.sleep(_POLL)


def _records_beside(context: RunContext, facts: Mapping[str, Any] | None) -> bool:
    """Say whether another process of this launch records: what the program logs, or the measurements of its host."""
    assert context.job is not None
    if facts is None or facts.get("edit") or facts.get("launch") != context.job.launch:
        return False
    rank, ranks = facts.get("rank"), context.config.settings.get("ranks", (0,))
    if not isinstance(rank, int) or rank == context.job.rank:  # the same rank: a forked child
        return False
    return ranks is None or (isinstance(ranks, Collection) and rank in ranks) or facts.get("local_rank") == 0


def _facts_of(run_dir: Path, writer: str) -> dict[str, Any] | None:
    from tracelet.journal.reading.lifetime import writer_facts
    from tracelet.journal.reading.source import Source

    return writer_facts(Source(run_dir, writer))
