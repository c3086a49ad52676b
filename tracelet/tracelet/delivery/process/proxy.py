"""The object that stands for a plugin here while the plugin itself is in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.process.import_spec import ImportSpec, import_spec_of
from tracelet.delivery.process.plugin_process import PluginProcess, ProcessGoneError
from tracelet.delivery.waiting import RESTING, STARTING
from tracelet.errors import PluginError
from tracelet.host.discovery import implementations
from tracelet_hookspecs import PluginInfo, PluginMetadata, PluginState, RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = logging.getLogger("tracelet.delivery")

ISOLATED: Final = "process"
CRASHES: Final = 3  # of a process, within so many seconds, and it rests
WITHIN: Final = 300.0
_SLOWNESS: Final = 0.5  # seconds to answer, beyond what is done there
_RECORDING: Final = ("log_metric", "log", "log_params", "set_tags", "log_artifact")


class PluginProxy:
    """Takes the steps of a plugin's life there. Of its hooks, those are here that the host calls one at a time."""

    def __init__(self, info: PluginInfo, spec: ImportSpec, manager: PluginManager, run: RunView) -> None:
        self.info = info
        self.spec = spec
        self.process: PluginProcess | None = None
        self.restarts = 0
        #: Who wants to hear what the plugin's process says of its feed, and of another that took its place.
        self.listener: Callable[[Mapping[str, Any]], None] = lambda state: None
        self.restarted: Callable[[], None] = lambda: None
        self._manager = manager
        self._run = run
        self._crashes: deque[float] = deque(maxlen=CRASHES)
        self._delivering: Mapping[str, Any] | None = None
        self._changing = threading.RLock()

    # -- the life of the plugin, on its own thread -----------------------------------------------------

    def get_metadata(self) -> PluginMetadata:
        """Return what the plugin's class said."""
        return self.info.metadata

    def initialize(self, config: Any) -> None:
        """Start the process, and initialize the plugin in it. It validates the configuration for itself."""
        self._end()
        self._crashes.clear()
        with self._changing:
            self.process = self._begun()

    def _begun(self) -> PluginProcess:
        process = PluginProcess(self.info.name, self._hear, self._ended, self._limit("log_metrics"))
        try:
            process.call("open", self._limit("import"), **self._opening())
            process.call("initialize", self._limit("initialize"))
        except PluginError:
            process.end(0.0)
            raise
        return process

    def _opening(self) -> dict[str, Any]:
        handle = self._manager.handle(self.info.name)
        run = self._run
        about = {key: getattr(run, key) for key in ("id", "name", "project", "dir", "started_at")}
        return {
            "name": self.info.name,
            "spec": self.spec,
            "own": handle.config,
            "config": self._manager.config,
            "program": self._manager.program,
            "deadlines": {step: _sooner(limit) for step, limit in handle.limits.items()},
            "run": about,
        }

    def start(self) -> None:
        """Start the plugin, and go on delivering to one that was stopped amid that."""
        self.call("start")
        self._deliver_again()

    def stop(self) -> None:
        """Stop the plugin, and end its process."""
        try:
            if self.process is not None and not self.process.ended:
                self.call("stop")
        finally:
            self._end()
            self.listener({"state": RESTING})

    def get_status(self) -> Mapping[str, Any]:
        """Return what the plugin says, and which process it is in."""
        status = self.call("hook", hook="get_status", arguments={}) or {}
        return {**status, "process": self.process.pid if self.process is not None else None}

    def call(self, what: str, **arguments: Any) -> Any:
        """Have something done in the plugin's process. Raises :class:`~tracelet.errors.PluginError`."""
        if self.process is None:
            raise PluginError(
                f"plugin {self.info.name!r}: its process has not been started", plugin=self.info.name
            )
        return self.process.call(what, self._limit(arguments.get("hook", what)), **arguments)

    def _limit(self, step: str) -> float:
        return self._manager.handle(self.info.name).deadline(step) + _SLOWNESS

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.end()

    # -- the feed there --------------------------------------------------------------------------------

    def deliver(self, **arguments: Any) -> None:
        """Have the process begin to deliver; one that takes its place after a crash does so too."""
        self._delivering = arguments
        self.call("deliver", **arguments)

    def stop_delivery(self, seconds: float, timeout: float) -> Any:
        """Have the process end delivery, and return what became of it; no more is begun after a crash."""
        self._delivering = None
        if self.process is None:
            return None
        return self.process.call("stop_delivery", timeout, timeout=seconds)

    def reconfigure(self, timeout: float) -> None:
        """Have the process take up the present configuration, for what is recorded once this has returned.

        One that is gone or does not answer in time takes it up when it begins, or gets round to it.
        """
        if self.process is not None:
            with contextlib.suppress(ProcessGoneError):
                self.process.call("reconfigure", timeout, config=self._manager.config)

    def tell(self, what: str, **arguments: Any) -> None:
        """Have something done there, without waiting."""
        if self.process is not None:
            self.process.tell(what, **arguments)

    # -- what comes from there, on the listening thread ------------------------------------------------

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "record" in message:
            self._record(*message["record"])
        if "costs" in message:
            self._account(message["costs"])
        if message.get("failed"):
            self._fail(PluginError(message["failed"], plugin=self.info.name, step="log"))
        if "state" in message:
            self.listener(message["state"])

    def _record(self, method: str, arguments: list[Any]) -> None:
        """Record what the plugin recorded: the journal is this process's to write."""
        if method in _RECORDING:
            try:
                getattr(self._run, method)(*arguments)
            except Exception as error:
                log.warning("plugin %r: %s: %s", self.info.name, method, error)

    def _account(self, costs: Mapping[str, Mapping[str, float]]) -> None:
        """Show what the data hooks cost there; the steps of its life are accounted here already."""
        handle = self._manager.handle(self.info.name)
        for hook, cost in costs.items():
            account = handle.cost(hook)
            account.calls, account.errors = int(cost["calls"]), int(cost["errors"])
            account.wall_s, account.cpu_s = cost["wall_s"], cost["cpu_s"]

    def _ended(self, process: PluginProcess) -> None:
        """The process has ended. Where nobody wanted it to: begin again, unless it keeps happening."""
        with self._changing:
            if process.ending or process is not self.process or self.info.state is not PluginState.ACTIVE:
                return  # it was meant to end, or whoever waits for it hears of it
            self._crashes.append(time.monotonic())
            told = f"plugin {self.info.name!r}: its process {process.how_it_ended()}"
            log.error("%s", told)
            self.listener({"state": STARTING, "error": told})
            if len(self._crashes) == CRASHES and self._crashes[-1] - self._crashes[0] <= WITHIN:
                self._fail(self._too_often(process))
            else:
                self._begin_again()

    def _too_often(self, process: PluginProcess) -> PluginError:
        return PluginError(
            f"plugin {self.info.name!r}: its process {process.how_it_ended()}, {CRASHES} times within"
            f" {WITHIN / 60:g} minutes; it is not started again, and the journal keeps what is due",
            plugin=self.info.name,
            step="log",
        )

    def _begin_again(self) -> None:
        self.restarts += 1
        try:
            self.process = self._begun()
            self.call("start")
            self._deliver_again()
        except (PluginError, OSError) as error:
            if self.process is None or not self.process.ended:  # else its own end is told as a crash
                self._fail(error)

    def _deliver_again(self) -> None:
        if self._delivering is not None:
            self.call("deliver", **self._delivering)
            self.restarted()

    def _fail(self, error: Exception) -> None:
        if self.info.state is not PluginState.ERROR:
            self._manager.fail(self.info.name, "log", error)
        self.listener({"state": RESTING, "error": str(error)})


def _sooner(limit: float) -> float:
    """Return a deadline for the process that comes to an end before the same one does here."""
    return max(limit - _SLOWNESS, 0.8 * limit)


class _Hooks:
    """The hooks that are passed on. A stand-in has those of them that its plugin has."""

    call: Callable[..., Any]

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

    log_metric = log_metrics = log_params = log_artifact = set_tags = _not_here


def make_proxy(info: PluginInfo, manager: PluginManager, run: RunView) -> PluginProxy | None:
    """Return what stands for a plugin that is to be in a process of its own, ``None`` for any other.

    Raises :class:`~tracelet.errors.PluginError` for one that cannot be.
    """
    wanted = manager.options(info.name).isolation or info.metadata.isolation
    if wanted != ISOLATED:
        return None
    hooks = {one.hook for one in implementations(info.instance) if not one.wraps}
    passed_on = {name: function for name, function in vars(_Hooks).items() if name in hooks}
    kind = type("IsolatedPlugin", (PluginProxy,), passed_on)
    made: PluginProxy = kind(info, import_spec_of(info), manager, run)
    return made
