"""One backend's feed: the thread that keeps its line going."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.breaker import CLOSED, Breaker
from tracelet.delivery.pipeline.pace import Pace
from tracelet.delivery.pipeline.pipeline import Pipeline
from tracelet.delivery.pipeline.reader import Writers
from tracelet.delivery.waiting import (
    DELIVERING,
    IDLE,
    RESTING,
    RETRYING,
    STANDBY,
    STARTING,
    STOPPED,
    WaitableWorker,
    WakeEvent,
)
from tracelet.errors import PluginError, TraceletError
from tracelet.host.discovery import describe
from tracelet.secrets import format_exception, redact
from tracelet_hookspecs import PluginState, RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = logging.getLogger("tracelet.delivery")

_STUMBLED: Final = 5.0  # seconds, when the journal itself cannot be read


class BackendWorker(WaitableWorker):
    """Delivers one run to one backend, at least once and in order, until it is stopped.

    Its thread is a daemon and cannot hold up the end of the program. What it had not booked by then is still in the
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
    ) -> None:
        super().__init__(name)
        self.state = STARTING
        self.settings = settings or Settings()
        self.breaker = Breaker(self.settings)
        self.pipeline: Pipeline | None = None
        self.error: str | None = None
        #: The one before this, whose last call may still be going on.
        self.after: BackendWorker | None = None
        self._lease = Lease(run_dir, name, self.settings, manager.handle(name).deadline("log_metrics"))
        make = partial(Pipeline, manager, run, run_dir, name, writers=writers, settings=self.settings)
        self._make_pipeline = partial(make, breaker=self.breaker, is_ours=self._lease.beat)
        self._read_ledger = partial(Ledger, run_dir, name, strict=False)
        self._manager = manager
        self.pace = Pace(self.settings)
        self._stopping = self._abandoned = self._reconfigured = False
        self._failures_then = 0
        self._wake = WakeEvent()
        self._thread = threading.Thread(target=self._run, name=f"tracelet delivery {name}", daemon=True)

    # -- for other threads -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def slow_down(self) -> bool:
        """Rest twice as long between batches from now on. ``False`` where it is slow enough already."""
        return self.pace.slow_down()

    def reconfigure(self) -> None:
        """Take up changed routes, or a plugin that was mended or started anew."""
        if (pipeline := self.pipeline) is not None:
            pipeline.reconfigure()
        self._reconfigured = True
        self._wake.set()

    def _on_hurry(self) -> None:
        self._failures_then = self.breaker.failures
        if self.state == STANDBY or (self.state == RESTING and self._is_active()):
            self.state = STARTING  # the other process may be done by now, or the plugin was started anew
        if (pipeline := self.pipeline) is not None:
            pipeline.look_again()
        self.breaker.hurry()
        self._wake.set()

    def _on_calm(self) -> None:
        """Go on as before."""

    def is_hopeless(self) -> bool:
        """Say whether it is no use to wait."""
        if self.state in (RESTING, STANDBY, STOPPED):
            return True
        return self.breaker.state != CLOSED and self.breaker.failures > self._failures_then

    def position(self, writer: str) -> int:
        """Return how far a writer is delivered, as a sequence number."""
        return self.ledger().position(writer)

    def ledger(self) -> Ledger:
        """Return where the backend stands: with another process delivering, as of when that last stored it."""
        pipeline = self.pipeline
        return pipeline.ledger if pipeline is not None else self._read_ledger()

    def ask_to_stop(self) -> None:
        """Have the thread end once the batch under way is dealt with. Returns at once."""
        self._stopping = True
        self._wake.set()

    def is_under_way(self) -> bool:
        """Say whether its thread has not ended yet."""
        return self._thread.is_alive()

    def stop(self, timeout: float) -> bool:
        """Stop once the batch under way is dealt with, or after ``timeout`` seconds. What is booked gets stored."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout))
        self._abandoned = True
        if self.pipeline is not None:
            self.pipeline.save()
        return not self._thread.is_alive()

    def status(self) -> dict[str, Any]:
        """Return what there is to know of the feed, as JSON can hold it."""
        pipeline, ledger = self.pipeline, self.ledger()
        behind = pipeline.behind_since if pipeline is not None else None
        return {
            "state": self.state,
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
                self._turn()
            if self.pipeline is not None:
                self.pipeline.close()
        finally:
            self._lease.release()
            self._move(STOPPED)

    def _may_end(self) -> bool:
        """Whether to end here: a batch that goes well is seen through first."""
        if self._abandoned:
            return True
        under_way = self.pipeline is not None and self.pipeline.plan is not None
        return self._stopping and not (under_way and self.breaker.failures == 0 and self.state != RESTING)

    def _turn(self) -> None:
        try:
            if self._is_entitled():
                self._work()
        except PluginError as error:
            self._rest(error)
        except Exception as error:  # the disk, or a fault of the host's own: told, and tried again
            self._stumble(error)

    def _is_entitled(self) -> bool:
        """Whether it is this feed's turn: the plugin is at work, and nobody else delivers."""
        if not self._is_active():
            self._move(RESTING)
            self._wake.wait(self.settings.standby_poll)
            return False
        if self.state == RESTING:
            self._reconfigured = True  # it was started anew
        held = self._lease.beat() or self._lease.acquire()
        if not held:
            self.error = self._lease.told()
            self.pipeline = None  # where the other one stands is read anew when it is our turn
            follows = self.after is not None and self.after.is_under_way()
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
            self._wake.wait(self.settings.poll_shortest if self._waiting else self.pace.rest())

    def _take_up_changes(self, pipeline: Pipeline) -> None:
        self._reconfigured = False
        self.error = None
        self.breaker.reset()
        pipeline.reconfigure()
        self._move(DELIVERING)

    def _rest(self, error: PluginError) -> None:
        """It is no use to go on: the backend hangs, or its credentials are wrong. The journal keeps everything."""
        self.error = redact(str(error))
        self._manager.fail(self.name, error.step or "delivery", error)
        if self.pipeline is not None:
            self.pipeline.save()
        self._move(RESTING)

    def _stumble(self, error: Exception) -> None:
        told = redact(f"delivery to {self.name!r}: {describe(error)}")
        if told != self.error:
            trace = "" if isinstance(error, (OSError, TraceletError)) else "\n" + format_exception(error)
            log.error("%s; tried again every %g s%s", told, _STUMBLED, trace)
        self.error = told
        self.pipeline = None  # what was booked stands; what was under way is read again
        self._move(RETRYING)
        self._wake.wait(_STUMBLED)

    def _move(self, state: str) -> None:
        with self._progress:
            self.state = state
            self._progress.notify_all()
