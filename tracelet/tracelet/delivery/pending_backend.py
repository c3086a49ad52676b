"""A backend that could not be started: its records are pending, and starting is retried after an outage."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tracelet.delivery.ledger.account import open_account
from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.breaker import CLOSED, Breaker
from tracelet.delivery.pipeline.failures import Fault
from tracelet.delivery.waiting import INITIAL_STATUS, RESTING, RETRYING, STOPPED, DeliveryWorker, WakeEvent
from tracelet.logs import get_logger

log = get_logger("tracelet.delivery")

OUTAGES: Final = (Fault.PASSING, Fault.TOO_MUCH)


class PendingBackend(DeliveryWorker):
    """Takes the place of a worker while the backend itself is not active.

    After an outage (a connection error in ``start`` or ``initialize``), tracelet tries to start the backend
    repeatedly, with the delays of a breaker. After any other failure it rests. Once the backend has been started, its
    worker takes over, including the threads that wait.
    """

    def __init__(
        self,
        name: str,
        run_dir: Path,
        settings: Settings,
        *,
        failure: Callable[[], BaseException | None],
        judge: Callable[[BaseException], Fault],
        restart: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            name: the backend.
            run_dir: the run's folder.
            settings: delays between attempts.
            failure: returns why the backend is not active.
            judge: returns what a failure means.
            restart: starts the backend and hands it to delivery, if that succeeds.
        """
        super().__init__(name)
        self._run_dir = run_dir
        self._settings = settings
        self._failure = failure
        self._judge = judge
        self._restart = restart
        self._breaker = Breaker(settings)
        self._successor: DeliveryWorker | None = None
        self._is_stopping = False
        self._failures_before = 0
        self._retries = 0
        self._wake = WakeEvent()
        self._is_outage = self._failed_by_outage()
        self._thread = threading.Thread(target=self._run, name=f"tracelet delivery {name}", daemon=True)

    @property
    def state(self) -> str:
        """What the worker is doing."""
        if self._successor is not None:
            return self._successor.state
        if self._is_stopping:
            return STOPPED
        return RETRYING if self._is_outage else RESTING

    def start(self) -> None:
        """Register the backend as having pending records, and retry after an outage."""
        open_account(self._run_dir, self.name, self._settings, self._error())
        if self._is_outage:
            self._breaker.failed()
            self._thread.start()

    def _run(self) -> None:
        while not self._is_stopping and self._is_outage:
            self._wake.wait(self._breaker.wait())
            if self._waiting:
                self._breaker.hurry(self._settings.retry_longest_ending)
            if not self._is_stopping and self._breaker.wait() <= 0:
                self._attempt()

    def _attempt(self) -> None:
        self._retries += 1
        self._restart()
        with self._progress:
            if self._successor is not None:
                log.info("backend %r: started, after %d more attempts", self.name, self._retries)
                self._is_outage = False
                return
            self._is_outage = self._failed_by_outage()
            self._breaker.failed()
            self._progress.notify_all()

    def _failed_by_outage(self) -> bool:
        failure = self._failure()
        return failure is not None and self._judge(failure) in OUTAGES

    def hand_over(self, worker: DeliveryWorker) -> None:
        """Let the worker of the backend, which is now active, take over."""
        with self._progress:
            for _ in range(self._waiting):
                worker.hurry()
            self._successor = worker
            self._progress.notify_all()
        self._wake.set()

    def _on_hurry(self) -> None:
        if self._successor is not None:
            self._successor.hurry()
        self._failures_before = self._breaker.failures
        self._breaker.hurry()
        self._wake.set()

    def _on_calm(self) -> None:
        if self._successor is not None:
            self._successor.calm()

    def is_hopeless(self) -> bool:
        """Say whether waiting is pointless."""
        if self._successor is not None:
            return self._successor.is_hopeless()
        if not self._is_outage:
            return True
        return self._breaker.state != CLOSED and self._breaker.failures > self._failures_before

    def position(self, writer: str) -> int:
        """Return how far a writer is delivered, as a sequence number."""
        if self._successor is not None:
            return self._successor.position(writer)
        return Ledger(self._run_dir, self.name, strict=False).position(writer)

    def reconfigure(self) -> None:
        """Try again at once: something was fixed."""
        self._breaker.reset()
        self._wake.set()

    def slow_down(self) -> bool:
        """Return ``False``: it does almost nothing."""
        return False

    def ask_to_stop(self) -> None:
        """Make no further attempt. Returns at once."""
        self._is_stopping = True
        self._wake.set()

    def stop(self, timeout: float) -> bool:
        """Make no further attempt, and wait for the current one for ``timeout`` seconds at most."""
        self.ask_to_stop()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _error(self) -> str | None:
        failure = self._failure()
        return str(failure) if failure is not None else None

    def status(self) -> dict[str, Any]:
        """Return the worker's state and counts, as JSON can hold them."""
        if self._successor is not None:
            return self._successor.status()
        ledger = Ledger(self._run_dir, self.name, strict=False)
        return {
            **INITIAL_STATUS,
            "state": self.state,
            "delivered": ledger.delivered,
            "excluded": ledger.excluded,
            "dropped": ledger.dropped,
            "retries": self._retries,
            "error": self._error(),
            "breaker": self._breaker.state,
        }
