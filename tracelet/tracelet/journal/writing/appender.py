"""Provides a writer with a stream to append to, through forks, outages, a deleted folder and the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracelet.errors import NoActiveRunError
from tracelet.journal.events import encode_event
from tracelet.journal.writing.maintenance import INTERVAL, BackgroundThread, Maintenance
from tracelet.journal.writing.outages import OutageTracker
from tracelet.journal.writing.pending_events import PendingEvents
from tracelet.journal.writing.process_hooks import close_at_exit, forget, remember
from tracelet.journal.writing.slot_writer import WindowTable
from tracelet.journal.writing.stream import State, Stream
from tracelet.journal.writing.unavailable import AbandonedError, ReplacedError, UnavailableError

_ATTEMPTS = 4  # a replaced file, a skipped segment and the end of an outage may coincide
_TURN = 0.006  # seconds: slightly more than the interval at which the interpreter switches threads
_TURNS = 0.1  # seconds at most for all of them


class Process:
    """Represents this process, as opposed to the one it was forked from."""

    def __init__(self) -> None:
        self.streams: dict[int, Stream] = {}


class Appender:
    """The slow path of a writer: which stream it uses, and in what state.

    There are no locks to wait for. If two threads reach the same step at once, both perform it, and one
    ``setdefault`` or ``pop`` decides whose result counts.
    """

    def __init__(
        self,
        run_dir: Path,
        facts: Mapping[str, Any],
        *,
        owner: str | None = None,
        mapped: bool | None = None,
        last_steps: Mapping[str, int] | None = None,
    ) -> None:
        """Start a journal file in a run's folder (created if missing).

        Args:
            run_dir: the run's folder.
            facts: what the ``writer`` event says besides what identifies the process: run, rank, ...
            owner: the writer id of the process that started the run, None for that process itself.
            mapped: whether to map files; None asks the file system.
            last_steps: the largest step seen so far of each metric, for a run that is resumed.
        """
        self.run_dir = Path(run_dir)
        self.owner = owner
        self._facts = dict(facts)
        self._mapped = mapped
        self._steps: Callable[[], Mapping[str, int]] = dict(last_steps or {}).copy
        self._close_tokens = [True]  # whoever pops it closes
        self._closed = False
        self.is_exiting = False
        self._start_over()
        self._begin()
        remember(self)
        self._attempt(get_ready, self._state)

    def _start_over(self) -> None:
        """Forget what belongs to another process."""
        self._process = Process()
        self._thread = BackgroundThread(self._tick)
        self._outage = OutageTracker()
        self._pending = PendingEvents()
        self._earlier = 0  # points recorded in earlier files
        self._seen = 0  # points in the current file when it was last seen in its place
        self._maintenance = Maintenance(self.run_dir, self._outage)
        self._forked = False
        self._is_slow = False
        self._try_thread_at = 0.0
        self._state = self._no_state()

    def _no_state(self) -> State:
        return iter(()), WindowTable(self._process), {}, {}

    # --- writing -----------------------------------------------------------------------------------------

    def _attempt(self, write: Callable[[Stream], object], state: State) -> UnavailableError | None:
        """Write, and recover from faults if possible; return the fault otherwise."""
        fault: UnavailableError | None = None
        for _ in range(_ATTEMPTS):
            if self._is_forked_copy(state):
                return None
            try:
                fault = self._get_ready()
                if fault is None:
                    write(self._stream)
                    self._choose_path(self._stream)
                return fault
            except AbandonedError:
                return None
            except UnavailableError as error:
                fault = error.bare()
                if not self._overcome(fault):
                    return fault
        return fault

    def _choose_path(self, stream: Stream) -> None:
        """Leave the fast path while windows cannot be mapped: each call would waste a slot to find that out.

        Leave it while there is no background thread, too, so that the calls can try to start one.
        """
        if self._thread.is_missing:
            self._replace_thread(stream)
        is_slow = stream.slots.is_short or self._thread.is_missing
        if is_slow is not self._is_slow:
            self._is_slow = is_slow
            self._state = self._no_state() if self._thread.is_missing else stream.state

    def _replace_thread(self, stream: Stream) -> None:
        """Try to start the background thread; until that works, write heartbeats on a caller's thread."""
        now = time.monotonic()
        if now >= self._try_thread_at:
            self._try_thread_at = now + INTERVAL
            self._thread.start()
            if self._thread.is_missing:
                self._maintenance.beat(stream)

    def _is_forked_copy(self, state: State) -> bool:
        """Say whether the call that began in this state is a child's copy of one that the parent finishes."""
        return state[1].process is not self._process

    def _get_ready(self) -> UnavailableError | None:
        """Make sure there is a stream to write to; return the fault if it is too early to retry."""
        if self._closed:
            raise self._closed_error()
        if self._forked:
            self._begin()
            close_at_exit(self)
        fault = self._outage.fault
        if fault is not None:
            if not self._outage.may_retry():
                return fault
            self._resume(self._stream)
        return None

    def _overcome(self, fault: UnavailableError) -> bool:
        """Say whether another attempt may succeed at once; if not, there is an outage."""
        if isinstance(fault, ReplacedError) or self._stream.skip_segment(fault):
            return True
        self._outage.begin(fault, str(self.run_dir))
        self._state = self._no_state()
        return False

    def _closed_error(self) -> BaseException:
        if self.is_exiting and threading.current_thread() is not threading.main_thread():
            return SystemExit()  # a daemon thread: it ends here without a traceback
        name = self.run_dir.name
        return NoActiveRunError(f"the journal of run {name!r} is closed: log before the run is finished")

    # --- beginning ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Switch to a new stream; the first attempt to write creates its file."""
        self._outage.fault = UnavailableError("not open")
        self._outage.retry_now()
        self._state = self._no_state()
        self._stream = self._new_stream()
        self._forked = False
        self._thread.start()

    def _new_stream(self) -> Stream:
        """Return the process's next stream: the same one to all threads that ask at the same time."""
        process = self._process
        number = sum(stream.is_retired for stream in list(process.streams.values()))
        facts = {**self._facts, "owner": self.owner}
        stream = Stream(
            self.run_dir,
            facts,
            self._steps(),
            mapped=self._mapped,
            on_window=self._thread.wake,
            process=process,
        )
        return process.streams.setdefault(number, stream)

    def _resume(self, stream: Stream) -> None:
        """Start recording, or resume after an outage."""
        stream.open()
        self._pending.write(stream)
        self._record_drops(stream)
        self._outage.end()
        self._state = stream.state
        if self._closed or stream.is_retired:
            self._state = self._no_state()

    def _record_drops(self, stream: Stream) -> None:
        drops = self._outage.unrecorded_drops()
        if drops is not None:
            stream.write_event(encode_event("drops", {"drops": drops}), time.time())
            self._outage.drops_recorded(drops)

    # --- background work
    # --------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """One round of the background thread."""
        if self._closed or self._forked:
            return
        try:
            if self._outage.fault is None:
                self._maintenance.look_ahead(self._stream)
                self._choose_path(self._stream)
                if self._maintenance.is_sync_due():
                    self._look_for_deletion(self._stream)
                    self._maintenance.keep_safe(self._stream)
            else:
                self._attempt(get_ready, self._state)
            if not self._closed:
                self._maintenance.beat(self._stream)
        except NoActiveRunError:
            return  # closed in the meantime
        self._outage.report()

    def _look_for_deletion(self, stream: Stream) -> None:
        """Begin a new file if the current one was deleted."""
        try:
            deleted = stream.is_deleted()
        except OSError:  # the file server does not answer: the file may still exist, so keep it
            return
        if not deleted:
            self._seen = stream.recorded
        elif stream.claim_end():
            self._steps = stream.metrics.steps
            lost = max(0, stream.retire(ReplacedError) - self._seen)
            self._earlier += stream.recorded - lost
            self._seen = 0
            self._outage.drop(ReplacedError().reason, lost)
            self._outage.warn(f"{self.run_dir}: the folder was deleted; recording starts again in a new one")
            self._pending.restore()
            self._begin()

    # --- ending ------------------------------------------------------------------------------------------

    def close(self, outcome: str | None = None, error: str | None = None) -> None:
        """Record the outcome, release reserved space, and stop. Closing again does nothing."""
        try:
            self._close_tokens.pop()
        except IndexError:
            return
        try:
            self._close(encode_event("outcome", {"outcome": outcome, "error": error}))
        except BaseException:
            self._close_tokens.append(True)
            raise

    def _close(self, outcome: bytes) -> None:
        opened = not self._forked
        if opened and not self._closed:  # else a first attempt was interrupted after this
            self._outage.retry_now()
            self._look_for_deletion(self._stream)
            self._attempt(get_ready, self._state)
        self._closed = True
        self._state = self._no_state()
        if opened:
            _let_others_finish()
        self._thread.stop()
        if opened:
            self._end(self._stream, outcome)
        self._outage.report()
        forget(self)

    def _end(self, stream: Stream, outcome: bytes) -> None:
        try:
            if self._outage.fault is not None:
                raise UnavailableError(self._outage.fault.reason)
            if not stream.is_retired:
                stream.list_names()
                self._record_drops(stream)
                stream.end(outcome, self._closed_error)
        except (OSError, UnavailableError) as error:
            stream.retire(self._closed_error)
            self._outage.warn_once(
                "end", f"{self.run_dir}: the end of the run could not be recorded ({error})"
            )
        except AbandonedError:
            return  # forked during close: the file is the parent's to finish

    def __del__(self) -> None:
        if not sys.is_finalizing() and hasattr(self, "_stream"):
            self.close()

    def after_fork(self) -> None:
        """In the child: leave the parent's file alone; the first record will open one of the child's own."""
        parent = self._stream
        parent.retire(AbandonedError)
        self._steps = parent.metrics.steps
        self.owner = self.owner or parent.id
        self._start_over()
        self._forked = True


def _let_others_finish() -> None:
    """Let calls that other threads have begun finish: each thread gets the interpreter once."""
    threads = list(
        getattr(threading, "_active", {}).values()
    )  # enumerate() takes a lock: this may be a signal handler
    busy = sum(not thread.name.startswith("tracelet ") for thread in threads) - 1
    if busy > 0:
        time.sleep(min(_TURN * (busy + 1), _TURNS))


def get_ready(_: Stream) -> None:
    """Write nothing: an attempt with this only gets the stream ready."""
