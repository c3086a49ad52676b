"""The plugins of one run: started while the training begins, attached to its journal, stopped at its end."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import PluginError, TraceletError
from tracelet.logs import get_logger
from tracelet.run import import_guard, root_handlers
from tracelet.run.naming import Naming
from tracelet.run.plugin_threads import guard_new_threads, guard_plugin_thread
from tracelet.run.succession import ENDING, Succession, may_deliver_later, wait_for_others
from tracelet.run.threads import try_start

if TYPE_CHECKING:
    from tracelet.collecting import Collecting
    from tracelet.delivery import Delivery
    from tracelet.host.plugins import PluginManager
    from tracelet.run.context import RunContext
    from tracelet_hookspecs import RunView

log = get_logger("tracelet.run")

_AFTER: Final = 1e-3  # seconds in which start_run returns to the program, before plugins need the interpreter
_SETTLING: Final = 0.5  # seconds that delivery may take before the journal is closed
_PATIENCE: Final = 5.0  # seconds that plugins wait for imports that take long
_HEAD_START: Final = 1.0  # head start, in seconds, of requested plugins over those that are on by default
_IDLE: Final = ("discovered", "loaded", "validated")  # states of plugins that did nothing in this run
_COSTS: Final = ("calls", "errors", "wall_s", "cpu_s")


class RunPlugins:
    """Starts the plugins on a separate thread, so that none of them can delay the program.

    Requested plugins come first, then those that are on by default. ``asked`` and ``ready`` are
    set when each of the two groups is done.
    """

    def __init__(
        self, context: RunContext, view: RunView, objects: Sequence[Any], program: Path | None
    ) -> None:
        """Prepare; ``view`` is what the hooks get as ``run``, ``objects`` the plugins given to ``start_run``."""
        self.asked = threading.Event()
        self.ready = threading.Event()
        self.cancelled = threading.Event()
        self.ended = threading.Event()
        #: Whether a plugin was requested, so that it is worth waiting for.
        self.awaited = False
        self.summary: list[str] = []
        self.errors: list[str] = []
        self.manager: PluginManager | None = None
        self.delivery: Delivery | None = None
        self.collecting: Collecting | None = None
        self._context = context
        self._view = view
        self._objects = objects
        self._program = program
        #: Keeps backends from the run until the program has named it.
        self.naming = Naming()
        self._is_waiting = False  # for a thread
        self._held_back: list[str] = []  # backends that another process of the job delivers to
        self._succession = Succession(context, self._take_over) if may_deliver_later(context) else None
        if not context.is_enabled:
            self.asked.set()
            self.ready.set()

    def start(self) -> None:
        """Begin to start plugins."""
        import_guard.install()
        guard_new_threads()
        self._thread = threading.Thread(target=self._start, name="tracelet host", daemon=True)
        self._is_waiting = not try_start(self._thread)

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
                self.manager.stop_all_plugins()  # those that started only after the run had ended

    def _report(self, what: str, error: Exception) -> None:
        from tracelet.secrets import format_exception, redact

        self.errors.append(redact(f"{what}: {error}"))
        trace = "" if isinstance(error, TraceletError) else "\n" + format_exception(error)
        log.error("%s%s", self.errors[-1], trace)

    def _start_plugins(self) -> None:
        from tracelet.collecting import Collecting
        from tracelet.host.plugins import PluginManager

        manager = PluginManager(config=self._context.config, program=self._program)
        self.collecting = Collecting(manager, self._context.writer)
        if self._context.delivers:
            from tracelet.delivery import Delivery

            self.delivery = Delivery(manager, self._view, self._context.dir)
        self.manager = manager
        names = self._register(manager)
        manager.discover_plugins(patience=_PATIENCE)
        requested = [*names, *self._requested(manager)]
        starting = [self._begin(requested)]
        if not manager.has_all_plugins:  # an import is slow, or hangs: the others have begun
            manager.discover_plugins()
            starting.append(self._begin([each for each in self._requested(manager) if each not in requested]))
        _join(starting, _HEAD_START)
        selected = manager.select_plugins().items() if not self.cancelled.is_set() else ()
        defaults = [self._begin([name for name, asked in selected if not asked])]
        _join(starting)
        self.asked.set()
        _join(defaults)
        if self._succession is not None and self._held_back and not self.cancelled.is_set():
            self._succession.start()

    def _requested(self, manager: PluginManager) -> list[str]:
        return [name for name, asked in manager.select_plugins(defaults=False).items() if asked]

    def _begin(self, names: Iterable[str]) -> threading.Thread:
        """Start plugins on a thread; at once, if no thread can be started."""
        thread = threading.Thread(target=self._activate, args=(names,), name="tracelet host", daemon=True)
        if not try_start(thread):
            self._activate(names)
        return thread

    def _register(self, manager: PluginManager) -> list[str]:
        names = []
        for plugin in self._objects:
            try:
                names.append(manager.register_plugin(plugin).name)
            except Exception as error:  # the other plugins start
                self._report("start_run(plugins=...)", error)
        return names

    def _activate(self, names: Iterable[str]) -> None:
        if self.cancelled.is_set():
            return
        try:
            self._start_and_attach({name: None for name in names if self._has_work(name)})
        except Exception as error:  # whatever it is, the training and the other plugins go on
            self._report("the plugins could not be started", error)

    def add(self, plugin: Any, config: Any) -> bool:
        """Start a plugin during the run, by name or as an object. Returns whether it is active."""
        assert self.manager is not None
        name = plugin if isinstance(plugin, str) else self.manager.register_plugin(plugin).name
        return name in self._start_and_attach({name: config}, at_once=True)

    def _start_and_attach(self, configs: Mapping[str, Any], *, at_once: bool = False) -> list[str]:
        from tracelet.delivery.attaching import start_and_attach

        assert self.manager is not None
        active = start_and_attach(
            *(self.manager, configs, self._view, self.attach),
            delivery=self.delivery,
            report=self._report_failure,
            postpone=(lambda call: False) if at_once else self.naming.postpone,
        )
        with contextlib.suppress(Exception):  # it looks at the plugins' objects
            root_handlers.exempt_plugins(self.manager.get_plugin_instance(name) for name in active)
        return active

    def remove(self, name: str) -> bool:
        """Stop a plugin during the run."""
        assert self.manager is not None
        if self.collecting is not None:
            self.collecting.remove(name)
        if self.delivery is not None:
            self.delivery.remove(name)
        return self.manager.stop_plugin(name)

    def _has_work(self, name: str) -> bool:
        """Whether a plugin has anything to do in this process. A backend that would get nothing is not started."""
        context = self._context
        if context.delivers and context.measures:
            return True
        assert self.manager is not None
        if not self.manager.load_plugin(name):
            return True  # the attempt to start it will report why
        kind = self.manager.plugins[name].metadata.type.value
        if kind == "backend" and not context.delivers:
            self._held_back.append(name)
            return False
        return kind != "collector" or context.measures

    def _take_over(self) -> None:
        """Deliver to the backends that were held back: no other process of the job does."""
        from tracelet.delivery import Delivery
        from tracelet.delivery.attaching import is_backend

        assert self.manager is not None
        self.delivery = Delivery(self.manager, self._view, self._context.dir)
        try:
            self._start_and_attach({name: None for name in self._held_back if not self._is_exclusive(name)})
            for name, info in list(self.manager.plugins.items()):
                if info.state.name == "ACTIVE" and is_backend(self.manager, name):
                    self.delivery.add(name)  # unless that is done
        except Exception as error:  # the training goes on
            self._report("the backends could not be started", error)

    def _is_exclusive(self, name: str) -> bool:
        """Say whether a backend's destination takes a run from one process only, hence from rank zero's."""
        assert self.manager is not None
        handle = self.manager.handle(name)
        if not handle.ask("takes_one_process", convert=bool, default=False):
            return False
        log.warning(
            "plugin %r takes a run from one process at a time, rank 0: what this host recorded is pending; when the job"
            " has ended, run here: tracelet sync %s",
            *(name, self._context.id),
        )
        return True

    def _has_pending(self) -> bool:
        """Say whether the backends that were held back lack something."""
        from tracelet.delivery import is_due, is_known

        run_dir = self._context.dir
        try:
            return any(not is_known(run_dir, name) or is_due(run_dir, name) for name in self._held_back)
        except OSError:
            return False

    def attach(self, name: str) -> None:
        """Give an active plugin what its hooks are for: measurements to make, records to receive."""
        from tracelet.delivery.attaching import is_backend
        from tracelet.delivery.guarded_run import DATA_HOOKS

        assert self.manager is not None
        assert self.collecting is not None
        handle = self.manager.handle(name)
        try:
            if any(map(handle.implements, DATA_HOOKS)):
                with contextlib.suppress(PluginError):  # it hangs already
                    handle.submit(guard_plugin_thread, step="start", calls=0)
            if self._context.measures and handle.implements("collect"):
                self.collecting.add(name)
            if self.delivery is not None and is_backend(self.manager, name):
                self.delivery.add(name)
        except RuntimeError as error:  # no thread for it; the other plugins may have theirs
            self._report(f"plugin {name!r} gets no work", error)

    def call_hook(self, hook: str, *, timeout: float | None = None, **kwargs: Any) -> list[Any]:
        """Call a hook of the active plugins and return their answers. Failures are logged and kept in ``errors``."""
        from tracelet.delivery.attaching import call_each

        assert self.manager is not None
        names = self.manager.active(hook)
        return call_each(self.manager, names, hook, timeout, report=self._report_failure, **kwargs)

    def report(self, hook: str, *, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """Return the lines that a report hook of the active plugins answers with: a line, several, or none each."""
        from tracelet.host.answers import lines_of

        answers = self.call_hook(hook, timeout=timeout, accept=lines_of, **kwargs)
        return [line for lines in answers for line in lines]

    def _report_failure(self, error: PluginError) -> None:
        self.errors.append(str(error))
        log.warning("%s", error)

    def wait(self, event: threading.Event, timeout: float) -> bool:
        """Wait for a stage of the start, no longer than ``timeout`` seconds."""
        if self._is_waiting:
            self.start()
        end = time.monotonic() + timeout
        return event.wait(0.0 if self._is_waiting else timeout) and self.naming.wait(end - time.monotonic())

    def report_unstarted(self) -> None:
        """Report that the run ends before all plugins have started, and that these got nothing."""
        run_id = self._context.id
        self.errors.append(
            f"run {run_id} ends while plugins are still being loaded or started; run: tracelet sync {run_id}"
        )
        log.warning("%s", self.errors[-1])

    def failures(self, *, strict: bool = False) -> list[str]:
        """Return the faults of requested plugins; with ``strict``, without those that keep nothing from working."""
        if self.manager is None:
            return list(self.errors)
        failed = [info.error for info in self.manager.plugins.values() if info.state.name == "ERROR"]
        problems = self.manager.faults if strict else self.manager.problems
        return [*self.errors, *problems, *(error for error in failed if error)]

    def hook_failures(self, *, every: bool) -> list[str]:
        """Return the hooks that failed: with ``every`` any that failed once, else those that never succeeded.

        What never succeeded because of the system or the network is an outage, not a mistake of the plugin's.
        """
        if self.manager is None:
            return []
        return [
            f"plugin {name!r}: {hook} failed {cost.errors} of {cost.calls} times ({cost.failure or 'see the log'})"
            for name in list(self.manager.plugins)
            for hook, cost in list(self.manager.handle(name).costs.items())
            if cost.errors and (every or (cost.errors >= cost.calls and not cost.is_outage))
        ]

    def record_costs(self, overhead: dict[str, Any]) -> None:
        """Record in the journal what each plugin has cost, and what tracelet took of the program's time."""
        if self.manager is not None:
            costs = sum_costs(self.manager.accounts())
            self._context.writer.event("plugins", {"plugins": costs, "overhead": overhead})

    def finish(self, outcome: str, timeout: float, close: Callable[[], None]) -> dict[str, Any]:
        """End the plugins' work within ``timeout`` seconds; ``close`` ends the journal in between.

        Returns what is pending, per backend.
        """
        left = partial(_share, time.monotonic() + timeout)
        self.cancelled.set()
        self.naming.settle()
        manager, collecting = self.manager, self.collecting
        if manager is None or collecting is None:
            close()
            self.ended.set()
            return {}
        collecting.stop(left(0.3))
        self.naming.wait(left(0.3))
        self._report_end(outcome, left(0.3))
        if self.delivery is not None:
            self.delivery.flush(min(_SETTLING, left(0.1)))  # so that the recorded costs are nearly complete
        close()
        successor = self._succession if self._held_back else None
        if successor is not None and not successor.close(self._has_pending, left(0.6)):
            self.report_unstarted()
        if self.delivery is not None:
            wait_for_others(self._context, min(ENDING, left(0.3)))
        pending = self.delivery.finish(left(0.8)) if self.delivery is not None else {}
        self.summary = self.report("report_summary", timeout=left(0.5), run=self._view)
        manager.stop_all_plugins(left(1.0))
        root_handlers.clean_up()
        self.ended.set()
        return pending

    def _report_end(self, outcome: str, timeout: float) -> None:
        """Call ``run_ended``: of backends on rank zero only, since it decides how the run went."""
        from tracelet.delivery.attaching import call_each, is_backend

        assert self.manager is not None
        names = self.manager.active("run_ended")
        if getattr(self._view, "is_part", False):
            names = [name for name in names if not is_backend(self.manager, name)]
        call_each(
            *(self.manager, names, "run_ended", timeout),
            report=self._report_failure,
            run=self._view,
            outcome=outcome,
        )


def _share(end: float, part: float) -> float:
    """Return a part of the seconds that are left."""
    return max(0.0, (end - time.monotonic()) * part)


def _join(threads: Iterable[threading.Thread], timeout: float | None = None) -> None:
    """Wait for threads, each no longer than ``timeout`` seconds. One that could not be started is over."""
    for thread in threads:
        if thread.ident is not None:
            thread.join(timeout)


def sum_costs(plugins: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, for each plugin that did something, what it is and what all its hooks together cost, in seconds."""
    return {
        name: {
            **{key: plugin.get(key) for key in ("type", "version", "state", "error")},
            **{key: sum(cost[key] for cost in plugin.get("costs", {}).values()) for key in _COSTS},
        }
        for name, plugin in plugins.items()
        if plugin["state"] not in _IDLE and (plugin.get("costs") or plugin.get("error"))
    }
