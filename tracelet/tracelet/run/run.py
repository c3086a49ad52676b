"""A run: what a program records into."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import PluginError
from tracelet.run import accounts
from tracelet.run.budget import Budget
from tracelet.run.job import Job
from tracelet.run.null_writer import NullWriter
from tracelet.run.plugins import RunPlugins
from tracelet.run.recording import Recording

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.host.plugins import PluginManager
    from tracelet.journal import Writer

log = logging.getLogger("tracelet.run")

START_TIMEOUT: Final = 5.0  # seconds that start_run waits for plugins that were asked for
FINISH_TIMEOUT: Final = 30.0  # seconds that finish may take, delivery included
FLUSH_TIMEOUT: Final = 10.0


class Run(Recording):
    """One recorded execution of a program. Made by :func:`tracelet.start_run`; ends the run as a context manager.

    The recording methods append to the journal, in memory that the operating system owns, and return: what they
    recorded survives a kill of the process. They may be called from any thread, and in forked children.
    """

    def __init__(
        self,
        *,
        run_id: str,
        name: str,
        run_dir: Path,
        config: Config,
        writer: Writer,
        started_at: float,
        plugins: Sequence[Any] = (),
        program: Path | None = None,
        job: Job | None = None,
    ) -> None:
        # What the program logs on ranks that do not record goes nowhere, at once.
        super().__init__(
            run_dir, writer if _records(job, config) else NullWriter(), records=_records(job, config)
        )
        self.id = run_id
        self.name = name
        self.project = config.project
        self.started_at = started_at
        self.outcome: str | None = None
        self.due: dict[str, Any] = {}
        self.config = config
        self.job = job
        self.writer = writer
        #: Set while the program that made the run has not yet called start_run itself (``tracelet run``).
        self.adoptable = False
        #: The largest step recorded before a resumed run went on, ``None`` in a new one.
        self.last_step: int | None = None
        self._pid = os.getpid()
        self._error: str | None = None
        self._open = [True]  # whoever pops it ends the run: no lock, since SIGTERM may come in the middle
        self.host = RunPlugins(self, config, plugins, program)
        self.budget = Budget(self, config.settings.get("budget"))

    def rename(self, name: str | None = None, project: str | None = None) -> None:
        """Give the run another name, or put it into another project."""
        changed = {key: value for key, value in (("name", name), ("project", project)) if value}
        if changed:
            self.name, self.project = name or self.name, project or self.project
            self._recorder.event("run", changed)

    # -- asking ----------------------------------------------------------------------------------------

    @property
    def manager(self) -> PluginManager:
        """The run's plugin manager. Waits until the plugins that were asked for have been started."""
        self.host.wait(self.host.asked, START_TIMEOUT)
        if self.host.manager is None:
            raise PluginError("the run's plugins have not been started yet; see run.status()")
        return self.host.manager

    def status(self) -> dict[str, Any]:
        """Return what there is to know of the run now: records, losses, plugins with their costs, delivery."""
        host = self.host
        host.wait(host.ready, 1.0)
        return {
            "id": self.id,
            "name": self.name,
            "project": self.project,
            "dir": str(self.dir),
            "outcome": self.outcome,
            "recorded": self.writer.recorded,
            "dropped": self.writer.dropped,
            "plugins": host.manager.get_status()["plugins"] if host.manager is not None else {},
            "collecting": host.collecting.status() if host.collecting is not None else {},
            "delivery": host.delivery.status() if host.delivery is not None else {},
            "overhead": self.budget.status(),
            "problems": host.failures(),
        }

    def wait_started(self, timeout: float = START_TIMEOUT) -> bool:
        """Wait until every plugin has been started, or has failed to, no longer than ``timeout`` seconds."""
        return self.host.wait(self.host.ready, timeout)

    # -- plugins while the run goes on -----------------------------------------------------------------

    def add_plugin(self, plugin: Any, config: Mapping[str, Any] | None = None) -> bool:
        """Switch a plugin on while the run goes on: a known name, a class, an instance or a module.

        A backend gets every point of the run, also those recorded before. Returns whether it is active.
        """
        manager = self.manager
        name = plugin if isinstance(plugin, str) else manager.register_plugin(plugin).name
        active = manager.start_plugins({name: config})[name]
        if active:
            self.host.call_all("run_started", [name], run=self)
            self.host.attach(name)
        return active

    def remove_plugin(self, name: str) -> bool:
        """Switch a plugin off while the run goes on. What is due to a backend stays in the journal."""
        if self.host.collecting is not None:
            self.host.collecting.remove(name)
        if self.host.delivery is not None:
            self.host.delivery.remove(name)
        return self.manager.stop_plugin(name)

    # -- ending ----------------------------------------------------------------------------------------

    def flush(self, durable: bool = False, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until the backends have what was recorded so far, no longer than ``timeout`` seconds.

        ``durable=True`` also waits until it is on the disk, safe from a loss of power. Returns whether all of it is
        delivered; what is not stays in the journal.
        """
        if durable:
            self.writer.sync()
        host = self.host
        end = time.monotonic() + timeout
        host.wait(host.asked, timeout)
        if host.delivery is None:
            return True
        return bool(host.delivery.flush(max(0.0, end - time.monotonic())))

    def finish(
        self, outcome: str = "finished", timeout: float | None = None, *, error: str | None = None
    ) -> dict[str, Any]:
        """End the run. Always returns, within about ``timeout`` seconds (30, ``finish_timeout``).

        Returns what is still due, per backend; it stays in the journal, and ``tracelet sync`` delivers it later.
        A second call does nothing.
        """
        if os.getpid() != self._pid:
            self.writer.close()  # a forked child ends its own part; the run is its parent's to end
            return {}
        try:
            self._open.pop()
        except IndexError:
            return self.due
        self.outcome, self._error = outcome, error
        if timeout is None:
            timeout = float(self.config.settings.get("finish_timeout", FINISH_TIMEOUT))
        started = time.monotonic()
        if self._has_content() and not self.host.wait(self.host.ready, timeout / 2):
            self.host.tell_unstarted()
        left = max(0.0, timeout - (time.monotonic() - started))
        self.budget.stop()
        self.due = self.host.finish(outcome, left, lambda: self._close(outcome, error))
        delivery = self.host.delivery.status() if self.due and self.host.delivery is not None else {}
        for backend, what in self.due.items():
            error = delivery.get(backend, {}).get("error")
            why = f" ({error})" if error else ""
            log.warning(
                "run %s: still due to %s: %s%s; run: tracelet sync %s", self.id, backend, what, why, self.id
            )
        return self.due

    def cut_short(self) -> None:
        """Close the journal with the outcome that a ``finish`` under way was given: the process is about to die."""
        if self.outcome is not None and os.getpid() == self._pid:
            self.writer.close(self.outcome, self._error)

    def _close(self, outcome: str, error: str | None) -> None:
        accounts.record(self)
        self.writer.close(outcome, error)

    def _has_content(self) -> bool:
        """Whether it is worth waiting for plugins: somebody asked for one, or something was recorded."""
        return self.host.awaited or self.writer.recorded > 0

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome, text = outcome_of(error)
        self.finish(outcome, error=text)

    def __repr__(self) -> str:
        return f"<Run {self.name} ({self.id}), {self.outcome or 'running'}>"


def _records(job: Job | None, config: Config) -> bool:
    """Whether what the program logs on this rank is recorded: on rank zero, unless ``ranks`` says otherwise."""
    ranks = config.settings.get("ranks", (0,))
    return job is None or ranks is None or job.rank in ranks


def outcome_of(error: BaseException | None) -> tuple[str, str | None]:
    """Return the outcome that an exception leaving the run's block stands for, and its text."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished", None
    from tracelet.secrets import redact

    text = str(error).strip()
    return "failed", redact(f"{type(error).__name__}: {text}" if text else type(error).__name__)
