"""The program of a plugin's own process: the same worker on the same journal, away from the training.

:mod:`tracelet.delivery.process.plugin_process` starts it; it ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.guarded_run import GuardedRun
from tracelet.delivery.pipeline.failures import Fault, judge
from tracelet.delivery.process.import_spec import ImportSpec
from tracelet.delivery.process.pipes import (
    Message,
    PipeReader,
    PipeWriter,
    encode_message,
    unpickle_message,
)
from tracelet.delivery.process.remote_run import RemoteRun
from tracelet.errors import PluginError
from tracelet.logs import get_logger
from tracelet.secrets import format_exception, redact
from tracelet_hookspecs import BACKEND_HOOKS

if TYPE_CHECKING:
    from tracelet.delivery.worker import BackendWorker
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

_BEAT: Final = 0.5  # seconds between two reports
_HURRIED: Final = 0.05  # the same while the program waits
_PDEATHSIG: Final = 1  # prctl(2)'s PR_SET_PDEATHSIG
_LEAVING: Final = 2.0  # seconds for the current batch when the run's process is gone
_WITH_RUN: Final = ("run_started", "run_ended", "report_summary")


class Session:
    """Serves the run's process: one plugin, and the worker that delivers to it."""

    def __init__(self, reader: PipeReader, writer: PipeWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parent = os.getppid()
        self._manager: PluginManager | None = None
        self._worker: BackendWorker | None = None
        self._name = ""
        self._waiting = self._hurries = 0
        self._report_now = threading.Event()

    def serve(self) -> None:
        """Serve requests until the other side is gone."""
        threading.Thread(target=self._report, name="tracelet reports", daemon=True).start()
        with contextlib.suppress(OSError):
            while (data := self._reader.receive()) is not None:
                self._handle(unpickle_message(data))
        self._leave()

    def _handle(self, message: Message) -> None:
        arguments = {key: value for key, value in message.items() if key not in ("call", "what")}
        try:
            # The run's process reports what fails in a call, once; here it would be reported at each attempt.
            with _without_errors() if "call" in message else contextlib.nullcontext():
                value = getattr(self, "do_" + message["what"])(**arguments)
            answer: dict[str, Any] = {"value": value}
        except Exception as error:
            answer = {"error": _describe_error(error)}
        if "call" in message:
            self._send({"answer": message["call"], **answer})
        elif "error" in answer:
            log.error("%s", answer["error"]["message"])
        self._report_now.set()

    def _send(self, message: Message) -> None:
        self._writer.send(encode_message(message), timeout=3600.0)

    # -- requests ---------------------------------------------------------------------------------------

    def do_open(self, name: str, spec: ImportSpec, own: Any, run: Any, **about: Any) -> None:
        """Make a host for the plugin."""
        from tracelet.host.plugins import PluginManager

        self._name = name
        self._run = RemoteRun(run, lambda method, given: self._send({"record": [method, given]}))
        self._manager = PluginManager(
            use_default_paths=False,
            config=about["config"],
            program=about["program"],
            deadlines=about["deadlines"],
        )
        self._put(name, spec)
        self._own = own

    def do_initialize(self, dependencies: list[tuple[str, ImportSpec, Any]]) -> None:
        """Start the plugins that the plugin depends on, then load and initialize it."""
        self._start_companions(dependencies)
        self._host().initialize_plugin(self._name, self._own)
        self._raise_failure(self._name)

    def do_start(self, companions: list[tuple[str, ImportSpec, Any]]) -> None:
        """Start the plugins that implement its hooks, then the plugin itself."""
        self._start_companions(companions)
        self._host().start_plugin(self._name)
        self._raise_failure(self._name)

    def _start_companions(self, companions: Iterable[tuple[str, ImportSpec, Any]]) -> None:
        manager = self._host()
        for name, spec, own in companions:
            if name not in manager.plugins:
                self._put(name, spec)
                manager.initialize_plugin(name, own)
                manager.start_plugin(name)
                self._raise_failure(name)

    def do_hook(self, hook: str, arguments: Mapping[str, Any], run: Mapping[str, Any]) -> Any:
        """Call one of its hooks."""
        self._run.learn_changes(run)
        handle = self._host().handle(self._name)
        if hook in _WITH_RUN:
            arguments = {**arguments, "run": GuardedRun(self._run)}
        return handle.call(hook, **arguments) if handle.implements(hook) else None

    def do_deliver(self, settings: Any, processors: list[tuple[str, ImportSpec, Any]], writers: Any) -> None:
        """Begin to deliver."""
        from tracelet.delivery.worker import BackendWorker

        self._start_companions(processors)
        which = (lambda: writers) if writers is not None else None
        self._worker = BackendWorker(
            *(self._host(), self._run, self._run.dir, self._name), writers=which, settings=settings
        )
        self._worker.start()

    def do_hurry(self, number: int) -> None:
        """A thread has started to wait until everything is delivered."""
        self._waiting += 1
        if self._worker is not None:
            self._worker.hurry()
        self._hurries = number

    def do_calm(self) -> None:
        """A thread has stopped waiting."""
        self._waiting -= 1
        if self._worker is not None:
            self._worker.calm()

    def do_reconfigure(self, config: Any) -> None:
        """Use a changed configuration, and retry what was given up."""
        self._host().config = config
        if self._worker is not None:
            self._worker.reconfigure()

    def do_ask_to_stop(self) -> None:
        """Stop delivery after the current batch."""
        if self._worker is not None:
            self._worker.ask_to_stop()

    def do_stop_delivery(self, timeout: float) -> Any:
        """Stop delivery."""
        if self._worker is not None:
            self._worker.stop(timeout)
        return self._state()

    def do_stop(self) -> None:
        """Stop the plugin, then those that were started for it."""
        manager = self._host()
        manager.stop_plugin(self._name)
        try:
            self._raise_failure(self._name)
        finally:
            manager.stop_all_plugins()

    # -- implementation --------------------------------------------------------------------------------

    def _host(self) -> PluginManager:
        assert self._manager is not None
        return self._manager

    def _put(self, name: str, spec: ImportSpec) -> None:
        from tracelet_hookspecs import PluginInfo, PluginMetadata

        metadata = PluginMetadata.from_outside(name)
        self._host().plugins[name] = PluginInfo(metadata, *spec, origin=spec.module_path)

    def _raise_failure(self, name: str) -> None:
        info = self._host().plugins[name]
        if info.state.name == "ERROR":
            raise _StepFailedError(
                info.error or "", name, info.traceback or "", self._host().handle(name).failure
            )

    # -- reports, on a separate thread -----------------------------------------------------------------

    def _report(self) -> None:
        """Report the worker's state at intervals; end with the process that receives the reports."""
        last: Any = None
        with contextlib.suppress(OSError):
            while os.getppid() == self._parent:
                state = self._state()
                if state is not None or last is None:
                    self._send(self._sign_of_life(state))
                last = state
                self._report_now.wait(_HURRIED if self._waiting else _BEAT)
                self._report_now.clear()
        self._leave()

    def _sign_of_life(self, state: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"beat": os.getpid()}
        if state is not None:
            handle = self._host().handle(self._name)
            message["state"] = state
            message["costs"] = {  # all other hooks are called through the run's process
                hook: cost.as_dict() for hook, cost in handle.costs.items() if hook in BACKEND_HOOKS
            }
            info = self._host().plugins[self._name]
            message["failed"] = info.error if info.state.name == "ERROR" else None
        return message

    def _state(self) -> Any:
        worker = self._worker
        if worker is None:
            return None
        hurries = self._hurries  # before the state, which may be older otherwise
        positions = {writer: page.cursor.next for writer, page in list(worker.ledger().pages.items())}
        about = {"positions": positions, "hopeless": worker.is_hopeless(), "hurries": hurries}
        return {**worker.status(), **about}

    def _leave(self) -> None:
        """End, at once except for the current batch."""
        if self._worker is not None:
            self._worker.stop(_LEAVING)
        os._exit(0)


class _StepFailedError(PluginError):
    """A step of a plugin's life has failed in this process."""

    def __init__(self, message: str, plugin: str, traceback: str, failure: BaseException | None) -> None:
        super().__init__(message, plugin=plugin, step=getattr(failure, "step", None) or "")
        self.traceback = traceback
        self.failure = failure


@contextlib.contextmanager
def _without_errors() -> Iterator[None]:
    """Drop what this thread logs about plugins that fail."""
    thread = threading.get_ident()

    def is_kept(record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR or record.thread != thread

    logger = get_logger("tracelet.plugins")
    logger.addFilter(is_kept)
    try:
        yield
    finally:
        logger.removeFilter(is_kept)


def _describe_error(error: Exception) -> dict[str, Any]:
    plugin, step = getattr(error, "plugin", None) or "", getattr(error, "step", None) or ""
    traceback, failure = format_exception(error), error
    if isinstance(error, _StepFailedError):
        traceback, failure = error.traceback, error.failure or error  # type: ignore[assignment]
    try:
        fault = judge(failure)
    except BaseException:  # its class has attributes that raise
        fault = Fault.UNKNOWN
    return {
        "message": redact(str(error)),
        "plugin": plugin,
        "step": step,
        "traceback": traceback,
        "fault": fault.value,
    }


def _wake_when_orphaned() -> None:
    """Have the kernel continue this process if it is stopped when its parent ends: it could not end otherwise."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def main() -> None:
    """Take over standard input and output for messages, and serve."""
    faulthandler.enable()
    os.environ["TRACELET_PLUGIN_PROCESS"] = str(os.getpid())  # how a plugin knows that nothing else runs here
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # sent to the whole process group: the run's process decides what they mean
    _wake_when_orphaned()
    reader, writer = PipeReader(os.dup(0)), PipeWriter(os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)  # what a plugin prints goes where errors go
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    Session(reader, writer).serve()
