"""The worker of one backend: the thread that keeps its pipeline going."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.keep_alive import KeepAlive
from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.breaker import CLOSED, Breaker
from tracelet.delivery.pipeline.pace import Pace
from tracelet.delivery.pipeline.pipeline import Pipeline
from tracelet.delivery.pipeline.processors import ProcessorObjects
from tracelet.delivery.pipeline.reader import Writers
from tracelet.delivery.waiting import (
    DELIVERING,
    GATHERING,
    IDLE,
    RESTING,
    RETRYING,
    STANDBY,
    STARTING,
    STOPPED,
    DeliveryWorker,
    WakeEvent,
)
from tracelet.errors import PluginError, TraceletError
from tracelet.host.discovery import describe
from tracelet.logs import get_logger
from tracelet.secrets import format_exception, redact
from tracelet_hookspecs import PluginState, RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

STARTING_STEPS: Final = ("initialize", "start")  # a plugin that failed in one of these may start later
_PAUSE: Final = 5.0  # seconds, when the journal itself cannot be read


class BackendWorker(DeliveryWorker):
    """Delivers one run to one backend, at least once and in order, until it is stopped.

    Its thread is a daemon and cannot delay the end of the program. What it has not booked by then is still in the
    journal.
    """

    def __init__(
        self,
        manager: PluginManager,
        run: RunView,
        run_dir: Path,
        name: str,
        *,
        writers: Writers | None = None,
        settings: Settings | None = None,
        processors: ProcessorObjects | None = None,
    ) -> None:
        super().__init__(name)
        self._state = STARTING
        self.settings = settings or Settings()
        self.breaker = Breaker(self.settings)
        self.pipeline: Pipeline | None = None
        self.error: str | None = None
        #: The worker before this one, whose last call may not have returned yet.
        self.predecessor: BackendWorker | None = None
        #: Called while the plugin is not active because a restart has failed.
        self.on_failed_restart: Callable[[], None] = lambda: None
        self._lease = Lease(run_dir, name, self.settings, manager.handle(name).deadline("log_metrics"))
        make = partial(Pipeline, manager, run, run_dir, name, writers=writers, settings=self.settings)
        self._make_pipeline = partial(
            make,
            breaker=self.breaker,
            processors=processors or ProcessorObjects(manager),
            is_ours=self._lease.beat,
        )
        self._read_ledger = partial(Ledger, run_dir, name, strict=False)
        self._keep_alive = KeepAlive(manager.handle(name), run)
        self._manager = manager
        self.pace = Pace(self.settings)
        self._stopping = self._abandoned = self._reconfigured = False
        self._failures_before = 0
        self._internal_failures = self._internal_failures_before = 0  # consecutive; see _fail_internally
        self._wake = WakeEvent()
        self._thread = threading.Thread(target=self._run, name=f"tracelet delivery {name}", daemon=True)

    # -- for other threads -----------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """What the worker is doing."""
        return self._state

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def slow_down(self) -> bool:
        """Wait twice as long between batches from now on. Return ``False`` if the limit has been reached."""
        return self.pace.slow_down()

    def reconfigure(self) -> None:
        """Take up changed routes, or a plugin that was fixed or restarted."""
        if (pipeline := self.pipeline) is not None:
            pipeline.reconfigure()
        self._reconfigured = True
        self._wake.set()

    def _on_hurry(self) -> None:
        self._failures_before = self.breaker.failures
        self._internal_failures_before = self._internal_failures
        if self._state == STANDBY or (self._state == RESTING and self._is_active()):
            self._state = STARTING  # the other process may have finished, or the plugin was restarted
        if (pipeline := self.pipeline) is not None:
            pipeline.look_again()
        self.breaker.hurry()
        self._wake.set()

    def _on_calm(self) -> None:
        """Nothing to do: the next wait is as long as usual again."""

    def is_hopeless(self) -> bool:
        """Say whether waiting is no use."""
        if self._state in (RESTING, STANDBY, STOPPED):
            return True
        if self._internal_failures > max(1, self._internal_failures_before):
            return True
        return self.breaker.state != CLOSED and self.breaker.failures > self._failures_before

    def position(self, writer: str) -> int:
        """Return how far a writer is delivered, as a sequence number."""
        return self.ledger().position(writer)

    def ledger(self) -> Ledger:
        """Return the backend's ledger; while another process delivers, as that process last stored it."""
        pipeline = self.pipeline
        return pipeline.ledger if pipeline is not None else self._read_ledger()

    def ask_to_stop(self) -> None:
        """Have the thread end after the current batch. Returns at once."""
        self._stopping = True
        self._wake.set()

    def is_running(self) -> bool:
        """Say whether the thread has not ended yet."""
        return self._thread.is_alive()

    def stop(self, timeout: float) -> bool:
        """Stop after the current batch, or after ``timeout`` seconds. What is booked is stored."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout))
        self._abandoned = True
        if self.pipeline is not None:
            self.pipeline.save()
        return not self._thread.is_alive()

    def status(self) -> dict[str, Any]:
        """Return the worker's state and counts, as JSON can hold them."""
        pipeline, ledger = self.pipeline, self.ledger()
        behind = pipeline.behind_since if pipeline is not None else None
        return {
            "state": self._state,
            "delivered": ledger.delivered,
            "excluded": ledger.excluded,
            "dropped": ledger.dropped,
            "retries": pipeline.retries if pipeline is not None else ledger.retries,
            "error": self.error or (pipeline.error if pipeline is not None else ledger.error),
            "breaker": self.breaker.state,
            "lag_s": max(0.0, time.time() - behind) if behind is not None else 0.0,
        }

    # -- the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._may_end():
                self._take_turn()
            if self.pipeline is not None:
                self.pipeline.close()
        finally:
            self._lease.release()
            self._move(STOPPED)

    def _may_end(self) -> bool:
        """Say whether to end now: a batch that is not failing is completed first."""
        if self._abandoned:
            return True
        has_batch = self.pipeline is not None and self.pipeline.plan is not None
        is_failing = self.breaker.failures or self._internal_failures or self._state == RESTING
        return self._stopping and not (has_batch and not is_failing)

    def _take_turn(self) -> None:
        try:
            if self._may_deliver():
                self._work()
                self._internal_failures = 0
        except PluginError as error:
            self._rest(error)
        except (
            Exception
        ) as error:  # the disk, the journal's contents, or a fault of the host: report it and retry
            self._fail_internally(error)

    def _may_deliver(self) -> bool:
        """Say whether it is this worker's turn: the plugin is active, and no other process delivers."""
        if not self._is_active():
            self._move(RESTING)
            if getattr(self._manager.handle(self.name).failure, "step", None) in STARTING_STEPS:
                self.on_failed_restart()
            self._wake.wait(self.settings.standby_poll)
            return False
        if self._state == RESTING:
            self._reconfigured = True  # the plugin was restarted
        held = self._lease.beat() or self._lease.acquire()
        if not held:
            self.error = self._lease.describe_holder()
            self.pipeline = None  # the other process moves the cursor, which is read again at the next turn
            follows = self.predecessor is not None and self.predecessor.is_running()
            self._move(STARTING if follows else STANDBY)
            self._wake.wait(self.settings.poll_longest if follows else self.settings.standby_poll)
        return held

    def _is_active(self) -> bool:
        return self._manager.plugins[self.name].state is PluginState.ACTIVE

    def _work(self) -> None:
        pipeline = self.pipeline = self.pipeline or self._make_pipeline()
        if self._reconfigured:
            self._take_up_changes(pipeline)
        if self._waiting:
            self.breaker.hurry(self.settings.retry_longest_ending)
        if (wait := self.breaker.wait()) > 0:
            self._move(RETRYING)
            pipeline.save()
            self._wake.wait(wait)
            return
        if not self._waiting and (wait := pipeline.gather()) > 0:
            self._move(GATHERING)
            pipeline.save_if_due()
            self._keep_alive.call_if_due()
            self._wake.wait(wait)
            return
        began = time.monotonic()
        if pipeline.step():
            self.pace.worked(time.monotonic() - began)
            self._move(RETRYING if self.breaker.failures else DELIVERING)
        else:
            self.pace.looked(time.monotonic() - began)
        self.error = None
        if pipeline.caught_up():
            self._move(IDLE)
            pipeline.save_if_due()
            if not self._waiting:
                self._keep_alive.call_if_due()
            self._wake.wait(self.settings.poll_shortest if self._waiting else self.pace.rest())

    def _take_up_changes(self, pipeline: Pipeline) -> None:
        self._reconfigured = False
        self.error = None
        self.breaker.reset()
        pipeline.reconfigure()
        self._move(DELIVERING)

    def _rest(self, error: PluginError) -> None:
        """Stop trying: the backend hangs, its credentials are wrong, or its hook is broken. The journal keeps all."""
        self.error = redact(str(error))
        self._manager.fail(self.name, error.step or "delivery", error)
        if self.pipeline is not None:
            self.pipeline.save()
        self._move(RESTING)

    def _fail_internally(self, error: Exception) -> None:
        self._internal_failures += 1
        message = redact(f"delivery to {self.name!r}: {describe(error)}")
        if message != self.error:
            trace = "" if isinstance(error, (OSError, TraceletError)) else "\n" + format_exception(error)
            log.error("%s; retried every %g s%s", message, _PAUSE, trace)
        self.error = message
        pipeline, self.pipeline = self.pipeline, None  # the current batch is read again
        if pipeline is not None:
            pipeline.save()
        self._move(RETRYING)
        self._wake.wait(_PAUSE if not self._waiting else self.settings.retry_longest_ending)

    def _move(self, state: str) -> None:
        with self._progress:
            self._state = state
            self._progress.notify_all()
