"""A run: what a program records into."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import PluginError, UsageError
from tracelet.host.worker import refuse_in_plugin
from tracelet.journal import NullRecorder
from tracelet.journal.writing.values import short
from tracelet.logs import get_logger
from tracelet.run import plugin_threads
from tracelet.run.budget import Budget, CallSampler
from tracelet.run.context import RunContext
from tracelet.run.describing import Describing
from tracelet.run.run_plugins import RunPlugins
from tracelet.run.stderr import warn

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager
    from tracelet.run.job import Job

log = get_logger("tracelet.run")

START_TIMEOUT: Final = 5.0  # seconds that start_run waits for plugins that were asked for
FINISH_TIMEOUT: Final = 30.0  # seconds that finish may take, delivery included
FLUSH_TIMEOUT: Final = 10.0
_LONGEST_OUTCOME: Final = 1000  # characters
_LONGEST_ERROR: Final = 100_000  # characters
# A secret that is cut in two may not look like one any more.
_CUT_WORD: Final = re.compile(r"\S{1,500}\Z")
_CUT_WORD_AT_START: Final = re.compile(r"\A\S{1,500}")
_INTERRUPTS: Final = 10  # times that Ctrl-C may interrupt the closing of the journal


class Run(Describing):
    """One recorded execution of a program. Returned by :func:`tracelet.start_run`; as a context manager it ends itself.

    The recording methods append to the journal, in memory that the operating system owns, and return: what they
    recorded survives a kill of the process. They may be called from any thread and in forked children.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        name: str,
        started_at: float,
        plugins: Sequence[Any] = (),
        program: Path | None = None,
    ) -> None:
        # On a rank that does not record, the calls check their values and return.
        recorder = context.writer if context.records else NullRecorder()
        super().__init__(
            context.dir,
            recorder,
            name=name,
            project=context.config.project,
            records=context.records,
            strict=bool(context.config.strict),
        )
        self._context = context
        self.id = context.id
        self.started_at = started_at
        #: The file that the program was started with, if it is known.
        self.script = program
        self.outcome: str | None = None
        #: What backends had not received yet when the run ended.
        self.pending: dict[str, Any] = {}
        self.config = context.config
        self.job = context.job
        self.writer = context.writer
        #: Set while the program inside ``tracelet run`` has not called start_run itself.
        self.adoptable = False
        #: The largest step recorded before a resumed run went on, ``None`` in a new one.
        self.last_step: int | None = None
        #: Whether the journal is closed, the last thing to happen to a run.
        self.is_closed = False
        self._pid = os.getpid()
        self._error: str | None = None
        #: Called, in order, before the run ends, while it still records.
        self.before_end: list[Callable[[], None]] = []
        self._open = [True]  # whoever pops it ends the run: no lock, since SIGTERM may come in the middle
        self.plugins = RunPlugins(context, self, plugins, program)
        sampler = CallSampler(self._point, self._row, self._use_calls)
        self.budget = Budget(context, self.plugins, sampler, context.config.settings.get("budget"))

    def _use_calls(self, point: Callable[..., None], row: Callable[..., None]) -> None:
        self._point, self._row = point, row

    def adopt(self) -> None:
        """Let the program inside ``tracelet run`` take over the run: ranks that it launches have their own run."""
        self.adoptable = False
        self.writer.event("adopted", {})

    def settle_name(self) -> None:
        """Let backends have the run: its name and project are those that the program wants."""
        self.plugins.naming.settle()

    # -- state -----------------------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether the functions of the module, called here and now, would record into this run."""
        return any(active() is self for active in plugin_threads.active_run)

    @property
    def is_part(self) -> bool:
        """Whether this process is a rank above zero, so that its end says nothing of how the run went."""
        return self.job is not None and self.job.rank != 0

    @property
    def writer_states(self) -> dict[str, tuple[str, float]]:
        """The state of each process that wrote to the run, and when it was last seen (seconds since the epoch)."""
        from tracelet.journal.reading.lifetime import writer_states

        return writer_states(self.dir)

    @property
    def manager(self) -> PluginManager:
        """The run's plugin manager. Waits until the plugins that were asked for have been started."""
        self.plugins.wait(self.plugins.asked, START_TIMEOUT)
        if self.plugins.manager is None:
            raise PluginError("the run's plugins have not been started yet; see run.status()")
        return self.plugins.manager

    def status(self) -> dict[str, Any]:
        """Return the state of the run now: records, losses, plugins with their costs, delivery."""
        plugins = self.plugins
        plugins.wait(plugins.ready, 1.0)
        return {
            "id": self.id,
            "name": self.name,
            "project": self.project,
            "dir": str(self.dir),
            "outcome": self.outcome,
            "recorded": self.writer.recorded,
            "dropped": self.writer.dropped,
            "plugins": plugins.manager.get_status()["plugins"] if plugins.manager is not None else {},
            "collecting": plugins.collecting.status() if plugins.collecting is not None else {},
            "delivery": plugins.delivery.status() if plugins.delivery is not None else {},
            "overhead": self.budget.status(),
            "problems": plugins.failures(),
        }

    def wait_started(self, timeout: float = START_TIMEOUT) -> bool:
        """Wait until every plugin has started or failed, no longer than ``timeout`` seconds."""
        return self.plugins.wait(self.plugins.ready, timeout)

    # -- plugins during the run ------------------------------------------------------------------------

    def add_plugin(self, plugin: Any, config: Mapping[str, Any] | None = None) -> bool:
        """Start a plugin during the run: a known name, a class, an instance or a module.

        A backend gets every point of the run, also those recorded before. Returns whether it is active.
        """
        return bool(self.manager) and self.plugins.add(plugin, config)

    def add_automagic(self) -> None:
        """Start the framework plugins during the run, as the setting ``automagic`` does at its start."""
        for name in self.manager.automagic_plugins():
            self.plugins.add(name, None)

    def remove_plugin(self, name: str) -> bool:
        """Stop a plugin during the run. What is pending for a backend stays in the journal."""
        return bool(self.manager) and self.plugins.remove(name)

    def block_plugin(self, name: str) -> None:
        """Stop what ``no:NAME`` means, and start it no more."""
        self.wait_started()
        for each in self.manager.switch_off(name):
            self.plugins.remove(each)

    # -- the end ---------------------------------------------------------------------------------------

    def flush(self, durable: bool = False, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until the backends have what was recorded so far, no longer than ``timeout`` seconds.

        ``durable=True`` also waits until it is on the disk, safe from a loss of power. Returns whether everything
        was delivered, also to backends that have not started yet; the rest stays in the journal.

        Raises:
            UsageError: ``durable`` is a number, or ``timeout`` is none.
        """
        _check_timeout("flush", timeout)
        if isinstance(durable, (int, float)) and not isinstance(durable, bool):
            raise UsageError(
                f"flush: durable: expected True or False, found {durable}; for seconds: timeout={durable}"
            )
        if durable:
            self._sync_files()
            self.writer.sync()
        plugins = self.plugins
        end = time.monotonic() + timeout
        self.settle_name()
        have_started = plugins.wait(plugins.asked, timeout)
        if plugins.delivery is None:
            return have_started
        return bool(plugins.delivery.flush(max(0.0, end - time.monotonic()))) and have_started

    def finish(
        self, outcome: str = "finished", timeout: float | None = None, *, error: str | None = None
    ) -> dict[str, Any]:
        """End the run. Always returns, within about ``timeout`` seconds (30, ``finish_timeout``).

        Returns what is pending, per backend; it stays in the journal, and ``tracelet sync`` delivers it later.
        A second call does nothing.

        Raises:
            UsageError: the outcome is not a text, or the timeout is not a number. The run is still open.
        """
        _check_outcome(outcome)
        _check_timeout("finish", timeout)
        error = recorded_error(error)
        refuse_in_plugin("finish", "let the program do it, for example when it sees a flag")
        if os.getpid() != self._pid:
            self.writer.close()  # a forked child ends its own part; the run is its parent's to end
            return {}
        try:
            self._open.pop()
        except IndexError:
            return self.pending
        try:
            self._end(outcome, timeout, error)
        except BaseException:  # Ctrl-C while it waits: the run has ended all the same
            self.close_at_once(outcome, error)
            self._report_interrupted()
            raise
        self._raise_hook_failures()
        return self.pending

    def _raise_hook_failures(self) -> None:
        strict = self.config.strict
        if not strict or self.outcome != "finished" or getattr(self.writer, "is_exiting", False):
            return
        if failures := self.plugins.hook_failures(every=strict == "all"):
            raise PluginError("; ".join(failures))

    def _end(self, outcome: str, timeout: float | None, error: str | None) -> None:
        for callback in self.before_end:
            try:
                callback()
            except Exception:  # what it could not record must not keep the run from ending
                log.exception("run %s: a call before its end failed", self.id)
        self.outcome, self._error = outcome, error
        if timeout is None:
            timeout = float(self.config.settings.get("finish_timeout", FINISH_TIMEOUT))
        started = time.monotonic()
        if self._has_content() and not self.plugins.wait(self.plugins.ready, timeout / 2):
            self.plugins.report_unstarted()
        left = max(0.0, timeout - (time.monotonic() - started))
        self.budget.stop()
        self.pending = self.plugins.finish(outcome, left, self._close)
        self._report_pending()
        self._report_losses()
        if self.job is not None and not self._context.records:
            self._report_missing_rank(self.job)

    def close_at_once(self, outcome: str, error: str | None) -> None:
        """Close the journal if ``finish`` has begun and not come to that: it was interrupted, or the process dies now.

        The outcome given to ``finish`` counts; ``outcome`` and ``error`` are for one interrupted before it kept them.
        """
        if self._open or os.getpid() != self._pid:
            return
        if self.outcome is None:
            self.outcome, self._error = outcome, error
        for _ in range(_INTERRUPTS):
            try:
                self.writer.close(self.outcome, self._error)
                self.is_closed = True
                return
            except KeyboardInterrupt:  # again: this is quick, so it is finished first
                continue

    def _close(self) -> None:
        self.plugins.record_costs(self.budget.status())
        self.writer.close(self.outcome, self._error)
        self.is_closed = True

    def _report_missing_rank(self, job: Job) -> None:
        """Report a job of which no rank records: a RANK that is left over hides everything that a program logs."""
        from tracelet.run.claims import has_writer_of

        ranks = self.config.settings.get("ranks", (0,))
        with contextlib.suppress(OSError):
            if not has_writer_of(self.dir, ranks):
                log.warning(
                    "run %s: rank %d of %d (%s) recorded nothing, and rank %s, which records, has not joined the run in"
                    " this folder; it may be on another host. If the variables of %s are left over from another job,"
                    " unset them",
                    *(self.id, job.rank, job.world_size, job.launcher),
                    *(" or ".join(map(str, ranks)), job.launcher),
                )

    def _report_interrupted(self) -> None:
        if self.plugins.delivery is not None:
            warn(f"run {self.id}: interrupted while it ended; run: tracelet sync {self.id}")

    def _report_pending(self) -> None:
        delivery = self.plugins.delivery
        states = delivery.status() if self.pending and delivery is not None else {}
        for backend, what in self.pending.items():
            error = states.get(backend, {}).get("error")
            why = f" ({error})" if error else ""
            warn(f"run {self.id}: {what} pending for {backend}{why}; run: tracelet sync {self.id}")

    def _report_losses(self) -> None:
        """Report what was lost, unless the log has shown it."""
        if log.disabled and (lost := self.writer.dropped):
            reasons = ", ".join(f"{count} ({reason})" for reason, count in lost.items())
            warn(f"run {self.id}: could not record {reasons}; see: tracelet show {self.id}")

    def _has_content(self) -> bool:
        """Whether it is worth waiting for plugins: one was requested, or something was recorded."""
        return self.plugins.awaited or self.writer.recorded > 0

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome, text = outcome_of(error)
        self.finish(outcome, error=text)

    def __repr__(self) -> str:
        return f"<Run {self.name} ({self.id}), {self.outcome or 'running'}>"


class DisabledRun(Run):
    """The run of ``TRACELET_MODE=disabled``: takes every call, records nothing, touches no file, starts no plugin."""

    def add_plugin(self, plugin: Any, config: Mapping[str, Any] | None = None) -> bool:
        """Start nothing."""
        return False

    def remove_plugin(self, name: str) -> bool:
        """Stop nothing."""
        return False


def outcome_of(error: BaseException | None) -> tuple[str, str | None]:
    """Return the outcome of a block that this exception leaves, and the exception as text."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished", None
    cause = error.__context__
    if isinstance(error, SystemExit) and isinstance(error.code, int) and isinstance(cause, Exception):
        error = cause  # a launcher caught it, printed it and exits
    text = str(error).strip()
    return "failed", recorded_error(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def recorded_error(error: Any) -> str | None:
    """Return the error of a run as it is recorded: without secrets, and with the middle left out if it is long.

    It is cut before it is searched for secrets, since an exception may hold megabytes of data.
    """
    if error is None:
        return None
    from tracelet.secrets import redact

    text = str.__str__(error) if isinstance(error, str) else str(error)
    if len(text) <= _LONGEST_ERROR:
        return redact(text)
    half = _LONGEST_ERROR // 2
    head, tail = _CUT_WORD.sub("", text[:half]), _CUT_WORD_AT_START.sub("", text[-half:])
    left_out = len(text) - len(head) - len(tail)
    return f"{redact(head)}\n... {left_out:,} characters left out ...\n{redact(tail)}"


def _check_outcome(outcome: Any) -> None:
    """Raise UsageError for what is not an outcome, such as the exit status that other trackers take."""
    if not isinstance(outcome, str) or not 0 < len(outcome) <= _LONGEST_OUTCOME:
        found = f"{short(outcome)}; for a run that failed, call finish('failed')"
        raise UsageError(f"finish: expected an outcome (a text such as 'finished'), found {found}")


def _check_timeout(call: str, timeout: Any) -> None:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
        raise UsageError(f"{call}: expected a timeout in seconds, found {short(timeout)}")
