"""One plugin, driven through its life by the real host, with a real journal and real delivery."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet.collecting import Collecting
from tracelet.config import load_config
from tracelet.delivery import Delivery, Settings, verify
from tracelet.delivery.attaching import call_each, is_backend, start_and_attach
from tracelet.delivery.ledger.ledger import ledger_file
from tracelet.delivery.process import PluginProxy
from tracelet.delivery.worker import BackendWorker
from tracelet.errors import PluginError, UsageError
from tracelet.host.plugins import PluginManager
from tracelet.journal import Follower, Writer, writers
from tracelet.layout import runs_folder
from tracelet.run.recording import Recording
from tracelet.testing import faults as kinds
from tracelet.testing.expected import Received, expected, points_of
from tracelet.testing.faults import NAME as INJECTOR
from tracelet.testing.faults import Call, Fault, FaultInjector, FaultList, wrap_hooks
from tracelet.testing.plugins import find_plugin
from tracelet.testing.proxy import FaultyProxy
from tracelet_hookspecs import MetricData, PluginState

#: The intervals of delivery, compressed: retries, breaker and polling as in production, in milliseconds. This is the
#: clock of a test.
QUICK: Final = Settings(
    poll_shortest=0.002,
    poll_longest=0.01,
    retry_first=0.005,
    retry_longest=0.05,
    retry_longest_ending=0.02,
    save_every=0.0,
    save_rest=0.0,
    standby_poll=0.02,
)
TIMEOUT: Final = 30.0  # seconds that a test waits for delivery
_POLL: Final = 0.005
_LOOK: Final = 0.5  # seconds between two looks for an exception that is repeated
_SAVED: Final = 1.0  # seconds in which the ledger is stored
_ALL: Final = 1 << 20  # records of one read


class HarnessRun(Recording):
    """The run that a harness records: the calls of a program's run, and what hooks see of one."""

    def __init__(self, run_dir: Path, run_id: str, name: str, project: str) -> None:
        self.writer = Writer(run_dir, {"run": {"id": run_id, "name": name, "project": project}})
        super().__init__(run_dir, self.writer, strict=True)
        self.id, self.name, self.project = run_id, name, project
        self.started_at = time.time()

    def rename(self, name: str) -> None:
        """Give the run another name."""
        self.name = name
        self.writer.event("run", {"name": name})


class Harness:
    """One plugin in the real host. Every wait is bounded; a wait that fails says what the backend's state is.

    Args:
        plugin: a class, an object, a module, an installed name or ``"package.module:Class"``.
        config: the plugin's table.
        folder: where the run is recorded.
        isolation: ``"thread"`` or ``"process"``; by default what the plugin's metadata says.
        processors: plugins between the journal and the backend. tables: the configuration of other plugins.
        settings: the intervals of delivery.
        deadlines: seconds that a call may take, by step: ``{"log": 0.5}``.
        strict: ``"all"`` makes :meth:`check` fail for any hook error, leaked thread or output.
        start: whether to start at once. If that fails, the failure is raised; with ``"try"`` it is not.
    """

    def __init__(
        self,
        plugin: Any,
        config: Mapping[str, Any] | None = None,
        *,
        folder: Path,
        isolation: str | None = None,
        processors: Sequence[Any] = (),
        settings: Settings = QUICK,
        deadlines: Mapping[str, float] | None = None,
        run_id: str = "run-1",
        run_name: str = "a run",
        project: str = "kit",
        strict: bool | str = False,
        start: bool | str = True,
        tables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.plugin = find_plugin(plugin)
        self.config = dict(config or {})
        self.folder = folder
        self.isolation = isolation
        self.settings = settings
        self.strict = strict
        self.run_dir = runs_folder(folder) / run_id
        self.run = HarnessRun(self.run_dir, run_id, run_name, project)
        control = folder / "faults"
        control.mkdir(parents=True, exist_ok=True)
        self.faults = FaultList(control)
        self._processors = [find_plugin(each) for each in processors]
        self._deadlines = dict(deadlines or {})
        self._tables = dict(tables or {})
        self._before = set(threading.enumerate())
        self._snapshot: dict[Path, bytes] = {}
        self._abandoned: list[Any] = []
        self._output = _Output() if strict == "all" else None
        # Made by start(), which each harness has called before anything else is used.
        self.manager: PluginManager = None  # type: ignore[assignment]
        self.delivery: Delivery = None  # type: ignore[assignment]
        #: The proxy that the plugin's connection goes through, in a conformance suite that names its endpoint.
        self.proxy: FaultyProxy | None = None
        self.name = ""
        if start:
            self.start(must=start != "try")

    # -- the life of the plugin ------------------------------------------------------------------------

    def start(self, *, must: bool = True) -> bool:
        """Start the plugin and delivery to it. Raises :class:`PluginError` if it fails, unless ``must`` is false."""
        names = self.prepare()
        self.delivery = Delivery(self.manager, self.run, self.run_dir, settings=self.settings)
        self.collecting = Collecting(self.manager, self.run.writer)
        start_and_attach(self.manager, names, self.run, self._attach, delivery=self.delivery)
        is_active = self.info.state is PluginState.ACTIVE
        if must and not is_active:
            failure = self.manager.handle(self.name).failure
            raise (
                failure if isinstance(failure, PluginError) else PluginError(self.info.error or "not started")
            )
        return is_active

    def prepare(self) -> list[str]:
        """Make a manager that knows the plugin, without starting it. Returns the names of what is to be started."""
        manager = self.manager = PluginManager(use_default_paths=False, config=self._load_config({}))
        self.name = manager.register_plugin(self.plugin).name
        names = [manager.register_plugin(each).name for each in self._processors]
        table = {**self.config, **({"deadlines": self._deadlines} if self._deadlines else {})}
        if self.isolation is not None:
            table["isolation"] = self.isolation
        tables: dict[str, Any] = {**self._tables, self.name: table}
        metadata = manager.plugins[self.name].metadata
        if (self.isolation or metadata.isolation) == "process":
            tables[INJECTOR] = {"folder": str(self.faults.folder), "target": self.name}
            manager.register_plugin(FaultInjector)
            metadata.dependencies = [*metadata.dependencies, INJECTOR]
        else:
            wrap_hooks(manager.pluggy, self.name, self.faults)
        manager.config = self._load_config(tables)
        return [*names, self.name]

    def _load_config(self, tables: Mapping[str, Any]) -> Any:
        return load_config(root=self.folder, overrides={"plugins": dict(tables)}, environ={})

    def _attach(self, name: str) -> None:
        if self.manager.handle(name).implements("collect"):
            self.collecting.add(name)
        if is_backend(self.manager, name):
            self.delivery.add(name)

    def stop(self, outcome: str = "finished", timeout: float = TIMEOUT) -> dict[str, str]:
        """End as a run does: deliver the rest, call ``run_ended`` and ``stop``. Returns what is still pending."""
        self.collecting.stop(timeout)
        call_each(self.manager, self.manager.active("run_ended"), "run_ended", run=self.run, outcome=outcome)
        pending = self.delivery.finish(timeout)
        self.manager.stop_all_plugins(timeout)
        return pending

    def kill(self) -> None:
        """End the host's part as a kill does: nothing more is delivered or stored, and ``stop`` is not called.

        A plugin in a process of its own is killed with SIGKILL. One on a thread is dropped in the middle of its work;
        :class:`~tracelet.testing.BackendConformance` has tests that kill a real process.
        """
        pid = self.pid
        for worker in self.delivery._workers.values():
            if isinstance(worker, BackendWorker):
                worker._abandoned = True
                if worker.pipeline is not None:
                    worker.pipeline._is_ours = _never  # nothing more is stored
        self._abandoned.append(
            (self.manager, self.instance)
        )  # so that no destructor flushes what a kill would lose
        if pid is not None and pid != os.getpid():
            plugin = self.manager.handle(self.name).plugin
            if plugin.process is not None:
                plugin.process.ending = True  # the host is gone, too: it starts no other process
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.delivery.finish(0.0)
        ledger_file(self.run_dir, self.name).with_suffix(".lease").unlink(missing_ok=True)

    def restart(self, *, must: bool = True) -> bool:
        """Start again after :meth:`kill` or :meth:`stop`, from the journal and the stored cursor."""
        return self.start(must=must)

    def close(self) -> None:
        """End everything quickly. What is pending stays in the journal."""
        self.faults.clear()
        if self.delivery is not None:
            self.collecting.stop(1.0)
            self.delivery.finish(0.1)
        if self.manager is not None:
            self.manager.stop_all_plugins(5.0)
        with contextlib.suppress(Exception):
            self.run.writer.close()
        if self._output is not None:
            self._output.restore()

    # -- recording -------------------------------------------------------------------------------------

    def send(self, points: Any = (), *, wait: bool = True, timeout: float = TIMEOUT) -> list[MetricData]:
        """Record points, and wait until the backend has them.

        ``points`` holds ``(name, value)``, ``(name, value, step)`` or :class:`MetricData`; a mapping is
        one row. Returns the points with the ids and times that the journal gave them.
        """
        self._keep_snapshot()
        followers = {writer: Follower(self.run_dir, writer) for writer in writers(self.run_dir)}
        for follower in followers.values():
            while follower.read_columns(_ALL):
                pass
        for point in _rows(points):
            self.run.log_metric(*point)
        sent: list[MetricData] = []
        for writer in writers(self.run_dir):
            follower = followers.get(writer) or Follower(self.run_dir, writer)
            sent += points_of(writer, follower.read_columns(_ALL))
        if wait:
            self.wait(timeout)
        return sent

    def measure(self, times: int = 1, timeout: float = TIMEOUT) -> None:
        """Have a collector measure now, as at its interval, and wait for the measurements."""
        collector = self.collecting._collectors[self.name]
        for _ in range(times):
            self.wait_for(lambda: collector.busy_since is None, timeout)
            self.collecting._measure(collector)
            self.wait_for(lambda: collector.busy_since is None, timeout)

    def _keep_snapshot(self) -> None:
        file = ledger_file(self.run_dir, self.name)
        files = (file, file.with_suffix(".recent"))
        self._snapshot = {path: path.read_bytes() for path in files if path.exists()}

    def send_again(self, what: str = "last", *, timeout: float = TIMEOUT) -> None:
        """Deliver records again that the backend has: those of the ``"last"`` :meth:`send`, or ``"all"`` of them."""
        if what not in ("last", "all"):
            raise UsageError(f"send_again: expected 'last' or 'all', found {what!r}")
        snapshot = self._snapshot if what == "last" else {}
        self.delivery.remove(self.name, timeout)
        file = ledger_file(self.run_dir, self.name)
        for path in (file, file.with_suffix(".recent")):
            path.unlink(missing_ok=True)
            if path in snapshot:
                path.write_bytes(snapshot[path])
        self.delivery.add(self.name)
        self.wait(timeout)

    def wait(self, timeout: float = TIMEOUT) -> None:
        """Wait until the backend has everything. Raises ``AssertionError`` with its status if that takes too long."""
        began = time.monotonic()
        end = began + timeout
        while not self.delivery.flush(max(0.01, min(_LOOK, end - time.monotonic()))):
            status = self.delivery.status().get(self.name, {})
            if time.monotonic() > end or status.get("state") == "resting":
                self._give_up(f"{self.name} did not get everything: {_describe(status)}")
            self._check_repeats(began)
            time.sleep(_POLL)

    def _check_repeats(self, began: float) -> None:
        """Fail if there is no point in waiting: the same exception comes again and again."""
        if error := self.faults.repeated_error(began):
            self._give_up(f"{self.name}: {error}")

    def _give_up(self, why: str) -> None:
        """End delivery, then fail: pytest takes the traceback apart, which is not safe while others are made."""
        self.delivery.finish(0.1)
        raise AssertionError(why)

    def wait_for(self, condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
        """Wait until ``condition()`` is true, and return what it is. Raises ``AssertionError`` after ``timeout``."""
        began = looked = time.monotonic()
        end = began + timeout
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout:g} s in vain; {_describe(self.status())}")
            if time.monotonic() > looked + _LOOK:
                self._check_repeats(began)
                looked = time.monotonic()
            time.sleep(_POLL)
        return found

    # -- faults ----------------------------------------------------------------------------------------

    def fail_with(
        self,
        error: BaseException | type[BaseException],
        times: int | None = 1,
        *,
        hook: str = "",
        call: int = 1,
        metric: str | None = None,
    ) -> Fault:
        """Have the next calls raise: ``times`` of them, all with ``None``.

        ``hook`` is the name of a hook (by default every data hook), ``call`` the number of the first call that fails,
        ``metric`` the name of a metric that the call must carry. :meth:`clear` ends it.
        """
        made = error() if isinstance(error, type) else error
        return self.faults.add(Fault(kinds.RAISE, hook, call, times, made, metric=metric))

    def lose_answer(self, times: int | None = 1, *, hook: str = "", call: int = 1) -> Fault:
        """Have the next calls do their work and then fail, as when the connection breaks before the answer."""
        return self.faults.add(Fault(kinds.LOSE_ANSWER, hook, call, times))

    def stall(
        self, seconds: float | None = None, times: int | None = 1, *, hook: str = "", call: int = 1
    ) -> Fault:
        """Have the next calls wait for so many seconds first; without a number, until :meth:`clear`."""
        kind = kinds.HANG if seconds is None else kinds.DELAY
        return self.faults.add(Fault(kind, hook, call, times, seconds=seconds or 0.0))

    def clear(self, *faults: Fault) -> None:
        """End these faults, or all. Calls that wait in one of them continue."""
        self.faults.clear(*faults)

    # -- what can be seen ------------------------------------------------------------------------------

    @property
    def info(self) -> Any:
        """The plugin as the manager knows it: state, error, metadata."""
        return self.manager.plugins[self.name]

    @property
    def instance(self) -> Any:
        """The plugin's object; in a process of its own, the object that stands for it here."""
        return self.manager.get_plugin_instance(self.name)

    @property
    def pid(self) -> int | None:
        """The id of the process that the plugin runs in."""
        plugin = self.manager.handle(self.name).plugin
        if not isinstance(plugin, PluginProxy):
            return os.getpid()
        return plugin.process.pid if plugin.process is not None else None

    def status(self) -> dict[str, Any]:
        """Return the plugin's state, its own status, and the state of delivery to it."""
        known = self.manager.get_status()["plugins"][self.name]
        return {**known, "delivery": self.delivery.status().get(self.name)}

    @property
    def calls(self) -> list[Call]:
        """All calls of the plugin's hooks, with their arguments."""
        return self.faults.calls

    @property
    def received(self) -> Received:
        """What the plugin has accepted, in order; repeats included."""
        received = Received()
        for call in self.calls:
            if call.accepted and call.hook in kinds.DATA:
                received.add(call.hook, call.given)
        return received

    @property
    def expected(self) -> Received:
        """What the plugin should have received: the journal after processors and routes."""
        return expected(self.run_dir, self.name, self.manager)

    def verify(self) -> Any:
        """Reconcile the journal with the backend's ledger. Raises ``AssertionError`` unless they agree."""
        end = time.monotonic() + _SAVED
        found = verify(self.run_dir)
        # The ledger is stored a moment after the last batch.
        while not _is_stored(found, self.name) and time.monotonic() < end:
            time.sleep(_POLL)
            found = verify(self.run_dir)
        if not found.agrees:
            raise AssertionError(f"the ledger does not agree with the journal: {found}")
        return found

    def check(self) -> None:
        """Raise ``AssertionError`` for every hook error that was not a fault set here.

        With ``strict="all"``, also for threads that are left after :meth:`stop` and for output.
        """
        faults = [f"{call.hook}: {call.error}" for call in self.calls if call.error and not call.injected]
        if self._output is not None:
            faults += [f"it printed {text!r}" for text in self._output.texts()]
        if self.strict == "all":
            faults += [f"the thread {name!r} is left" for name in self._leaked_threads()]
        if faults:
            raise AssertionError(f"plugin {self.name!r}: {'; '.join(dict.fromkeys(faults))}")

    def _leaked_threads(self) -> list[str]:
        if self.info.state is PluginState.ACTIVE:
            return []
        new = [thread for thread in threading.enumerate() if thread not in self._before]
        return [thread.name for thread in new if not thread.name.startswith("tracelet") and not thread.daemon]


class _Output:
    """Notes what plugins' threads print. The text goes on to where it would have gone."""

    def __init__(self) -> None:
        self._kept = (sys.stdout, sys.stderr)
        self._texts: list[str] = []
        sys.stdout, sys.stderr = (_Tee(stream, self._texts) for stream in self._kept)

    def texts(self) -> list[str]:
        return [text for text in self._texts if text.strip()]

    def restore(self) -> None:
        for name, stream in zip(("stdout", "stderr"), self._kept, strict=True):
            if isinstance(getattr(sys, name), _Tee):
                setattr(sys, name, stream)


class _Tee:
    def __init__(self, stream: Any, texts: list[str]) -> None:
        self._stream = stream
        self._texts = texts

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("tracelet plugin"):
            self._texts.append(text)
        return int(self._stream.write(text) or 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_stored(found: Any, name: str) -> bool:
    return any(row.backend == name and not row.pending for row in found.backends)


def _never() -> bool:
    return False


def _rows(points: Any) -> Iterable[tuple[Any, ...]]:
    if isinstance(points, Mapping):
        return [(name, value, None) for name, value in points.items()]
    return [
        (point.name, point.value, point.iteration) if isinstance(point, MetricData) else tuple(point)
        for point in points
    ]


def _describe(status: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in status.items() if value not in (None, 0, 0.0, {}, ""))
