"""One plugin, one thread: calls run there one at a time, and each has a deadline."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tracelet.errors import PluginError


class Overrun(PluginError):
    """A call passed its deadline and was left behind, with its thread."""


class Busy(PluginError):
    """The plugin's thread did not come to this call in time; the call was withdrawn."""


_PENDING: Final = 0
_RUNNING: Final = 1
_DONE: Final = 2
_WITHDRAWN: Final = 3


class _Task:
    """One call on its way to a plugin's thread and back."""

    __slots__ = ("_claim", "began", "deadline", "done", "error", "function", "result", "state", "step")

    def __init__(self, function: Callable[[], Any], step: str, deadline: float) -> None:
        self.function = function
        self.step = step
        self.deadline = deadline
        self.state = _PENDING
        self._claim = threading.Lock()
        self.began = 0.0
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()

    def claim(self, state: int) -> bool:
        """Take a pending call, to run it or to withdraw it; only one of the two sides gets it."""
        with self._claim:
            if self.state != _PENDING:
                return False
            self.began = time.monotonic()
            self.state = state
            return True

    def run(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: they are told to the caller
            self.error = error
        self.state = _DONE
        self.done.set()


class Worker:
    """The thread that one plugin lives on. It starts with the first call and is a daemon: it cannot hold up exit."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.stuck: str | None = None
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._current: _Task | None = None
        self._pid = os.getpid()

    @property
    def usable(self) -> bool:
        """Whether calls can still be made: nothing hangs, and this is the process that the thread is in."""
        return self.stuck is None and self._pid == os.getpid()

    @property
    def on_it(self) -> bool:
        """Whether the current thread is this plugin's own."""
        return self._thread is threading.current_thread()

    def run(self, function: Callable[[], Any], *, step: str, deadline: float) -> Any:
        """Run a function on the plugin's thread and return what it returned.

        Raises what the function raised; :class:`Overrun` when it was still running ``deadline`` seconds after
        it began (it and its thread are then left behind for good), :class:`Busy` when it had not begun.
        """
        if self.on_it:
            return function()  # a hook that asks the host for something of its own plugin
        task = self.post(function, step=step, deadline=deadline)
        self._await(task)
        if task.error is not None:
            raise task.error
        return task.result

    def post(self, function: Callable[[], Any], *, step: str, deadline: float) -> _Task:
        """Queue a function and do not wait for it."""
        self._check(step)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._serve, name=f"tracelet plugin {self.plugin}", daemon=True
            )
            self._thread.start()
        task = _Task(function, step, deadline)
        self._tasks.put(task)
        return task

    def retire(self) -> None:
        """Let the thread end once its queue is empty. A later call starts a new one."""
        if self._thread is not None and self._pid == os.getpid():
            self._tasks.put(None)
            self._tasks = queue.SimpleQueue()
            self._thread = None

    def renew(self) -> None:
        """Give up a thread that hangs, so that the plugin may be tried again on a new one."""
        self.stuck = None
        self._pid = os.getpid()
        self._tasks = queue.SimpleQueue()
        self._thread = None

    def _check(self, step: str) -> None:
        if self.stuck is not None:
            raise PluginError(
                f"plugin {self.plugin!r}: {step} not called, since {self.stuck} never returned",
                plugin=self.plugin,
                step=step,
            )
        if self._pid != os.getpid():
            raise PluginError(
                f"plugin {self.plugin!r}: {step} not called, since plugins live in the process that started them"
                f" ({self._pid}), not in its forked child ({os.getpid()})",
                plugin=self.plugin,
                step=step,
            )

    def _await(self, task: _Task) -> None:
        if task.done.wait(task.deadline):
            return
        if task.claim(_WITHDRAWN):
            self._blame_the_one_before(task)
        left = task.began + task.deadline - time.monotonic()
        if not task.done.wait(max(left, 0.0)):
            raise self._leave_behind(task)

    def _blame_the_one_before(self, task: _Task) -> NoReturn:
        """A call never began: either the one before it hangs for good, or the thread is merely busy."""
        current = self._current
        if current is not None and time.monotonic() > current.began + current.deadline:
            raise self._leave_behind(current)
        raise Busy(
            f"plugin {self.plugin!r}: {task.step} did not begin within {task.deadline:g} s, its thread being busy",
            plugin=self.plugin,
            step=task.step,
        )

    def _leave_behind(self, task: _Task) -> Overrun:
        self.stuck = task.step
        return Overrun(
            f"plugin {self.plugin!r}: {task.step} was still running after {task.deadline:g} s and was left behind;"
            f" mend the plugin or raise its deadline for {task.step}",
            plugin=self.plugin,
            step=task.step,
        )

    def _serve(self) -> None:
        tasks = self._tasks
        while (task := tasks.get()) is not None:
            if task.claim(_RUNNING):
                self._current = task
                task.run()
            if tasks is not self._tasks or self.stuck is not None:
                return  # this thread was left behind while it hung
