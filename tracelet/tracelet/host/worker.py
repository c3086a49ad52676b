"""One plugin, one thread: calls run there one at a time, and each has a deadline."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from tracelet.config import DEADLINE_OF
from tracelet.errors import PluginError
from tracelet.host import locations
from tracelet.host.task import RUNNING, WITHDRAWN, Task


class Overrun(PluginError):
    """A call passed its deadline and was left behind, with its thread.

    ``stack`` is where the thread was then, as text; ``calls`` what was running on it, outermost first.
    """

    stack: str = ""
    calls: list[locations.Call] = []


class Busy(PluginError):
    """The plugin's thread did not come to this call, or to its end, in time. Nothing is lost but the wait."""


class NotCalled(PluginError):
    """A call was not even tried: the thread hangs in another, or stayed in the parent of a fork."""


def is_for_here(error: BaseException) -> bool:
    """Whether an exception that a plugin raised is one for whoever waits to hear, and not the plugin's failure.

    Only Ctrl-C is, and only on the main thread: elsewhere nobody would expect it.
    """
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


class _Lane:
    """A thread and the calls queued for it. ``abandoned`` once it hangs: it makes no further call then."""

    __slots__ = ("_is_over", "abandoned", "current", "tasks", "thread")

    def __init__(self, name: str, is_over: Callable[[_Lane], bool]) -> None:
        self.tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.current: Task | None = None
        self.abandoned = False
        self._is_over = is_over
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def _serve(self) -> None:
        while not self.abandoned:
            task = self.tasks.get()
            if task is None:
                if self._is_over(self):
                    return
            elif task.claim(RUNNING):
                self.current = task
                task.run()
                self.current = None
            del task  # what it holds must not live until the next one comes

    def abandon(self, why: Callable[[str], PluginError]) -> None:
        """Expect nothing more of this thread, and tell those who wait for it."""
        self.abandoned = True
        while not self.tasks.empty():
            try:
                task = self.tasks.get_nowait()
            except queue.Empty:
                break
            if task is not None and task.claim(WITHDRAWN):
                task.error = why(task.step)
                task.done.set()
        self.tasks.put(None)  # it may have returned at this very moment, and would wait for ever


class Worker:
    """The thread that one plugin lives on. It starts with the first call and is a daemon: it cannot hold up exit."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        #: The step that never returned, once one has not.
        self.stuck: str | None = None
        self._lane: _Lane | None = None
        self._pid = os.getpid()
        # Reentrant: a signal handler that ends the run may interrupt any of this on the same thread.
        self._lock = threading.RLock()

    @property
    def usable(self) -> bool:
        """Whether calls can still be made: nothing hangs, and this is the process that the thread is in."""
        return self.stuck is None and self._pid == os.getpid()

    @property
    def on_it(self) -> bool:
        """Whether the current thread is this plugin's own."""
        lane = self._lane
        return lane is not None and lane.thread is threading.current_thread()

    def run(self, function: Callable[[], Any], *, step: str, deadline: float, patient: bool = False) -> Any:
        """Run a function on the plugin's thread and return what it returned.

        Raises what the function raised; :class:`Overrun` when it was still running ``deadline`` seconds after
        it began (it and its thread are then left behind for good), :class:`Busy` when it had not begun. With
        ``patient`` nothing is left behind: only the wait ends, with :class:`Busy`.
        """
        if self.on_it:
            return function()  # a hook that asks the host for something of its own plugin
        task = self.post(function, step=step, deadline=deadline)
        self.wait(task, patient=patient)
        return task.outcome()

    def post(self, function: Callable[[], Any], *, step: str, deadline: float) -> Task:
        """Queue a function and do not wait for it. Raises :class:`~tracelet.errors.PluginError` if that is no use."""
        task = Task(function, step, deadline)
        if self._pid != os.getpid():
            raise self._refusal(step)
        with self._lock:
            if self.stuck is not None:
                raise self._refusal(step)
            if self._lane is None:
                lane = _Lane(f"tracelet plugin {self.plugin}", self._is_over)
                lane.thread.start()
                self._lane = lane
            self._lane.tasks.put(task)
        return task

    def wait(self, task: Task, *, patient: bool = False, timeout: float | None = None) -> None:
        """Wait until a queued call has been made, by default within its deadline.

        Raises as :meth:`run` does, except what the function raised.
        """
        if self.on_it and task.claim(RUNNING):  # it is this thread that would have to come to it
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
            raise self.leave_behind(task)

    def retire(self) -> None:
        """Let the thread end once there is nothing more for it to do. A later call starts a new one."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._lane is not None:
                self._lane.tasks.put(None)

    def _is_over(self, lane: _Lane) -> bool:
        """Say whether a retired thread may end: not while calls are queued, for which it would be two of them."""
        with self._lock:
            if lane is self._lane and not lane.tasks.empty():
                return False
            if lane is self._lane:
                self._lane = None
            return True

    def renew(self) -> None:
        """Give up a thread that hangs, or was lost in a fork, so that the plugin may be tried again on a new one."""
        if self.usable:
            return
        if self._pid != os.getpid():
            self._lock = threading.RLock()  # whoever held it stayed in the parent process
            self._lane = None
        with self._lock:
            if self._lane is not None:
                self._lane.abandon(self._refusal)
            self._pid = os.getpid()
            self._lane = self.stuck = None

    def leave_behind(self, task: Task) -> Overrun:
        """Give up a call that overran, and its thread with it. Returns the error that says so."""
        with self._lock:
            self.stuck = task.step
            lane = self._lane
            if lane is not None:
                lane.abandon(self._refusal)
        place, stack, calls = locations.of_thread(lane.thread.ident if lane is not None else None)
        where = f" at {place}" if place else ""
        overrun = Overrun(
            f"plugin {self.plugin!r}: {task.step} was still running{where} after {task.deadline:g} s and was left"
            f" behind; mend the plugin or raise deadlines.{DEADLINE_OF.get(task.step, task.step)}",
            plugin=self.plugin,
            step=task.step,
        )
        overrun.stack, overrun.calls = stack, calls
        return overrun

    def _refusal(self, step: str) -> NotCalled:
        why = f"{self.stuck} never returned"
        if self._pid != os.getpid():
            why = (
                f"plugins live in the process that started them ({self._pid}),"
                f" not in its forked child ({os.getpid()})"
            )
        message = f"plugin {self.plugin!r}: {step} not called, since {why}"
        return NotCalled(message, plugin=self.plugin, step=step)

    def _not_begun(self, task: Task, patient: bool) -> PluginError:
        """A call never began: either the one before it hangs for good, or the thread is merely busy."""
        before = self._lane.current if self._lane is not None else None
        if before is not None and before.overdue() and not patient:
            return self.leave_behind(before)
        busy = f"busy with {before.step}" if before is not None else "busy"
        return Busy(
            f"plugin {self.plugin!r}: {task.step} did not begin within {task.deadline:g} s, its thread being {busy}",
            plugin=self.plugin,
            step=task.step,
        )
