"""Delivery of one run: a worker per backend."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.ledger.account import open_account
from tracelet.delivery.ledger.counting import count_ahead, ends
from tracelet.delivery.limits import Settings
from tracelet.delivery.pending_backend import OUTAGES, PendingBackend
from tracelet.delivery.pipeline.failures import Fault, judge_on_its_thread
from tracelet.delivery.pipeline.processors import ProcessorObjects
from tracelet.delivery.pipeline.reader import Writers
from tracelet.delivery.process import PluginProxy, RemoteWorker, make_proxy
from tracelet.delivery.waiting import STANDBY, DeliveryWorker
from tracelet.delivery.worker import STARTING_STEPS, BackendWorker
from tracelet.errors import ConfigError
from tracelet.host.worker import Overrun
from tracelet.journal import writers as all_writers
from tracelet.logs import get_logger
from tracelet_hookspecs import RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

# Seconds for the current batch: when a backend is removed; at the end; and at the end when time is up.
_REMOVING: Final = 5.0
_STOPPING: Final = 1.0
_GRACE: Final = 0.1


class Delivery:
    """Delivers what a run records to its backends, from the journal, each at its own pace.

    Recording does not depend on it and never waits for it. Every method may be called from any thread. In a forked
    child they do nothing, because the workers stayed in its parent.
    """

    def __init__(
        self,
        manager: PluginManager,
        run: RunView,
        run_dir: Path,
        *,
        writers: Writers | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Prepare delivery; backends are added one by one.

        Args:
            manager: has the backends, the processors and their configuration.
            run: what the hooks get as ``run``.
            run_dir: the run's folder.
            writers: returns the writers to follow; by default all writers of the run.
            settings: limits and intervals.
        """
        self._manager = manager
        self._run = run
        self._run_dir = run_dir
        self._given_writers = writers
        self._writers = writers or (lambda: all_writers(run_dir))
        self._settings = settings or Settings()
        self._processors = ProcessorObjects(manager)
        self._workers: dict[str, DeliveryWorker] = {}
        self._leaving: dict[str, BackendWorker] = {}  # removed: the last worker of each name
        self._lock = threading.RLock()  # reentrant, since a signal handler may interrupt its holder
        self._pid = os.getpid()
        self._has_reported_unreadable = False
        manager.make_proxy = lambda info: make_proxy(info, manager, run)

    def add(self, name: str) -> None:
        """Start delivering to an active plugin, from its cursor or from the run's first record."""
        with self._lock:
            before = self._workers.get(name)
            if self._is_elsewhere() or (before is not None and not isinstance(before, PendingBackend)):
                return
            if (other := self._same_backend(name)) is not None:
                log.warning(
                    "plugin %r is the same backend as %r, with the same configuration: it receives nothing more;"
                    " activate it under one name",
                    *(name, other),
                )
                return
            self.open_account(name)
            worker = self._workers[name] = self._make_worker(name)
            if isinstance(worker, BackendWorker):
                worker.predecessor = self._leaving.get(name)
                worker.on_failed_restart = lambda: self._hold_restarted(name)
            worker.start()
        if isinstance(before, PendingBackend):
            before.hand_over(worker)

    def open_account(self, name: str) -> None:
        """Store that a backend is to receive the run, so that `tracelet sync` knows, whatever happens from now on."""
        if not self._is_elsewhere():
            open_account(self._run_dir, name, self._settings)

    def hold(self, name: str, restart: Callable[[], Any]) -> None:
        """Count the records of a backend that could not be started as pending, and retry after an outage.

        ``restart`` starts it and, if that succeeds, calls :meth:`add`.
        """
        with self._lock:
            if isinstance(self._workers.get(name), BackendWorker):
                self._hold_restarted(name)  # it was active before
                return
            if self._is_elsewhere() or name in self._workers or not self._is_pending(name):
                return
            worker = self._workers[name] = PendingBackend(
                *(name, self._run_dir, self._settings),
                failure=lambda: self._failure_of(name),
                judge=lambda failure: self._judge(name, failure),
                restart=restart,
            )
        worker.start()

    def _hold_lost(self, name: str) -> None:
        """Retry to start an isolated backend whose process has ended and could not be started again."""
        with self._lock:
            if self._is_pending(name):
                self._workers.pop(name, None)
                self.hold(name, lambda: self._start_again(name))

    def _hold_restarted(self, name: str) -> None:
        """Retry to start a backend that was active, was stopped or failed, and met an outage when it was restarted."""
        failure = self._failure_of(name)
        if failure is None or self._judge(name, failure) not in OUTAGES:
            return
        with self._lock:
            worker = self._workers.get(name)
            if not isinstance(worker, BackendWorker) or not self._is_pending(name):
                return
            self._leaving[name] = worker
            worker.ask_to_stop()
            self._hold_lost(name)

    def _start_again(self, name: str) -> None:
        if self._manager.start_plugins([name])[name]:
            self.add(name)

    def _is_pending(self, name: str) -> bool:
        """Say whether a plugin may start later. One that is not valid, or cannot be registered, never will."""
        failure = self._manager.handle(name).failure
        return isinstance(failure, ConfigError) or getattr(failure, "step", None) in STARTING_STEPS

    def _judge(self, name: str, failure: BaseException) -> Fault:
        try:
            return judge_on_its_thread(self._manager.handle(name), failure).fault
        except Overrun:
            return Fault.UNKNOWN

    def _failure_of(self, name: str) -> BaseException | None:
        """Return why a plugin is not active: the failure of the first of its dependencies that failed, or its own."""
        try:
            order = self._manager.resolve_dependencies([name])
        except ValueError:  # a cycle
            order = [name]
        failures = (self._manager.handle(each).failure for each in order if each in self._manager.plugins)
        return next((failure for failure in failures if failure is not None), None)

    def _same_backend(self, name: str) -> str | None:
        """Return the name under which the same object, or the same class with the same configuration, is served."""
        handle = self._manager.handle(name)
        for other in self._workers:
            if other == name:
                continue
            known = self._manager.handle(other)
            is_same = handle.info.instance is not None and known.info.instance is handle.info.instance
            if (
                is_same
                and (known.config or {}) == (handle.config or {})
                and self._have_same_routes(name, other)
            ):
                return other
        return None

    def _have_same_routes(self, name: str, other: str) -> bool:
        return self._manager.options(name) == self._manager.options(other)

    def _make_worker(self, name: str) -> DeliveryWorker:
        """Make the worker of a plugin, wherever that runs."""
        plugin = self._manager.handle(name).plugin
        if isinstance(plugin, PluginProxy):
            plugin.on_failure = lambda: self._hold_lost(name)
            return RemoteWorker(
                *(self._manager, plugin, self._run_dir), writers=self._given_writers, settings=self._settings
            )
        return BackendWorker(
            *(self._manager, self._run, self._run_dir, name),
            writers=self._writers,
            settings=self._settings,
            processors=self._processors,
        )

    def remove(self, name: str, timeout: float = _REMOVING) -> None:
        """Stop delivering to a plugin, after the current batch or after ``timeout`` seconds."""
        with self._lock:
            worker = self._workers.pop(name, None)
            if isinstance(worker, BackendWorker):
                self._leaving[name] = worker
        if worker is not None and not self._is_elsewhere():
            worker.stop(timeout)

    def reconfigure(self, name: str) -> None:
        """Apply a changed or fixed configuration of a plugin, and retry at once."""
        worker = self._workers.get(name)
        if worker is not None and not self._is_elsewhere():
            worker.reconfigure()

    def status(self) -> dict[str, dict[str, Any]]:
        """Return, per backend, what it has received, what is pending, what fails, and its lag."""
        if self._is_elsewhere():
            return {}
        targets = self._targets()
        return {
            name: {**worker.status(), "pending": self._pending(worker, targets)}
            for name, worker in self._all()
        }

    def flush(self, timeout: float) -> bool:
        """Wait until every backend has what is recorded by now, and return whether all have.

        Returns after ``timeout`` seconds at the latest, and earlier if waiting is pointless.
        """
        if self._is_elsewhere():
            return True
        targets = self._targets()
        return targets is not None and self._wait(targets, time.monotonic() + timeout)

    def finish(self, timeout: float) -> dict[str, str]:
        """Deliver the rest, and end. Returns within ``timeout`` seconds, with what is still pending per backend.

        That stays in the journal; ``tracelet sync`` delivers it later.
        """
        if self._is_elsewhere():
            return {}
        end = time.monotonic() + timeout
        targets = self._targets()
        if targets is not None:
            self._wait(targets, end)
        workers = self._all()
        elsewhere = {
            name for name, worker in workers if worker.state == STANDBY
        }  # another process delivers to those
        for _, worker in workers:
            worker.ask_to_stop()
        end = max(end, time.monotonic() + _GRACE)
        for _, worker in workers:
            worker.stop(min(end - time.monotonic(), _STOPPING))
        self._processors.stop()
        left = {name: self._pending(worker, targets) for name, worker in workers if name not in elsewhere}
        return {name: _records(pending) for name, pending in left.items() if pending != 0}

    def slow_down(self) -> str | None:
        """Wait longer between batches, to take less of the program's time. Returns what has changed, if anything."""
        slower = [worker.slow_down() for _, worker in self._all()]
        return "delivery waits longer between batches" if any(slower) else None

    def _pending(self, worker: DeliveryWorker, targets: Mapping[str, int] | None) -> int | None:
        """Return how many records are pending, or None if the journal cannot be read at the moment."""
        try:
            return None if targets is None else count_ahead(self._run_dir, worker.position, targets)
        except OSError:
            return None

    def _wait(self, targets: dict[str, int], end: float) -> bool:
        workers = self._all()
        for _, worker in workers:
            worker.hurry()
        try:
            results = [
                worker.wait(targets, end) for _, worker in workers
            ]  # wait for each one, whatever the others do
            return all(results)
        finally:
            for _, worker in workers:
                worker.calm()

    def _targets(self) -> dict[str, int] | None:
        """Return where each writer's journal ends, or None if it cannot be read at the moment.

        Too many open files or changed permissions are no reason to end the training.
        """
        try:
            return ends(self._run_dir, self._writers()) if self._workers else {}
        except OSError as error:
            if not self._has_reported_unreadable:
                self._has_reported_unreadable = True
                log.warning("the journal cannot be read (%s): how much is pending is unknown", error)
            return None

    def _all(self) -> list[tuple[str, DeliveryWorker]]:
        with self._lock:
            return list(self._workers.items())

    def _is_elsewhere(self) -> bool:
        return os.getpid() != self._pid


def _records(count: int | None) -> str:
    if count is None:
        return "an unknown number of records"
    return f"{count:,} record{'s' * (count != 1)}".replace(",", " ")
