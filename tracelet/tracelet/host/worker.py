"""One plugin, one thread: calls run there one at a time, and each has a deadline."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tracelet.config import DEADLINE_OF
from tracelet.errors import PluginError, UsageError
from tracelet.host import intrusions, leftovers, locations
from tracelet.host.intrusions import Snapshot

PENDING: Final = 0
RUNNING: Final = 1
DONE: Final = 2
WITHDRAWN: Final = 3

_NAME: Final = "tracelet plugin "
#: The attribute of a plugin's thread that leads to what runs on it.
ATTRIBUTE: Final = leftovers.PLUGIN_THREAD


class Overrun(PluginError):
    """A call passed its deadline and was abandoned together with its thread.

    ``stack`` is where the thread was at that moment, as text; ``calls`` are the calls on it, outermost first.
    """

    stack: str = ""
    calls: list[locations.Call] = []


class Busy(PluginError):
    """The plugin's thread did not begin or finish this call in time. Only the wait ended; nothing is lost."""


class NotCalled(PluginError):
    """A call was not made: the thread hangs in another call, or belongs to the parent of a fork."""


def belongs_to_caller(error: BaseException) -> bool:
    """Return whether an exception raised by a plugin is meant for the waiting program: Ctrl-C on the main thread."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def is_plugin_thread() -> bool:
    """Return whether the current thread is that of a plugin."""
    return ATTRIBUTE in threading.current_thread().__dict__


class Task:
    """One call on its way to a plugin's thread and back. ``done`` is set once it has returned or raised."""

    __slots__ = ("_claim", "began", "deadline", "done", "error", "function", "result", "state", "step")

    def __init__(self, function: Callable[[], Any], step: str, deadline: float) -> None:
        self.function = function
        self.step = step
        self.deadline = min(deadline, threading.TIMEOUT_MAX)
        self.state = PENDING
        self._claim = threading.Lock()
        self.began = 0.0
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()

    def claim(self, state: int) -> bool:
        """Take a pending call, either to run it or to withdraw it. Only one side succeeds."""
        with self._claim:
            if self.state != PENDING:
                return False
            self.began = time.monotonic()
            self.state = state
            return True

    def run(self, clean_up: Callable[[], None] | None = None) -> None:
        """Make the call and keep its result or its exception; then clean up before it is reported as done."""
        try:
            self.result = self.function()
        except BaseException as error:  # SystemExit and KeyboardInterrupt as well: the caller decides
            self.error = error
        if clean_up is not None:
            clean_up()
        self.state = DONE
        self.done.set()

    def overdue(self) -> bool:
        """Return whether the call is running and has passed its deadline."""
        return self.state == RUNNING and time.monotonic() > self.began + self.deadline

    def outcome(self) -> Any:
        """Return what the function returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class _PluginThread:
    """A thread and its queue of calls. Once it hangs it is ``abandoned`` and makes no further call."""

    __slots__ = ("_may_end", "abandoned", "current", "tasks", "thread")

    def __init__(self, name: str, may_end: Callable[[_PluginThread], bool]) -> None:
        self.tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.current: Task | None = None
        self.abandoned = False
        self._may_end = may_end
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.thread.__dict__[ATTRIBUTE] = self
        self.thread.__dict__[leftovers.OWNER] = name.removeprefix(_NAME)

    def _serve(self) -> None:
        while not self.abandoned:
            task = self.tasks.get()
            if task is None:
                if self._may_end(self):
                    return
            elif task.claim(RUNNING):
                self.current = task
                plugin = self.thread.name.removeprefix(_NAME)
                children, before, pid = leftovers.children(), Snapshot(task.step), os.getpid()
                task.run(partial(before.restore, plugin, task.step))
                if os.getpid() != pid:  # a child that the call forked, and that returned: nobody waits for it
                    os._exit(1 if task.error is not None else 0)
                leftovers.mark_children(children, plugin)
                self.current = None
            del task  # its arguments and result must not stay alive until the next call

    def abandon(self, why: Callable[[str], PluginError]) -> None:
        """Make no further call on this thread, and fail the calls that are queued."""
        self.abandoned = True
        while not self.tasks.empty():
            try:
                task = self.tasks.get_nowait()
            except queue.Empty:
                break
            if task is not None and task.claim(WITHDRAWN):
                task.error = why(task.step)
                task.done.set()
        self.tasks.put(None)  # the call may have returned just now, and the thread would wait forever


def current_call() -> tuple[str, str]:
    """Return the plugin and the step that run on the current thread; two empty texts on any other thread."""
    here: _PluginThread | None = threading.current_thread().__dict__.get(ATTRIBUTE)
    task = here.current if here is not None else None
    return (
        (here.thread.name.removeprefix(_NAME), task.step)
        if here is not None and task is not None
        else ("", "")
    )


def refuse_in_plugin(call: str, remedy: str) -> None:
    """Raise :class:`UsageError` on a plugin's thread, for a call that would wait for the hook that makes it."""
    if is_plugin_thread():
        plugin, step = current_call()
        raise UsageError(
            f"{call}() was called by plugin {plugin!r} in {step}, where it would wait for itself; {remedy}"
        )


class Worker:
    """The thread of one plugin. It starts with the first call and is a daemon, so it cannot block the exit."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        #: The step that never returned, if there is one.
        self.stuck: str | None = None
        self._current: _PluginThread | None = None
        self._pid = os.getpid()
        # Reentrant: a signal handler that ends the run may interrupt any of this on the same thread.
        self._lock = threading.RLock()

    @property
    def usable(self) -> bool:
        """Whether calls can be made: no call hangs, and this process owns the thread."""
        return self.stuck is None and self._pid == os.getpid()

    @property
    def is_current(self) -> bool:
        """Whether the current thread is this plugin's own."""
        current = self._current
        return current is not None and current.thread is threading.current_thread()

    def run(self, function: Callable[[], Any], *, step: str, deadline: float, patient: bool = False) -> Any:
        """Run a function on the plugin's thread and return its result.

        Raises what the function raised; :class:`Overrun` if it was still running ``deadline`` seconds after it
        began (the call and its thread are then abandoned), and :class:`Busy` if it had not begun. With
        ``patient`` nothing is abandoned: only the wait ends, with :class:`Busy`.
        """
        if self.is_current:
            return function()  # a hook asks the host for a call of its own plugin
        task = self.post(function, step=step, deadline=deadline)
        self.wait(task, patient=patient)
        return task.outcome()

    def post(self, function: Callable[[], Any], *, step: str, deadline: float) -> Task:
        """Queue a function without waiting. Raises :class:`NotCalled` if the thread cannot make calls."""
        task = Task(function, step, deadline)
        if self._pid != os.getpid():
            raise self._refusal(step)
        with self._lock:
            if self.stuck is not None:
                raise self._refusal(step)
            if self._current is None:
                current = _PluginThread(_NAME + self.plugin, self._may_end)
                leftovers.install()
                intrusions.install()
                current.thread.start()
                self._current = current
            self._current.tasks.put(task)
        return task

    def wait(self, task: Task, *, patient: bool = False, timeout: float | None = None) -> None:
        """Wait for a queued call, by default within its deadline. Raises as :meth:`run`, but not its error."""
        if self.is_current and task.claim(RUNNING):  # no other thread could run it
            task.run()
        if task.done.wait(task.deadline if timeout is None else timeout):
            return
        if task.claim(WITHDRAWN):
            raise self._not_begun(task, patient)
        if patient:
            raise Busy(
                f"plugin {self.plugin!r}: {task.step} has not answered within {task.deadline:g} s",
                plugin=self.plugin,
                step=task.step,
            )
        left = task.began + task.deadline - time.monotonic()
        if not task.done.wait(max(left, 0.0)):
            raise self.abandon(task)

    def retire(self) -> None:
        """Let the thread end after its queued calls. A later call starts a new thread."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._current is not None:
                self._current.tasks.put(None)

    def _may_end(self, ending: _PluginThread) -> bool:
        """Return whether a retired thread may end. With calls still queued it may not: a plugin has one thread."""
        with self._lock:
            if ending is self._current and not ending.tasks.empty():
                return False
            if ending is self._current:
                self._current = None
            return True

    def renew(self) -> None:
        """Drop a thread that hangs or was lost in a fork, so that the plugin can be tried again on a new one."""
        if self.usable:
            return
        if self._pid != os.getpid():
            self._lock = threading.RLock()  # its holder may exist only in the parent process
            self._current = None
        with self._lock:
            if self._current is not None:
                self._current.abandon(self._refusal)
            self._pid = os.getpid()
            self._current = self.stuck = None

    def abandon(self, task: Task) -> Overrun:
        """Abandon a call that overran, together with its thread. Returns the error that describes it."""
        with self._lock:
            self.stuck = task.step
            current = self._current
            if current is not None:
                current.abandon(self._refusal)
        place, stack, calls = locations.of_thread(current.thread.ident if current is not None else None)
        where = f" at {place}" if place else ""
        overrun = Overrun(
            f"plugin {self.plugin!r}: {task.step} was still running{where} after {task.deadline:g} s and was"
            f" abandoned; fix the plugin or raise deadlines.{DEADLINE_OF.get(task.step, task.step)}",
            plugin=self.plugin,
            step=task.step,
        )
        overrun.stack, overrun.calls = stack, calls
        return overrun

    def _refusal(self, step: str) -> NotCalled:
        why = f"{self.stuck} never returned"
        if self._pid != os.getpid():
            why = (
                f"plugins belong to the process that started them ({self._pid}),"
                f" not to its forked child ({os.getpid()})"
            )
        message = f"plugin {self.plugin!r}: {step} not called, because {why}"
        return NotCalled(message, plugin=self.plugin, step=step)

    def _not_begun(self, task: Task, patient: bool) -> PluginError:
        """Return the error for a call that never began: the call before it hangs, or the thread is only busy."""
        before = self._current.current if self._current is not None else None
        if before is not None and before.overdue() and not patient:
            return self.abandon(before)
        busy = f"busy with {before.step}" if before is not None else "busy"
        return Busy(
            f"plugin {self.plugin!r}: {task.step} did not begin within {task.deadline:g} s; its thread was {busy}",
            plugin=self.plugin,
            step=task.step,
        )
