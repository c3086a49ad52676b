"""The plugins of one run: started beside the training, attached to its journal, stopped at its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import PluginError, TraceletError
from tracelet.run import forking
from tracelet_hookspecs import BACKEND_HOOKS

if TYPE_CHECKING:
    from tracelet.collecting import Collecting
    from tracelet.config import Config
    from tracelet.delivery import Delivery
    from tracelet.host.plugins import PluginManager
    from tracelet.run.run import Run

log = logging.getLogger("tracelet.run")

_AFTER: Final = 1e-3  # seconds in which start_run returns to the program, before plugins want the interpreter
_SETTLING: Final = 0.5  # seconds that delivery may take before the journal is closed


class RunPlugins:
    """Starts plugins on a thread of its own, so that none of them can hold up the program.

    First those that somebody asked for, then those that are on by default. ``asked`` and ``ready`` are set when
    each of the two has been seen through.
    """

    def __init__(self, run: Run, config: Config, objects: Sequence[Any], program: Path | None) -> None:
        self.asked = threading.Event()
        self.ready = threading.Event()
        self.cancelled = threading.Event()
        self.ended = threading.Event()
        #: Whether somebody asked for a plugin, so that it is worth waiting for.
        self.awaited = False
        self.summary: list[str] = []
        self.errors: list[str] = []
        self.manager: PluginManager | None = None
        self.delivery: Delivery | None = None
        self.collecting: Collecting | None = None
        self._run = run
        self._config = config
        self._objects = objects
        self._program = program
        # One process of a job delivers, and one on each host measures it; nobody delivers while offline.
        self._deliver = config.mode == "online" and (run.job is None or run.job.rank == 0)
        self._collect = run.job is None or run.job.local_rank == 0
        self._thread = threading.Thread(target=self._start, name="tracelet host", daemon=True)

    def start(self) -> None:
        """Begin to start plugins."""
        forking.wait_for_imports()
        self._thread.start()

    def _start(self) -> None:
        try:
            if not self.cancelled.wait(_AFTER):
                self._start_plugins()
        except Exception as error:  # whatever it is, the training goes on
            self._report("the plugins could not be started", error)
        finally:
            self.asked.set()
            self.ready.set()
            if self.ended.is_set() and self.manager is not None:
                self.manager.stop_all_plugins()  # those that came up only after the run had ended

    def _report(self, what: str, error: Exception) -> None:
        from tracelet.secrets import format_exception, redact

        self.errors.append(redact(f"{what}: {error}"))
        trace = "" if isinstance(error, TraceletError) else "\n" + format_exception(error)
        log.error("%s%s", self.errors[-1], trace)

    def _start_plugins(self) -> None:
        from tracelet.collecting import Collecting
        from tracelet.host.plugins import PluginManager

        manager = PluginManager(config=self._config, program=self._program)
        self.collecting = Collecting(manager, self._run.writer)
        if self._deliver:
            from tracelet.delivery import Delivery

            self.delivery = Delivery(manager, self._run, self._run.dir)
        self.manager = manager
        names = self._register(manager)
        manager.discover_plugins()
        if self.cancelled.is_set():
            return
        self._activate(
            [*names, *(name for name, asked in manager.select_plugins(defaults=False).items() if asked)]
        )
        self.asked.set()
        if not self.cancelled.is_set():
            self._activate([name for name, asked in manager.select_plugins().items() if not asked])

    def _register(self, manager: PluginManager) -> list[str]:
        names = []
        for plugin in self._objects:
            try:
                names.append(manager.register_plugin(plugin).name)
            except TraceletError as error:
                self._report("start_run(plugins=...)", error)
        return names

    def _activate(self, names: Iterable[str]) -> None:
        """Start plugins and give each its work."""
        assert self.manager is not None
        from tracelet.delivery.attaching import start_and_attach

        wanted = [name for name in names if self._has_work(name)]
        start_and_attach(self.manager, wanted, self._run, self.attach, report=self._report_failure)

    def _has_work(self, name: str) -> bool:
        """Whether a plugin has anything to do in this process. A backend that is given nothing is not started."""
        if self._deliver and self._collect:
            return True
        assert self.manager is not None
        if not self.manager.load_plugin(name):
            return True  # starting it will tell why
        kind = self.manager.plugins[name].metadata.type.value
        return (kind != "backend" or self._deliver) and (kind != "collector" or self._collect)

    def attach(self, name: str) -> None:
        """Give an active plugin what its hooks are for: measurements to make, records to receive."""
        assert self.manager is not None
        assert self.collecting is not None
        handle = self.manager.handle(name)
        if self._collect and handle.implements("collect"):
            self.collecting.add(name)
        if self.delivery is not None and any(handle.implements(hook) for hook in BACKEND_HOOKS):
            self.delivery.add(name)

    def call_all(
        self, hook: str, names: Iterable[str], timeout: float | None = None, **kwargs: Any
    ) -> list[Any]:
        """Call a hook of several plugins, side by side, and return what they answered. Failures are told."""
        assert self.manager is not None
        from tracelet.delivery.attaching import call_each

        return call_each(self.manager, names, hook, timeout, report=self._report_failure, **kwargs)

    def _report_failure(self, error: PluginError) -> None:
        self.errors.append(str(error))
        log.warning("%s", error)

    def wait(self, event: threading.Event, timeout: float) -> bool:
        """Wait for a stage of starting, no longer than ``timeout`` seconds."""
        return event.wait(timeout)

    def tell_unstarted(self) -> None:
        """Say that the run ends before all plugins have started: these have got nothing."""
        run_id = self._run.id
        self.errors.append(
            f"run {run_id} ends while plugins are still being loaded or started; tracelet sync {run_id} delivers"
        )
        log.warning("%s", self.errors[-1])

    def failures(self) -> list[str]:
        """Return what is wrong with plugins that somebody asked for."""
        if self.manager is None:
            return list(self.errors)
        failed = [info.error for info in self.manager.plugins.values() if info.state.name == "ERROR"]
        return [*self.errors, *self.manager.problems, *(error for error in failed if error)]

    def finish(self, outcome: str, timeout: float, close: Callable[[], None]) -> dict[str, Any]:
        """End the plugins' work within ``timeout`` seconds; ``close`` ends the journal in between.

        Returns what is still due, per backend.
        """
        end = time.monotonic() + timeout
        self.cancelled.set()
        manager, collecting = self.manager, self.collecting
        if manager is None or collecting is None:
            close()
            self.ended.set()
            return {}
        collecting.stop(_share(end, 0.3))
        self.call_all(
            "run_ended", manager.active("run_ended"), _share(end, 0.3), run=self._run, outcome=outcome
        )
        if self.delivery is not None:
            self.delivery.flush(
                min(_SETTLING, _share(end, 0.1))
            )  # so that the accounts have (nearly) all of it
        close()
        due = self.delivery.finish(_share(end, 0.8)) if self.delivery is not None else {}
        answers = self.call_all(
            "report_summary", manager.active("report_summary"), _share(end, 0.5), run=self._run
        )
        self.summary = lines_of(answers)
        manager.stop_all_plugins(_share(end, 1.0))
        self.ended.set()
        return due


def _share(end: float, part: float) -> float:
    """Return a part of the seconds that are left."""
    return max(0.0, (end - time.monotonic()) * part)


def lines_of(answers: Iterable[Any]) -> list[str]:
    """Return the lines that report hooks answered with: a line, several, or None."""
    lines: list[str] = []
    for answer in answers:
        several = answer if isinstance(answer, (list, tuple)) else [answer]
        lines.extend(line for each in several if each is not None for line in str(each).splitlines())
    return lines
