"""Delivery of one run: a worker per backend."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.ledger.counting import count_ahead, ends
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.reader import Writers
from tracelet.delivery.process import PluginProxy, RemoteWorker, make_proxy
from tracelet.delivery.waiting import STANDBY
from tracelet.delivery.worker import BackendWorker
from tracelet.journal import writers as all_writers
from tracelet_hookspecs import RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

# Seconds for the batch under way: when a backend is switched off; at the end; and at the end when time is up.
_REMOVING: Final = 5.0
_STOPPING: Final = 1.0
_GRACE: Final = 0.1


class Delivery:
    """Brings what a run records to its backends, each at its own pace, from the journal.

    Recording knows nothing of it and never waits. Every method may be called from any thread; in a forked child
    none of them does anything, since the workers stayed in its parent.
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
            manager: has the backends and the processors, and their configuration.
            run: what the hooks are given as ``run``.
            run_dir: the run's folder.
            writers: returns the writers to follow; by default all that the run has.
            settings: limits and intervals.
        """
        self._manager = manager
        self._run = run
        self._run_dir = run_dir
        self._given_writers = writers
        self._writers = writers or (lambda: all_writers(run_dir))
        self._settings = settings or Settings()
        self._workers: dict[str, BackendWorker | RemoteWorker] = {}
        self._leaving: dict[str, BackendWorker] = {}  # switched off: the last of each name
        self._lock = threading.RLock()  # a signal handler may come in between
        self._pid = os.getpid()
        manager.make_proxy = lambda info: make_proxy(info, manager, run)

    def add(self, name: str) -> None:
        """Begin to deliver to an active plugin: from where it stands, or from the run's first record."""
        with self._lock:
            if self._is_elsewhere() or name in self._workers:
                return
            worker = self._workers[name] = self._make_worker(name)
            if isinstance(worker, BackendWorker):
                worker.after = self._leaving.get(name)
            worker.start()

    def _make_worker(self, name: str) -> BackendWorker | RemoteWorker:
        """Make the worker of a plugin, wherever that is."""
        plugin = self._manager.handle(name).plugin
        if isinstance(plugin, PluginProxy):
            return RemoteWorker(
                *(self._manager, plugin, self._run_dir), writers=self._given_writers, settings=self._settings
            )
        return BackendWorker(
            *(self._manager, self._run, self._run_dir, name), writers=self._writers, settings=self._settings
        )

    def remove(self, name: str, timeout: float = _REMOVING) -> None:
        """Deliver no more to a plugin, once it has the batch under way or ``timeout`` seconds are over."""
        with self._lock:
            worker = self._workers.pop(name, None)
            if isinstance(worker, BackendWorker):
                self._leaving[name] = worker
        if worker is not None and not self._is_elsewhere():
            worker.stop(timeout)

    def reconfigure(self, name: str) -> None:
        """Take up a changed configuration of a plugin, or one that was mended: it is tried again at once."""
        worker = self._workers.get(name)
        if worker is not None and not self._is_elsewhere():
            worker.reconfigure()

    def status(self) -> dict[str, dict[str, Any]]:
        """Return, per backend, what it got and what not, what goes wrong, and how far it is behind."""
        if self._is_elsewhere():
            return {}
        targets = self._targets()
        return {
            name: {**worker.status(), "pending": self._pending(worker, targets)}
            for name, worker in self._all()
        }

    def flush(self, timeout: float) -> bool:
        """Wait until every backend has what is recorded by now, and say whether it has.

        Returns after ``timeout`` seconds at the latest, and earlier where waiting is no use.
        """
        return self._is_elsewhere() or self._wait(self._targets(), time.monotonic() + timeout)

    def finish(self, timeout: float) -> dict[str, str]:
        """Deliver what is left, and end. Returns within ``timeout`` seconds, with what is still due per backend.

        That stays in the journal; ``tracelet sync`` delivers it later.
        """
        if self._is_elsewhere():
            return {}
        end = time.monotonic() + timeout
        targets = self._targets()
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
        left = {name: self._pending(worker, targets) for name, worker in workers if name not in elsewhere}
        return {name: _records(pending) for name, pending in left.items() if pending}

    def slow_down(self) -> str | None:
        """Rest longer between batches, to take less of the program's time. Returns what was done, if anything."""
        slower = [worker.slow_down() for _, worker in self._all()]
        return "delivery waits longer between batches" if any(slower) else None

    def _pending(self, worker: BackendWorker | RemoteWorker, targets: Mapping[str, int]) -> int:
        return count_ahead(self._run_dir, worker.position, targets)

    def _wait(self, targets: dict[str, int], end: float) -> bool:
        workers = self._all()
        for _, worker in workers:
            worker.hurry()
        try:
            results = [
                worker.wait(targets, end) for _, worker in workers
            ]  # each is waited for, whatever the others do
            return all(results)
        finally:
            for _, worker in workers:
                worker.calm()

    def _targets(self) -> dict[str, int]:
        return ends(self._run_dir, self._writers()) if self._workers else {}

    def _all(self) -> list[tuple[str, BackendWorker | RemoteWorker]]:
        with self._lock:
            return list(self._workers.items())

    def _is_elsewhere(self) -> bool:
        return os.getpid() != self._pid


def _records(count: int) -> str:
    return f"{count:,} record{'s' * (count != 1)}".replace(",", " ")
