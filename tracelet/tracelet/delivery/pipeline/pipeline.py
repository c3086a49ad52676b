"""The way from the journal to one backend, step by step. It has no thread; a worker drives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.breaker import Breaker
from tracelet.delivery.pipeline.gathering import Gathering
from tracelet.delivery.pipeline.plan import Entry, Plan
from tracelet.delivery.pipeline.planner import Planner
from tracelet.delivery.pipeline.processors import BackendProcessors, ProcessorObjects
from tracelet.delivery.pipeline.reader import Batch, Reader, Writers
from tracelet.delivery.pipeline.retrying import RetryingSender
from tracelet.delivery.pipeline.routes import Routes
from tracelet.delivery.pipeline.sending import Sender
from tracelet.logs import get_logger
from tracelet.secrets import redact
from tracelet_hookspecs import RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

_MOST_BATCHES: Final = 16  # in one plan, while nothing is accepted


class Pipeline:
    """Reads, plans, sends and records progress for one backend. All methods except :meth:`save` and
    :meth:`reconfigure` are for one thread.
    """

    def __init__(
        self,
        manager: PluginManager,
        run: RunView,
        run_dir: Path,
        name: str,
        *,
        writers: Writers | None,
        settings: Settings,
        breaker: Breaker,
        processors: ProcessorObjects,
        is_ours: Callable[[], bool],
    ) -> None:
        self.ledger = Ledger.open(run_dir, name)
        self.plan: Plan | None = None
        self._batch: Batch | None = None
        self.behind_since: float | None = None  # when the oldest record of the current batch was recorded
        self._manager = manager
        self._name = name
        self._run = run
        self._settings = settings
        self._reader = Reader(run_dir, self.ledger, writers)
        self._ahead: Batch | Exception | None = None  # what comes next, or why it cannot be read
        self._gathering = Gathering(manager.handle(name), run_dir)
        sizes = self._gathering.adapt(settings)
        self._sender = Sender(manager.handle(name), run, run_dir, sizes, self._read_ahead)
        self._retrying = RetryingSender(name, self._sender, breaker, settings)
        self._processors = processors
        self._is_ours = is_ours  # says whether this process is still the one that delivers
        self._planning = threading.RLock()
        self._planner = self._new_planner()
        self._saving = threading.RLock()  # reentrant, since a signal handler may interrupt its holder
        self._unsaved = self._undurable = False
        self._save_after = self._save_durably_after = 0.0
        self._has_warned = False

    def _new_planner(self) -> Planner:
        routes = Routes(self._manager.options(self._name))
        processors = BackendProcessors(self._processors, self._name)
        return Planner(routes, processors, self._implements, self._sender.handles)

    def _implements(self, hook: str) -> bool:
        """Say whether the backend has a hook, ``log_columns`` only if no plugin wraps what it stands for."""
        has = self._sender.handle.implements
        if hook == "log_columns" and (has("log_metrics") or has("log_metric")):
            participants = self._manager.pluggy.participants
            if participants("log_metrics").wrappers or participants("log_metric").wrappers:
                return False
        return has(hook)

    def reconfigure(self) -> None:
        """Apply changed routes and use a restarted plugin. The current batch continues as planned.

        May be called from any thread.
        """
        self._sender.ask_again()
        planner = self._new_planner()
        with self._planning:
            self._planner = planner

    @property
    def error(self) -> str | None:
        """The current failure, if any."""
        return self._retrying.error

    @property
    def retries(self) -> int:
        """How many calls have been retried."""
        return self.ledger.retries + self._retrying.retries

    def step(self) -> bool:
        """Do one piece of work: call the backend, or book what it has accepted. Return ``False`` if nothing is new.

        Raises:
            PluginError: continuing is pointless; see :meth:`RetryingSender.attempt`.
            OSError: the journal cannot be read.
        """
        if self.plan is None:
            with self._planning:  # records made after a change are planned with the new routes
                planner = self._planner
                batch = self._next(self._sender.batch)
            if batch is None:
                return False
            self._begin(batch, planner)
        assert self.plan is not None
        if self.plan.steps:
            self._retrying.attempt(self.plan)
        elif self.plan.aside:
            self._widen(self.plan)
        if not self.plan.steps and not self.plan.aside:
            self._book(self.plan)
        return True

    def _next(self, limit: int) -> Batch | None:
        """Return the next batch, which may have been read already."""
        ahead, self._ahead = self._ahead, None
        if isinstance(ahead, Exception):
            raise ahead
        return self._reader.read(limit) if ahead is None else ahead

    def _read_ahead(self) -> None:
        """Read the next batch while the backend is busy with the current one, if it is far behind."""
        if self._ahead is None and self._reader.has_more():
            try:
                self._ahead = self._reader.read(self._sender.batch)
            except Exception as error:  # the reader may have moved on, so this one is of no more use
                self._ahead = error

    def _begin(self, batch: Batch, planner: Planner) -> None:
        self._learn_changes(batch)
        plan = Plan()
        planner.extend(plan, batch)
        self.plan, self._batch = plan, batch
        self.behind_since = batch.first_time()

    def _learn_changes(self, batch: Batch) -> None:
        """Keep the run's name current in a process that cannot ask the run itself."""
        learn = getattr(self._run, "learn_changes", None)
        if learn is not None:
            for event in batch.events():
                if event.type == "run":
                    learn(event.payload)

    def _widen(self, plan: Plan) -> None:
        """Points were refused one by one, and nothing was accepted since: try whether later ones are accepted."""
        batch = self._next(self._settings.aside_most) if len(plan.entries) < _MOST_BATCHES else None
        if batch is not None:
            self._planner.extend(plan, batch)
        else:
            self._retrying.blame_backend(plan)

    def _book(self, plan: Plan) -> None:
        """Enter the results of a plan, and move the cursors."""
        lost = [(record[0], reason) for record, reason in plan.dropped.items()]
        with self._saving:
            for entry in plan.entries:
                self._enter(entry)
            for writer, reason in lost:
                page = self.ledger.page(writer)
                page.dropped[reason] += 1
                page.delivered -= 1
            self.ledger.retries += self._retrying.retries
            self._retrying.retries = 0
            self._count_accepted()
            self.ledger.error = None
            self._unsaved = True
        if any(entry.routed for entry in plan.entries):  # what concerns only readers is no reason to wait
            self._gathering.begin()
        self.plan = self.behind_since = None
        self.save_if_due()

    def _enter(self, entry: Entry) -> None:
        page = self.ledger.page(entry.writer)
        page.cursor = entry.after
        page.delivered += entry.routed
        page.excluded += entry.excluded

    def _count_accepted(self) -> None:
        self.ledger.accepted += self._sender.accepted
        self._sender.accepted = 0

    def gather(self) -> float:
        """Return the seconds to wait because the backend prefers larger batches; 0 if a call is due."""
        return self._gathering.wait(self.ledger.position) if self.caught_up() else 0.0

    def caught_up(self) -> bool:
        """Say whether the backend has everything that the last read found."""
        return self.plan is None and self._ahead is None and self._reader.caught_up()

    def look_again(self) -> None:
        """Look for new writers at once."""
        self._reader.look_again()

    def close(self) -> None:
        """Book what the backend has accepted of the current batch, and store everything."""
        self._book_part()
        self.save()

    def _book_part(self) -> None:
        """Book the beginning of a batch whose rest is not delivered, so that it is not delivered again."""
        plan, batch = self.plan, self._batch
        if plan is None or batch is None or len(plan.entries) != 1 or plan.dropped or plan.is_processed:
            return
        part = batch.until(plan.first_left())
        if part is not None:
            done = Plan()
            self._planner.extend(done, part)
            self._book(done)

    def save_if_due(self) -> None:
        """Store what is booked, unless that was done a moment ago."""
        now = time.monotonic()
        if self._unsaved and now >= self._save_after:
            self._save_after = now + self._settings.save_every
            self._save(durable=now >= self._save_durably_after)

    def save(self) -> None:
        """Store what is booked, durably."""
        if self._unsaved or self._undurable or self.ledger.error != self.error:
            self._save(durable=True)

    def _save(self, *, durable: bool) -> None:
        """Store what is booked. If the disk refuses it, warn once; delivery continues."""
        with self._saving:
            if not self._is_ours():
                return  # another process has taken over, and its ledger is newer
            self.ledger.error = self.error
            began = time.monotonic()
            try:
                self.ledger.save(durable=durable)
                self._unsaved, self._undurable, self._has_warned = False, not durable, False
            except OSError as error:
                self._warn(error)
            pause = self._settings.save_rest * (time.monotonic() - began)
            if durable:
                self._save_durably_after = began + max(self._settings.save_durably_every, pause)
            else:
                self._save_after = began + max(self._settings.save_every, pause)

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "backend %r: its position cannot be stored (%s); after a crash it may receive some points twice",
                *(self._name, redact(str(error))),
            )
