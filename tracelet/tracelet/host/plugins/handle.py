"""A plugin at work: its object, its thread, its deadlines and its account."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from tracelet.config import DEADLINE_OF, DEADLINES
from tracelet.errors import PluginError
from tracelet.host.accounting import Cost
from tracelet.host.discovery import located
from tracelet.host.plugins.calling import PluginCaller, Watched, WrapperFailed
from tracelet.host.plugins.registry import Registry
from tracelet.host.task import Task
from tracelet.host.worker import Busy, Overrun, Worker, is_for_here
from tracelet.secrets import fit_to_chain
from tracelet_hookspecs import PluginInfo


class Watch(NamedTuple):
    """Who hears of it when a call goes wrong beyond its own failure."""

    wrapper_failed: WrapperFailed
    overran: Callable[[PluginHandle, Overrun], None]


class WrapperHung(PluginError):
    """A call did not return because another plugin's wrapper around it hangs. ``watched`` knows how it went."""

    watched: Watched


class PluginHandle:
    """One plugin in the host. Its code runs on its own thread only; what it raises comes out as PluginError."""

    def __init__(
        self, name: str, info: PluginInfo, registry: Registry, deadlines: Mapping[str, float], watch: Watch
    ) -> None:
        self.name = name
        self.info = info
        self.plugin: Any = None
        self.worker = Worker(name)
        self.costs: dict[str, Cost] = {}
        #: What it was last initialized with; ``None`` before.
        self.config: Any = None
        #: Whether there is something for ``stop`` to end.
        self.begun = False
        self.limits: dict[str, float] = dict(deadlines)
        self._registry = registry
        self._watch = watch
        self._callers: dict[str, PluginCaller] = {}
        self._turn = (os.getpid(), threading.RLock())

    def implements(self, hook: str) -> bool:
        """Whether the plugin is registered and has an implementation of this hook that is no wrapper."""
        return self.name in self._registry.cast(hook).implementors

    def caller(self, hook: str) -> PluginCaller:
        """Return the hook's caller, for loops inside :meth:`submit`."""
        caller = self._callers.get(hook)
        if caller is None:
            caller = PluginCaller(self._registry, self.name, hook, self._watch.wrapper_failed)
            self._callers[hook] = caller
        return caller

    def call(self, hook: str, *, deadline: float | None = None, **kwargs: Any) -> Any:
        """Call a hook on the plugin's thread, wait for it within its deadline, and return its result.

        Raises :class:`~tracelet.errors.PluginError` when it fails or overruns.
        """
        caller = self.caller(hook)
        try:
            return self.submit(lambda: caller(**kwargs), step=hook, deadline=deadline)
        except WrapperHung as hung:
            if hung.watched.ended:
                return self._kept(hung.watched, hook)
        return self.call(hook, deadline=deadline, **kwargs)  # now without that wrapper

    def _kept(self, watched: Watched, hook: str) -> Any:
        try:
            return watched.outcome()
        except BaseException as error:
            raise self._failure(hook, error) from fit_to_chain(error)

    def submit(
        self, function: Callable[[], Any], *, step: str, deadline: float | None = None, calls: int = 1
    ) -> Any:
        """Run a function on the plugin's thread, accounted under ``step`` as so many calls. Raises as :meth:`call`."""
        cost = self.cost(step)
        limit = self.deadline(step) if deadline is None else deadline
        try:
            return self.worker.run(lambda: cost.measure(function, calls=calls), step=step, deadline=limit)
        except Overrun as error:
            self.cost(error.step).overrun()
            raise self._judged(error) from None
        except PluginError:
            raise
        except BaseException as error:
            if is_for_here(error):
                raise
            raise self._failure(step, error) from fit_to_chain(error)

    def post(self, hook: str, **kwargs: Any) -> Task | None:
        """Call a hook on the plugin's thread without waiting; what it raises is counted.

        Returns the call, to wait for; ``None`` where the thread hangs or cannot be started.
        """
        caller, cost = self.caller(hook), self.cost(hook)
        try:
            return self.worker.post(
                lambda: cost.measure(lambda: caller(**kwargs)), step=hook, deadline=self.deadline(hook)
            )
        except (PluginError, RuntimeError):
            return None

    def answer(self, task: Task, timeout: float) -> Any:
        """Wait for a call that was posted, and return its result. Raises as :meth:`call` with ``patient`` does."""
        try:
            self.worker.wait(task, patient=True, timeout=timeout)
            return task.outcome()
        except PluginError:
            raise
        except BaseException as error:
            if is_for_here(error):
                raise
            raise self._failure(task.step, error) from fit_to_chain(error)

    def cost(self, step: str) -> Cost:
        """Return the account of one step or hook."""
        return self.costs.setdefault(step, Cost())

    def deadline(self, step: str) -> float:
        """Return the seconds that a step may take."""
        key = DEADLINE_OF.get(step, step)
        return float(self.limits.get(key, DEADLINES.get(key, DEADLINES["log"])))

    @contextmanager
    def turn(self, step: str, timeout: float | None = None) -> Iterator[None]:
        """Keep other threads from taking this plugin through a step of its life at the same time.

        Waits for them, by default as long as the step itself may take. Raises
        :class:`~tracelet.host.worker.Busy` when they take longer.
        """
        if self.worker.on_it:  # the plugin asks for something of its own from within a step
            yield
            return
        if self._turn[0] != os.getpid():
            self._turn = (os.getpid(), threading.RLock())  # whoever had it stayed in the parent process
        lock = self._turn[1]
        limit = min(self.deadline(step) if timeout is None else timeout, threading.TIMEOUT_MAX)
        if not lock.acquire(timeout=limit):
            raise Busy(
                f"plugin {self.name!r}: {step} was not tried, since another step was still going on after"
                f" {limit:g} s",
                plugin=self.name,
                step=step,
            )
        try:
            yield
        finally:
            lock.release()

    def _judged(self, error: Overrun) -> PluginError:
        """Find whose fault an overrun is: another plugin's wrapper, or this plugin's own."""
        for hook, caller in self._callers.items():
            culprit = caller.wrapper_at(error.calls)
            if culprit is not None and caller.watched is not None:
                return self._freed(hook, culprit, caller.watched, error)
        self._watch.overran(self, error)
        return error

    def _freed(self, hook: str, culprit: str, watched: Watched, error: Overrun) -> WrapperHung:
        watched.given_up = True
        message = f"plugin {culprit!r}: its wrapper of {hook} around {self.name!r} never returned and was left behind"
        hung = WrapperHung(message, plugin=culprit, step=hook)
        hung.watched = watched
        error.args = (message,)
        self.worker.renew()
        self._watch.wrapper_failed(culprit, hook, error)
        return hung

    def _failure(self, step: str, error: BaseException) -> PluginError:
        return PluginError(
            f"plugin {self.name!r}: {step} failed: {located(error)}", plugin=self.name, step=step, cause=error
        )
