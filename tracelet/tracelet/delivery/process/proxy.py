"""The object that represents an isolated plugin in the run's process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.guarded_run import DATA_HOOKS
from tracelet.delivery.process.import_spec import ImportSpec, import_spec_of
from tracelet.delivery.process.plugin_process import PluginProcess, ProcessGoneError
from tracelet.delivery.waiting import RESTING, STARTING
from tracelet.errors import PluginError
from tracelet.host.discovery import implementations, is_class
from tracelet.layout import SHIELD
from tracelet.logs import get_logger
from tracelet_hookspecs import PluginInfo, PluginMetadata, PluginState, RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

ISOLATED: Final = "process"
CRASHES: Final = 3  # of the process, within the next number of seconds; then the plugin rests
WITHIN: Final = 300.0
_OVERHEAD: Final = 0.5  # seconds for the messages, beyond what is done there
_RECORDING: Final = ("log_metric", "log", "log_params", "set_tags", "log_artifact")

#: A plugin to load in the other process: its name, where its code is, its configuration.
Companion = tuple[str, ImportSpec, Any]


class PluginProxy:
    """Passes on the steps of the plugin's life to its process, and those hooks that the host calls one by one."""

    def __init__(
        self,
        info: PluginInfo,
        spec: ImportSpec,
        dependencies: list[str],
        manager: PluginManager,
        run: RunView,
    ) -> None:
        self.info = info
        self.spec = spec
        self.process: PluginProcess | None = None
        self.restarts = 0
        #: Receives what the plugin's process reports about its worker.
        self.on_state: Callable[[Mapping[str, Any]], None] = lambda state: None
        #: Called when another process has taken the place of one that crashed.
        self.on_restart: Callable[[], None] = lambda: None
        #: Called if that failed. The plugin is then in state ERROR.
        self.on_failure: Callable[[], None] = lambda: None
        self.own_hooks: list[str] = []
        self._dependencies = dependencies
        self._manager = manager
        self._run = run
        self._crashes: deque[float] = deque(maxlen=CRASHES)
        self._delivering: Mapping[str, Any] | None = None
        self._changing = threading.RLock()

    # -- the life of the plugin, on its own thread -----------------------------------------------------

    def get_metadata(self) -> PluginMetadata:
        """Return the metadata of the plugin's class."""
        return self.info.metadata

    def initialize(self, config: Any) -> None:
        """Start the process, and initialize the plugin in it. The configuration is validated there."""
        self._end()
        self._crashes.clear()
        with self._changing:
            self.process = self._start_process()

    def _start_process(self) -> PluginProcess:
        process = PluginProcess(
            self.info.name, self._handle_message, self._handle_end, self._limit("log_metrics")
        )
        try:
            process.call("open", self._limit("import"), **self._opening())
            process.call(
                "initialize", self._limit("initialize"), dependencies=self._companions(self._dependencies)
            )
        except PluginError:
            process.end(0.0)
            raise
        return process

    def _opening(self) -> dict[str, Any]:
        handle = self._manager.handle(self.info.name)
        return {
            "name": self.info.name,
            "spec": self.spec,
            "own": handle.config,
            "config": self._manager.config,
            "program": self._manager.program,
            "deadlines": {step: _sooner(limit) for step, limit in handle.limits.items()},
            "run": self._about_run(),
        }

    def _about_run(self) -> dict[str, Any]:
        about = {key: getattr(self._run, key) for key in ("id", "name", "project", "dir", "started_at")}
        more = ("ended_at", "group", "parent", "job_type", "notes", "is_part")
        about["knows_states"] = hasattr(type(self._run), "writer_states")
        return {**about, **{key: getattr(self._run, key, None) for key in more}}

    def _companions(self, names: Iterable[str]) -> list[Companion]:
        """Return other plugins as the process can load them."""
        plugins = self._manager.plugins
        return [(name, import_spec_of(plugins[name]), self._manager.handle(name).config) for name in names]

    def start(self) -> None:
        """Start the plugin, and continue delivery that a stop has interrupted."""
        self.call("start", companions=self._implementors())
        self._deliver_again()

    def _implementors(self) -> list[Companion]:
        """Return the plugins that implement hooks which the plugin has brought: its calls must reach them there."""
        found: list[Companion] = []
        for hook in self.own_hooks:
            for name in self._manager.pluggy.participants(hook).implementors:
                if name in self._manager.plugins and name not in {companion[0] for companion in found}:
                    try:
                        found += self._companions([name])
                    except PluginError as error:
                        log.warning(
                            'plugin %r has isolation = "process": its hook %s does not reach %r (%s)',
                            *(self.info.name, hook, name, error),
                        )
        return found

    def stop(self) -> None:
        """Stop the plugin, and end its process."""
        try:
            if self.process is not None and not self.process.ended:
                self.call("stop")
        finally:
            self._end()
            self.on_state({"state": RESTING})

    def get_status(self) -> Mapping[str, Any]:
        """Return the plugin's status, and the id of its process."""
        status = self.call("hook", hook="get_status", arguments={}) or {}
        return {**status, "process": self.process.pid if self.process is not None else None}

    def call(self, what: str, **arguments: Any) -> Any:
        """Send a request to the plugin's process. Raises :class:`~tracelet.errors.PluginError`."""
        if self.process is None:
            raise PluginError(
                f"plugin {self.info.name!r}: its process has not been started", plugin=self.info.name
            )
        if what == "hook":
            arguments["run"] = self._about_run()  # the run may have been renamed
        return self.process.call(what, self._limit(arguments.get("hook", what)), **arguments)

    def _limit(self, step: str) -> float:
        return self._manager.handle(self.info.name).deadline(step) + _OVERHEAD

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.end()

    # -- the worker there ------------------------------------------------------------------------------

    def deliver(self, **arguments: Any) -> None:
        """Tell the process to start delivering. Its replacement after a crash does so, too."""
        self._delivering = arguments
        self.call("deliver", **arguments)

    def stop_delivery(self, seconds: float, timeout: float) -> Any:
        """Tell the process to stop delivering, and return its final state. A later crash does not restart delivery."""
        self._delivering = None
        if self.process is None:
            return None
        return self.process.call("stop_delivery", timeout, timeout=seconds)

    def reconfigure(self, timeout: float) -> None:
        """Have the process use the current configuration, for what is recorded once this has returned.

        A process that is gone, or does not answer in time, uses it when it restarts or gets to it.
        """
        if self.process is not None:
            with contextlib.suppress(ProcessGoneError):
                self.process.call("reconfigure", timeout, config=self._manager.config)

    def notify(self, what: str, **arguments: Any) -> None:
        """Send a request without waiting."""
        if self.process is not None:
            self.process.notify(what, **arguments)

    # -- messages from there, on the receiving thread --------------------------------------------------

    def _handle_message(self, message: Mapping[str, Any]) -> None:
        if "record" in message:
            self._record(*message["record"])
        if "costs" in message:
            self._account(message["costs"])
        if message.get("failed"):
            self._fail(PluginError(message["failed"], plugin=self.info.name, step="log"))
        if "state" in message:
            self.on_state(message["state"])

    def _record(self, method: str, arguments: list[Any]) -> None:
        """Record what the plugin recorded: only this process writes the journal."""
        if method in _RECORDING:
            try:
                getattr(self._run, method)(*arguments)
            except Exception as error:
                log.warning("plugin %r: %s: %s", self.info.name, method, error)

    def _account(self, costs: Mapping[str, Mapping[str, float]]) -> None:
        """Show the cost of the data hooks there. The steps of the plugin's life are accounted here already."""
        handle = self._manager.handle(self.info.name)
        for hook, cost in costs.items():
            account = handle.cost(hook)
            account.calls, account.errors = int(cost["calls"]), int(cost["errors"])
            account.wall_s, account.cpu_s = cost["wall_s"], cost["cpu_s"]

    def _handle_end(self, process: PluginProcess) -> None:
        """The process has ended. Unless that was intended, or happens too often, start another one."""
        with self._changing:
            if process.ending or process is not self.process or self.info.state is not PluginState.ACTIVE:
                return  # it was to end, or a call that waits for it fails
            self._crashes.append(time.monotonic())
            message = f"plugin {self.info.name!r}: its process {process.how_it_ended()}"
            log.error("%s", message)
            self.on_state({"state": STARTING, "error": message})
            if len(self._crashes) == CRASHES and self._crashes[-1] - self._crashes[0] <= WITHIN:
                self._fail(self._too_often(process))
            else:
                self._start_again()

    def _too_often(self, process: PluginProcess) -> PluginError:
        return PluginError(
            f"plugin {self.info.name!r}: its process {process.how_it_ended()}, {CRASHES} times within"
            f" {WITHIN / 60:g} minutes; it is not started again, and the journal keeps all pending records",
            plugin=self.info.name,
            step="log",
        )

    def _start_again(self) -> None:
        self.restarts += 1
        try:
            self.process = self._start_process()
            self.call("start", companions=self._implementors())
            self._deliver_again()
        except (PluginError, OSError) as error:
            if self.process is None or not self.process.ended:  # otherwise its own end counts as a crash
                self._fail(error)
                self.on_failure()

    def _deliver_again(self) -> None:
        if self._delivering is not None:
            self.call("deliver", **self._delivering)
            self.on_restart()

    def _fail(self, error: Exception) -> None:
        if self.info.state is not PluginState.ERROR:
            self._manager.fail(self.info.name, "log", error)
        self.on_state({"state": RESTING, "error": str(error)})


def _sooner(limit: float) -> float:
    """Return a deadline for the process that ends before the same one ends here."""
    return max(limit - _OVERHEAD, 0.8 * limit)


class _Hooks:
    """The hooks that are passed on. A proxy has those of them that its plugin has."""

    info: PluginInfo
    own_hooks: list[str]
    call: Callable[..., Any]

    def addhooks(self, pluginmanager: Any) -> None:
        """Make the plugin's hookspecs known here too, so that implementations of them are valid.

        They are brought by an object, which is made for this and dropped.
        """
        before = set(pluginmanager.hook_names())
        plugin = self.info.instance
        pluginmanager.call_addhooks(plugin() if is_class(plugin) else plugin)
        self.own_hooks = [name for name in pluginmanager.hook_names() if name not in before]

    def run_started(self) -> None:
        self.call("hook", hook="run_started", arguments={})

    def run_ended(self, outcome: str) -> None:
        self.call("hook", hook="run_ended", arguments={"outcome": outcome})

    def report_header(self, config: Any) -> Any:
        return self.call("hook", hook="report_header", arguments={"config": config})

    def report_summary(self) -> Any:
        return self.call("hook", hook="report_summary", arguments={})

    def collect(self) -> Any:
        return self.call("hook", hook="collect", arguments={})

    def _not_here(self) -> None:
        raise PluginError("the plugin's data hooks are called in its own process")

    log_metric = log_metrics = log_params = log_artifact = log_media = set_tags = run_changed = _not_here
    log_columns = log_event = _not_here


def is_isolated(info: PluginInfo, manager: PluginManager) -> bool:
    """Say whether a plugin runs in a separate process: always, if a drop-in has taken the place of its package here."""
    if info.name in os.environ.get(SHIELD, "").split(","):
        return True
    return (manager.options(info.name).isolation or info.metadata.isolation) == ISOLATED


def data_wrappers(info: PluginInfo) -> list[str]:
    """Return the data hooks that a loaded plugin wraps: its wrappers reach no plugin in a separate process."""
    plugin = info.instance
    wrapped = {one.hook for one in implementations(plugin) if one.wraps} if plugin is not None else set()
    return sorted(wrapped.intersection(DATA_HOOKS))


def check_isolation(info: PluginInfo, manager: PluginManager) -> tuple[ImportSpec, list[str]]:
    """Return how another process loads a plugin, and the plugins that it depends on, which go along.

    Raises :class:`~tracelet.errors.PluginError`, with the reason, for a plugin that cannot run in another process.
    """
    spec = import_spec_of(info)
    dependencies = [name for name in manager.resolve_dependencies([info.name]) if name != info.name]
    for name in dependencies:
        try:
            import_spec_of(manager.plugins[name])
        except PluginError as error:
            raise PluginError(
                f'plugin {info.name!r}: isolation = "process" takes its dependency {name!r} along, but {error}',
                plugin=info.name,
                step="import",
            ) from error
    return spec, dependencies


def make_proxy(info: PluginInfo, manager: PluginManager, run: RunView) -> PluginProxy | None:
    """Return the proxy of a plugin that runs in a separate process, ``None`` for any other plugin.

    Raises :class:`~tracelet.errors.PluginError` for one that cannot.
    """
    if not is_isolated(info, manager):
        return None
    spec, dependencies = check_isolation(info, manager)
    hooks = {one.hook for one in implementations(info.instance) if not one.wraps}
    passed_on = {name: function for name, function in vars(_Hooks).items() if name in hooks}
    kind = type("IsolatedPlugin", (PluginProxy,), passed_on)
    made: PluginProxy = kind(info, spec, dependencies, manager, run)
    return made
