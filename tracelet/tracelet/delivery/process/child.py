"""The program of a plugin's own process: the same reader of the same journal, away from the training.

Started by :mod:`tracelet.delivery.process`; it ends with the process that started it.
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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.process.import_spec import ImportSpec
from tracelet.delivery.process.pipes import Message, PipeReader, PipeWriter, as_json, unpickled
from tracelet.errors import PluginError
from tracelet.journal import as_number
from tracelet.secrets import format_exception, redact
from tracelet_hookspecs import BACKEND_HOOKS

if TYPE_CHECKING:
    from tracelet.delivery.worker import BackendWorker
    from tracelet.host.plugins import PluginManager

log = logging.getLogger("tracelet.delivery")

_BEAT: Final = 0.5  # seconds between two reports
_HURRIED: Final = 0.05  # the same while somebody waits
_PDEATHSIG: Final = 1  # prctl(2)'s PR_SET_PDEATHSIG
_LEAVING: Final = 2.0  # seconds for the batch under way when the run's process is gone


class RemoteRun:
    """Who the run is; what the plugin records is sent to the run's process, whose journal it is."""

    def __init__(self, about: Mapping[str, Any], record: Callable[[str, list[Any]], None]) -> None:
        self.id: str = about["id"]
        self.name: str = about["name"]
        self.project: str = about["project"]
        self.dir: Path = about["dir"]
        self.started_at: float = about["started_at"]
        self._record = record

    def log_metric(self, name: str, value: Any, iteration: int | None = None) -> None:
        """Record one number."""
        self._record("log_metric", [name, as_number(value, name), iteration])

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record many numbers at one step."""
        self._record("log", [dict(metrics), step])

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters."""
        self._record("log_params", [dict(params)])

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record tags."""
        self._record("set_tags", [dict(tags)])

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run."""
        self._record("log_artifact", [os.path.abspath(local_path), artifact_path])


class Session:
    """One plugin in this process, and what the run's process wants of it."""

    def __init__(self, receiver: PipeReader, sender: PipeWriter) -> None:
        self._receiver = receiver
        self._sender = sender
        self._parent = os.getppid()
        self._manager: PluginManager | None = None
        self._worker: BackendWorker | None = None
        self._name = ""
        self._waiting = self._hurries = 0
        self._look = threading.Event()

    def serve(self) -> None:
        """Do what is asked until the other side is gone."""
        threading.Thread(target=self._report, name="tracelet reports", daemon=True).start()
        with contextlib.suppress(OSError):
            while (data := self._receiver.receive()) is not None:
                self._do(unpickled(data))
        self._leave()

    def _do(self, message: Message) -> None:
        arguments = {key: value for key, value in message.items() if key not in ("call", "what")}
        try:
            value = getattr(self, "do_" + message["what"])(**arguments)
            answer: dict[str, Any] = {"value": value}
        except Exception as error:
            answer = {"error": _told(error)}
        if "call" in message:
            self._send({"answer": message["call"], **answer})
        elif "error" in answer:
            log.error("%s", answer["error"]["message"])
        self._look.set()

    def _send(self, message: Message) -> None:
        self._sender.send(as_json(message), timeout=3600.0)

    # -- what can be asked -----------------------------------------------------------------------------

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

    def do_initialize(self) -> None:
        """Load and initialize the plugin."""
        manager = self._host()
        manager.initialize_plugin(self._name, self._own)
        self._raise_failure(self._name)

    def do_start(self) -> None:
        """Start it."""
        self._host().start_plugin(self._name)
        self._raise_failure(self._name)

    def do_hook(self, hook: str, arguments: Mapping[str, Any]) -> Any:
        """Call one of its hooks."""
        handle = self._host().handle(self._name)
        if hook in _WITH_RUN:
            arguments = {**arguments, "run": self._run}
        return handle.call(hook, **arguments) if handle.implements(hook) else None

    def do_deliver(self, settings: Any, processors: list[tuple[str, ImportSpec, Any]], writers: Any) -> None:
        """Begin to deliver."""
        from tracelet.delivery.worker import BackendWorker

        manager = self._host()
        for name, spec, own in processors:
            self._put(name, spec)
            manager.initialize_plugin(name, own)
            manager.start_plugin(name)
            self._raise_failure(name)
        which = (lambda: writers) if writers is not None else None
        self._worker = BackendWorker(
            manager, self._run, self._run.dir, self._name, writers=which, settings=settings
        )
        self._worker.start()

    def do_hurry(self, number: int) -> None:
        """Somebody waits for everything to be delivered."""
        self._waiting += 1
        if self._worker is not None:
            self._worker.hurry()
        self._hurries = number

    def do_calm(self) -> None:
        """Nobody does any more."""
        self._waiting -= 1
        if self._worker is not None:
            self._worker.calm()

    def do_reconfigure(self, config: Any) -> None:
        """Take up a changed configuration, and try again what was given up."""
        self._host().config = config
        if self._worker is not None:
            self._worker.reconfigure()

    def do_slow_down(self) -> None:
        """Rest longer between batches."""
        if self._worker is not None:
            self._worker.pace.slow_down()

    def do_ask_to_stop(self) -> None:
        """End delivery once the batch under way is dealt with."""
        if self._worker is not None:
            self._worker.ask_to_stop()

    def do_stop_delivery(self, timeout: float) -> Any:
        """End delivery."""
        if self._worker is not None:
            self._worker.stop(timeout)
        return self._state()

    def do_stop(self) -> None:
        """Stop the plugin."""
        manager = self._host()
        manager.stop_plugin(self._name)
        self._raise_failure(self._name)

    # -- how it is done --------------------------------------------------------------------------------

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
            error = PluginError(info.error or "", plugin=name)
            error.__cause__ = _Traceback(info.traceback or "")
            raise error

    # -- reports, on a thread of their own -------------------------------------------------------------

    def _report(self) -> None:
        """Say how the worker is doing, now and then; end with the process that listens."""
        last: Any = None
        with contextlib.suppress(OSError):
            while os.getppid() == self._parent:
                state = self._state()
                if state is not None or last is None:
                    self._send(self._sign_of_life(state))
                last = state
                self._look.wait(_HURRIED if self._waiting else _BEAT)
                self._look.clear()
        self._leave()

    def _sign_of_life(self, state: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"beat": os.getpid()}
        if state is not None:
            handle = self._host().handle(self._name)
            message["state"] = state
            message["costs"] = {  # all other hooks are called by way of the run's process
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
        """End, at once but for the batch under way."""
        if self._worker is not None:
            self._worker.stop(_LEAVING)
        os._exit(0)


_WITH_RUN: Final = ("run_started", "run_ended", "report_summary")


class _Traceback(Exception):
    """Carries the text of a traceback."""


def _told(error: Exception) -> dict[str, Any]:
    plugin, step = getattr(error, "plugin", ""), getattr(error, "step", "")
    cause = error.__cause__
    trace = str(cause) if isinstance(cause, _Traceback) else format_exception(error)
    return {"message": redact(str(error)), "plugin": plugin, "step": step, "traceback": trace}


def _wake_when_orphaned() -> None:
    """Have the kernel continue this process, should it be stopped when its parent goes: it could not end otherwise."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def main() -> None:
    """Take over standard input and output for messages, and serve."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # sent to the whole group: the run's process decides what they mean
    _wake_when_orphaned()
    receiver, sender = PipeReader(os.dup(0)), PipeWriter(os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what a plugin prints goes where errors go
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    Session(receiver, sender).serve()
