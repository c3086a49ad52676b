"""Faults on command, inside the calls of a plugin's hooks: by hook and call number, in any process.

The plugin's own implementations are wrapped, so that a fault is indistinguishable from one of the plugin: the host
retries, splits, pauses and accounts for it as usual. :class:`FaultInjector` is the plugin that brings the wrapping
into a process of the plugin's own; there, faults and calls are exchanged through files in a folder.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from tracelet.errors import UsageError
from tracelet_hookspecs import BACKEND_HOOKS, PluginMetadata, PluginType, hookimpl

#: What a fault does.
RAISE, LOSE_ANSWER, DELAY, HANG = "raise", "lose answer", "delay", "hang"
KILL_BEFORE, KILL_DURING, KILL_AFTER = "kill before", "kill during", "kill after"
KINDS: Final = (RAISE, LOSE_ANSWER, DELAY, HANG, KILL_BEFORE, KILL_DURING, KILL_AFTER)
#: The hooks that a fault without a hook applies to.
DATA: Final = frozenset(BACKEND_HOOKS)
NAME: Final = "tracelet-faults"

_FAULTS, _CALLS = "faults.pickle", "calls.pickle"
_STEP: Final = 0.005  # seconds between two looks of a call that hangs
_MANY: Final = 60  # repeats of one exception
_LONG, _LONG_OUTAGE = 1.0, 10.0  # seconds for which it is repeated


@attrs.define
class Fault:
    """What goes wrong, when, and how often.

    ``hook`` is the name of a hook, "" for every data hook. ``call`` is the number of the first affected call, counted
    from 1 since the fault was set. ``times`` is how many calls are affected, ``None`` all until it is cleared.
    ``metric`` limits it to calls that carry a metric of this name.
    """

    kind: str
    hook: str = ""
    call: int = 1
    times: int | None = 1
    error: BaseException | None = None
    seconds: float = 0.0
    metric: str | None = None
    number: int = 0

    def concerns(self, hook: str, given: Mapping[str, Any]) -> bool:
        """Say whether the fault applies to this hook and these arguments."""
        if self.hook != hook if self.hook else hook not in DATA:
            return False
        if self.metric is None:
            return True
        return self.metric in _names_in(given)


@attrs.define
class Call:
    """One call of a hook: its arguments as they were given, and what it raised."""

    hook: str
    given: dict[str, Any]
    error: str | None = None
    injected: bool = False  # whether the error was a fault that was set
    seconds: float = 0.0
    where: str = ""  # the file and line that raised the error
    outage: bool = False  # whether the error was an OSError
    began: float = 0.0  # as time.monotonic() gives it

    @property
    def accepted(self) -> bool:
        """Whether the call returned."""
        return self.error is None


class FaultList:
    """The faults that are set, and the calls that were made, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[Fault] = []
        self._calls: list[Call] = []
        self._seen: Counter[int] = Counter()
        self._events: Counter[str] = Counter()  # profiled events of one call, by hook
        self._number = 0
        self._elsewhere: list[Call] = []  # calls in other processes
        self._offset = 0  # of the file that has them
        self._lock = threading.Lock()
        _local[str(folder)] = self

    # -- for the test ----------------------------------------------------------------------------------

    def add(self, fault: Fault) -> Fault:
        """Set a fault."""
        if fault.kind not in KINDS:
            raise UsageError(f"fault: expected one of {', '.join(map(repr, KINDS))}, found {fault.kind!r}")
        self._number += 1
        fault.number = self._number
        self.faults = [*self.faults, fault]
        self._store()
        return fault

    def clear(self, *faults: Fault) -> None:
        """Clear these faults, or all of them. Calls that hang in one of them continue."""
        gone = {fault.number for fault in faults or self.faults}
        self.faults = [fault for fault in self.faults if fault.number not in gone]
        self._store()

    def _store(self) -> None:
        part = self.folder / f"{_FAULTS}.part"
        try:
            part.write_bytes(pickle.dumps(self.faults))
        except Exception:  # an exception of a local class: it stays in this process
            part.write_bytes(pickle.dumps([]))
        part.replace(self.folder / _FAULTS)

    @property
    def calls(self) -> list[Call]:
        """Return all calls, those in other processes last."""
        ended = (FileNotFoundError, EOFError, pickle.UnpicklingError)
        with contextlib.suppress(*ended), open(self.folder / _CALLS, "rb") as file:
            file.seek(self._offset)
            while True:
                self._elsewhere.append(pickle.load(file))
                self._offset = file.tell()
        return [*self._calls, *self._elsewhere]

    def repeated_error(self, since: float) -> str:
        """Say which exception the data hooks raise again and again, while they accept nothing; "" if none.

        An outage gets more time, counted from ``since``: the far side may need it to come back.
        """
        last: Call | None = None
        times = 0
        for call in reversed(self.calls):
            if call.hook not in DATA or call.injected:
                continue
            last = last or call
            if call.error is None or last.error is None or (call.where, call.hook) != (last.where, last.hook):
                break
            times += 1
            began = call.began
        if last is None or times < _MANY:
            return ""
        if time.monotonic() - max(began, since) < (_LONG_OUTAGE if last.outage else _LONG):
            return ""
        return f"{last.hook} raised {last.error} ({last.where}) {times} times, and accepted nothing meanwhile"

    # -- around each call ------------------------------------------------------------------------------

    def current(self) -> list[Fault]:
        """Return the faults that are set now."""
        return self.faults

    def around(self, hook: str, given: dict[str, Any], call: Callable[[], Any]) -> Any:
        """Make a call with the faults that apply to it."""
        began = time.perf_counter()
        record = Call(hook, copy_of(given), began=time.monotonic())
        due = list(self._due(hook, given))
        try:
            for fault in due:
                self._before(fault, record)
            result = self._profiled(hook, call, due)
            for fault in due:
                self._after(fault, record)
        except BaseException as error:
            record.error = f"{type(error).__name__}: {error}"
            record.where = place_of(error)
            record.outage = isinstance(error, OSError)
            raise
        finally:
            record.seconds = time.perf_counter() - began
            self._record(record)
        return result

    def _due(self, hook: str, given: Mapping[str, Any]) -> Iterator[Fault]:
        for fault in self.current():
            if fault.concerns(hook, given):
                self._seen[fault.number] += 1
                number = self._seen[fault.number] - fault.call
                if number >= 0 and (fault.times is None or number < fault.times):
                    yield fault

    def _before(self, fault: Fault, record: Call) -> None:
        if fault.kind == DELAY:
            self._sleep(fault, fault.seconds)
        elif fault.kind == HANG:
            self._sleep(fault, fault.seconds or float("inf"))
        elif fault.kind == KILL_BEFORE:
            kill_this_process()
        elif fault.kind == RAISE:
            record.injected = True
            raise _fresh(fault.error)

    def _after(self, fault: Fault, record: Call) -> None:
        if fault.kind == KILL_AFTER:
            kill_this_process()
        elif fault.kind == LOSE_ANSWER:
            record.injected = True
            raise _fresh(fault.error)

    def _sleep(self, fault: Fault, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(each.number == fault.number for each in self.current()):
            time.sleep(min(_STEP, max(0.0, end - time.monotonic())))

    def _profiled(self, hook: str, call: Callable[[], Any], due: list[Fault]) -> Any:
        """Make a call; to be killed in the middle of one, count what the calls before it did."""
        if not any(fault.kind == KILL_DURING for fault in self.current()):
            return call()
        is_due = any(fault.kind == KILL_DURING for fault in due)
        kill_at = max(1, self._events[hook] // 2) if is_due else 0
        count = 0

        def profile(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += 1
            if count == kill_at:
                kill_this_process()

        sys.setprofile(profile)
        try:
            answer = call()
        finally:
            sys.setprofile(None)
            self._events[hook] = count
        if is_due:  # it did less than half of what the call before it did
            kill_this_process()
        return answer

    def _record(self, record: Call) -> None:
        with self._lock:
            self._calls.append(record)


class _RemoteFaultList(FaultList):
    """The faults as another process has set them; what is called here is appended to a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stamp = (0, 0)

    def current(self) -> list[Fault]:
        """Read the faults again if they have changed."""
        with contextlib.suppress(FileNotFoundError):
            stamp = (self.folder / _FAULTS).stat()
            if (stamp.st_mtime_ns, stamp.st_ino) != self._stamp:
                self.faults = pickle.loads((self.folder / _FAULTS).read_bytes())
                self._stamp = (stamp.st_mtime_ns, stamp.st_ino)
        return self.faults

    def _record(self, record: Call) -> None:
        with self._lock, open(self.folder / _CALLS, "ab") as file:
            file.write(pickle.dumps(record))


_local: dict[str, FaultList] = {}


def fault_list(folder: Path) -> FaultList:
    """Return the faults of a folder: those of this process, or those that another one sets."""
    return _local.get(str(folder)) or _RemoteFaultList(folder)


def place_of(error: BaseException) -> str:
    """Return the file and line that raised an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown place"
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def _names_in(given: Mapping[str, Any]) -> set[str | None]:
    """Return the names of the metrics in a call's arguments."""
    if "columns" in given:
        columns = given["columns"]
        return {columns.keys[at].name for at in set(columns.key_indices)}
    points = given.get("points")
    return {point.name for point in points} if points is not None else {given.get("name")}


def copy_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as they are now, without the run: a hook may change them."""
    kept = {key: value for key, value in given.items() if key not in ("run", "plugin")}
    try:
        return copy.deepcopy(kept)
    except Exception:  # of a class that cannot be copied
        return kept


def _fresh(error: BaseException | None) -> BaseException:
    """Return a copy of an exception, so that no attempt sees the traceback of another."""
    if error is None:
        return ConnectionResetError("the answer was lost")
    try:
        return copy.copy(error).with_traceback(None)
    except Exception:
        return error


def kill_this_process() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def wrap_hooks(registry: Any, name: str, faults: FaultList) -> None:
    """Have a plugin's hooks called with these faults, from when the registry registers it."""
    register = registry.register

    def register_wrapped(plugin: object, name_: str | None = None, *more: Any) -> str | None:
        registered: str | None = register(plugin, name_, *more)
        if (name_ or registered) == name:
            for hook in registry.hook_names():
                for impl in registry.caller(hook).get_hookimpls():
                    if impl.plugin_name == name and not (impl.wrapper or impl.hookwrapper):
                        impl.function = _wrapped(impl.function, hook, faults)
        return registered

    registry.register = register_wrapped


def _wrapped(function: Callable[..., Any], hook: str, faults: FaultList) -> Callable[..., Any]:
    try:
        bind = inspect.signature(function).bind
    except (TypeError, ValueError):  # written in C
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = dict(bind(*args, **kwargs).arguments)
        return faults.around(hook, given, lambda: function(*args, **kwargs))

    return call


class FaultInjector:
    """The plugin that wraps another plugin's hooks in a process that loads both: a dependency added by the kit."""

    def __init__(self) -> None:
        self._registry: Any = None

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(NAME, "1", PluginType.FRAMEWORK, "Faults on command, for tests")

    @hookimpl
    def addhooks(self, pluginmanager: Any) -> None:
        """Keep the registry. No hooks are added."""
        self._registry = pluginmanager

    @hookimpl
    def initialize(self, config: Mapping[str, Any]) -> None:
        """Wrap the hooks of ``target``, unless the test does so in this process."""
        if config["folder"] not in _local:
            wrap_hooks(self._registry, config["target"], fault_list(Path(config["folder"])))

    @hookimpl
    def start(self) -> None:
        """Nothing to start."""

    @hookimpl
    def stop(self) -> None:
        """Nothing to stop."""

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return nothing."""
        return {}
