"""The way from the journal to one backend, step by step, without a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.breaker import Breaker
from tracelet.delivery.pipeline.plan import Entry, Plan
from tracelet.delivery.pipeline.planner import Planner
from tracelet.delivery.pipeline.processors import Processors
from tracelet.delivery.pipeline.reader import Batch, Reader, Writers
from tracelet.delivery.pipeline.retrying import RetryingSender
from tracelet.delivery.pipeline.routes import Routes
from tracelet.delivery.pipeline.sending import Sender
from tracelet.secrets import redact
from tracelet_hookspecs import RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = logging.getLogger("tracelet.delivery")

_MOST_BATCHES: Final = 16  # in one plan, while nothing goes through


class Pipeline:
    """Reads, plans, delivers and books for one backend.

    Everything but :meth:`save` and :meth:`reconfigure` is for one thread.
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
        is_ours: Callable[[], bool],
    ) -> None:
        self.ledger = Ledger.opened(run_dir, name)
        self.plan: Plan | None = None
        self._batch: Batch | None = None
        self.behind_since: float | None = None  # when the oldest record under way was recorded
        self._manager = manager
        self._run_dir = run_dir
        self._name = name
        self._settings = settings
        self._reader = Reader(run_dir, self.ledger, writers)
        self._sender = Sender(manager.handle(name), run, settings)
        self._retrying = RetryingSender(name, self._sender, breaker, settings)
        self._breaker = breaker
        self._is_ours = is_ours  # whether it is still this process that delivers
        self._planning = threading.RLock()
        self._planner = self._new_planner()
        self._saving = threading.RLock()  # a signal handler may come in between
        self._unsaved = self._undurable = False
        self._save_after = self._save_durably_after = 0.0
        self._said = False

    def _new_planner(self) -> Planner:
        routes = Routes(self._manager.options(self._name))
        handle = self._sender.handle
        processors = Processors(self._manager)
        return Planner(self._run_dir, routes, processors, handle.implements, self._sender.handles)

    def reconfigure(self) -> None:
        """Take up changed routes and a plugin that was started anew. The batch under way goes on as planned.

        May be called from any thread.
        """
        self._sender.ask_again()
        planner = self._new_planner()
        with self._planning:
            self._planner = planner

    @property
    def error(self) -> str | None:
        """The last failure, while it lasts."""
        return self._retrying.error

    @property
    def retries(self) -> int:
        """How often something was tried again."""
        return self.ledger.retries + self._retrying.retries

    def step(self) -> bool:
        """Do one piece of work: give the backend something, or book what it has got. ``False``: nothing is new.

        Raises:
            PluginError: it is no use to go on; see :meth:`RetryingSender.attempt`.
            OSError: the journal cannot be read.
        """
        if self.plan is None:
            with self._planning:  # what is recorded after a change is planned by it
                planner = self._planner
                batch = self._reader.read(self._sender.batch)
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

    def _begin(self, batch: Batch, planner: Planner) -> None:
        self.plan, self._batch = Plan(), batch
        self.behind_since = batch.records[0].time if batch.records else None
        planner.extend(self.plan, batch)

    def _widen(self, plan: Plan) -> None:
        """Points were refused one by one, and nothing was taken since: see whether later ones fare better."""
        batch = self._reader.read(self._settings.aside_most) if len(plan.entries) < _MOST_BATCHES else None
        if batch is not None:
            self._planner.extend(plan, batch)
        else:
            self._retrying.blame_backend(plan)

    def _book(self, plan: Plan) -> None:
        """Enter what became of a plan, and move the cursors."""
        lost = [(owner[0], reason) for owner, reason in plan.dropped.items()]
        with self._saving:
            for entry in plan.entries:
                self._enter(entry)
            for writer, reason in lost:
                page = self.ledger.page(writer)
                page.dropped[reason] += 1
                page.delivered -= 1
            self.ledger.retries += self._retrying.retries
            self._retrying.retries = 0
            self.ledger.error = None
            self._unsaved = True
        self.plan = self.behind_since = None
        self.save_if_due()

    def _enter(self, entry: Entry) -> None:
        page = self.ledger.page(entry.writer)
        page.cursor = entry.after
        page.delivered += entry.routed
        page.excluded += entry.excluded

    def caught_up(self) -> bool:
        """Whether the backend has all that was there at the last look."""
        return self.plan is None and self._reader.caught_up()

    def look_again(self) -> None:
        """Look for new writers at once."""
        self._reader.look_again()

    def close(self) -> None:
        """Book what the backend has of the batch under way, and store it all."""
        self._book_part()
        self.save()

    def _book_part(self) -> None:
        """Book the beginning of a batch whose rest is not delivered, so that it does not come twice."""
        plan, batch = self.plan, self._batch
        if plan is None or batch is None or len(plan.entries) != 1 or plan.dropped or plan.is_processed:
            return
        part = batch.until(plan.left())
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
        """Store what is booked for good."""
        if self._unsaved or self._undurable or self.ledger.error != self.error:
            self._save(durable=True)

    def _save(self, *, durable: bool) -> None:
        """Store what is booked. A disk that will not take it is told once; delivery goes on."""
        with self._saving:
            if not self._is_ours():
                return  # whoever took over knows better
            self.ledger.error = self.error
            began = time.monotonic()
            try:
                self.ledger.save(durable=durable)
                self._unsaved, self._undurable, self._said = False, not durable, False
            except OSError as error:
                self._tell(error)
            pause = self._settings.save_rest * (time.monotonic() - began)
            if durable:
                self._save_durably_after = began + max(self._settings.save_durably_every, pause)
            else:
                self._save_after = began + max(self._settings.save_every, pause)

    def _tell(self, error: OSError) -> None:
        if not self._said:
            self._said = True
            log.warning(
                "backend %r: where it stands cannot be stored (%s); after a crash it gets some points twice",
                *(self._name, redact(str(error))),
            )
