"""The host's handle on one plugin: its object, its thread, its deadlines and its account."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from tracelet.config import DEADLINE_OF, DEADLINES
from tracelet.errors import PluginError
from tracelet.host.accounting import Cost
from tracelet.host.discovery import attributes, describe_with_location
from tracelet.host.plugins.calling import PluginCaller, RecordedCall, WrapperFailed
from tracelet.host.plugins.registry import Registry
from tracelet.host.worker import Busy, Overrun, Task, Worker, belongs_to_caller
from tracelet.secrets import fit_to_chain
from tracelet_hookspecs import PluginInfo

Accept = Callable[[Any], Any]  # turns what a plugin answered into a host value, or raises


class Listeners(NamedTuple):
    """Functions to call when a plugin fails in a way that its own call does not report."""

    wrapper_failed: WrapperFailed
    overran: Callable[[PluginHandle, Overrun], None]


class WrapperHung(PluginError):
    """A call did not return because another plugin's wrapper around it hangs. ``recorded`` has its outcome."""

    recorded: RecordedCall


class PluginHandle:
    """One plugin in the host: the guard through which everything that touches the plugin goes.

    Reading an attribute, calling a hook and converting an answer all run on the plugin's own thread, within a deadline
    and accounted; whatever the plugin raises there comes out as :class:`~tracelet.errors.PluginError`, which names it.
    """

    def __init__(
        self,
        name: str,
        info: PluginInfo,
        registry: Registry,
        deadlines: Mapping[str, float],
        listeners: Listeners,
    ) -> None:
        self.name = name
        self.info = info
        self.plugin: Any = None
        self.worker = Worker(name)
        self.costs: dict[str, Cost] = {}
        #: The configuration it was last initialized with, or ``None``.
        self.config: Any = None
        #: The exception because of which the plugin is in state ERROR.
        self.failure: BaseException | None = None
        #: The failure that was logged last, so that repeated attempts to start do not log it each time.
        self.logged_failure = ""
        #: Whether ``stop`` has something to do.
        self.needs_stop = False
        self.limits: dict[str, float] = dict(deadlines)
        self._registry = registry
        self._listeners = listeners
        self._callers: dict[str, PluginCaller] = {}
        self._turn = (os.getpid(), threading.RLock())

    def implements(self, hook: str) -> bool:
        """Return whether the plugin is registered and implements this hook, other than as a wrapper."""
        return self.name in self._registry.participants(hook).implementors

    def caller(self, hook: str) -> PluginCaller:
        """Return the hook's caller, for loops inside :meth:`submit`."""
        caller = self._callers.get(hook)
        if caller is None:
            caller = PluginCaller(self._registry, self.name, hook, self._listeners.wrapper_failed)
            self._callers[hook] = caller
        return caller

    def caller_in(self, registry: Registry, hook: str) -> PluginCaller:
        """Return a caller of a hook of another object of this plugin, which is registered elsewhere."""
        return PluginCaller(registry, self.name, hook, self._listeners.wrapper_failed)

    def call(
        self, hook: str, *, deadline: float | None = None, accept: Accept | None = None, **kwargs: Any
    ) -> Any:
        """Call a hook on the plugin's thread, wait for it within its deadline, and return its result.

        ``accept`` turns the answer into a host value, on the same thread and inside the same guard. Raises
        :class:`~tracelet.errors.PluginError` if the call fails or overruns, or if the answer is not accepted.
        """
        return self._finish(self._begin(hook, deadline, accept, kwargs))

    def call_later(
        self, hook: str, *, deadline: float | None = None, accept: Accept | None = None, **kwargs: Any
    ) -> Callable[[], Any]:
        """Queue a call like :meth:`call` without waiting; the function returned waits for it and returns its result."""
        return partial(self._finish, self._begin(hook, deadline, accept, kwargs))

    def _begin(
        self, hook: str, deadline: float | None, accept: Accept | None, kwargs: dict[str, Any]
    ) -> _Call:
        call = partial(self.caller(hook), **kwargs)
        measured = self._guarded(hook, call if accept is None else partial(_accepted, call, accept))
        limit = self.deadline(hook) if deadline is None else deadline
        task: Task | BaseException
        try:
            task = self.worker.post(measured, step=hook, deadline=limit)
        except (PluginError, RuntimeError) as error:  # it hangs already, or no thread can be started
            task = error
        return _Call(hook, deadline, accept, kwargs, task)

    def _finish(self, call: _Call) -> Any:
        try:
            if isinstance(call.task, BaseException):
                raise call.task
            self.worker.wait(call.task)
            return call.task.outcome()
        except BaseException as error:
            if belongs_to_caller(error):
                raise
            failure = self._failure_of(call.hook, error)
        if not isinstance(failure, WrapperHung):
            raise failure from failure.__cause__
        if failure.recorded.ended:
            return self._recorded_outcome(failure.recorded, call)
        return self._finish(
            self._begin(call.hook, call.deadline, call.accept, call.kwargs)
        )  # without that wrapper

    def read(self, attribute: str, convert: Accept, default: Any = None) -> Any:
        """Return an attribute of the plugin's object as a host value, read and converted on the plugin's thread.

        ``convert`` also gets the ``default``, if the attribute is missing. An attribute that only a ``__getattr__``
        provides counts as missing if it is no valid value. Raises as :meth:`call`.
        """

        def read() -> Any:
            plugin = self.plugin
            if attribute in attributes(plugin):
                return convert(getattr(plugin, attribute))
            try:
                return convert(getattr(plugin, attribute, default))
            except Exception:
                return convert(default)

        return self.submit(read, step=attribute, deadline=self.deadline("get_status"), calls=0)

    def ask(self, method: str, *arguments: Any, convert: Accept, default: Any) -> Any:
        """Call a method that is not a hook and that a plugin need not have; return its answer as a host value.

        Raises as :meth:`call`.
        """

        def ask() -> Any:
            plugin = self.info.instance if self.plugin is None else self.plugin
            if method not in attributes(plugin):
                return default
            function = getattr(plugin, method)
            return convert(function(*arguments)) if callable(function) else default

        return self.submit(ask, step=method)

    def submit(
        self, function: Callable[[], Any], *, step: str, deadline: float | None = None, calls: int = 1
    ) -> Any:
        """Run a function on the plugin's thread, accounted as ``calls`` of ``step``. Raises as :meth:`call`."""
        measured = self._guarded(step, function, calls)
        limit = self.deadline(step) if deadline is None else deadline
        try:
            return self.worker.run(measured, step=step, deadline=limit)
        except BaseException as error:
            if belongs_to_caller(error):
                raise
            failure = self._failure_of(step, error)
            raise failure from failure.__cause__

    def post(self, hook: str, *, accept: Accept | None = None, **kwargs: Any) -> Task | None:
        """Call a hook on the plugin's thread without waiting; what it raises is counted.

        Returns the call, to wait for, or ``None`` if the thread hangs or cannot be started.
        """
        call = partial(self.caller(hook), **kwargs)
        measured = self._guarded(hook, call if accept is None else partial(_accepted, call, accept))
        try:
            return self.worker.post(measured, step=hook, deadline=self.deadline(hook))
        except (PluginError, RuntimeError):
            return None

    def answer(self, task: Task, timeout: float) -> Any:
        """Wait for a call that was posted and return its result. Abandons nothing. Raises as :meth:`call`."""
        try:
            self.worker.wait(task, patient=True, timeout=timeout)
            return task.outcome()
        except BaseException as error:
            if belongs_to_caller(error):
                raise
            failure = self._failure_of(task.step, error)
            raise failure from failure.__cause__

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
        :class:`~tracelet.host.worker.Busy` if they take longer.
        """
        if self.worker.is_current:  # the plugin requests a step of itself from within a step
            yield
            return
        if self._turn[0] != os.getpid():
            self._turn = (os.getpid(), threading.RLock())  # its holder may exist only in the parent process
        lock = self._turn[1]
        limit = min(self.deadline(step) if timeout is None else timeout, threading.TIMEOUT_MAX)
        if not lock.acquire(timeout=limit):
            raise Busy(
                f"plugin {self.name!r}: {step} was not tried, because another step was still in progress after"
                f" {limit:g} s",
                plugin=self.name,
                step=step,
            )
        try:
            yield
        finally:
            lock.release()

    def _guarded(self, step: str, function: Callable[[], Any], calls: int = 1) -> Callable[[], Any]:
        """Return a function to run on the plugin's thread: accounted, and its exception described there.

        Describing an exception runs code of its class (``__str__``, ``__cause__``), which may hang as any other.
        """
        measure = self.cost(step).measure

        def work() -> Any:
            try:
                return measure(function, calls=calls)
            except (PluginError, KeyboardInterrupt):  # whom Ctrl-C is meant for is up to the waiting thread
                raise
            except BaseException as error:
                failure = self._wrap(step, error)
            raise failure from failure.__cause__

        return work

    def _failure_of(self, step: str, error: BaseException) -> PluginError:
        """Return the error to raise for a call that went wrong, with its cause set."""
        if isinstance(error, Overrun):
            self.cost(error.step).overrun()
            return self._assign_overrun(error)
        if isinstance(error, PluginError):
            return error
        return self._wrap(step, error)

    def _wrap(self, step: str, error: BaseException) -> PluginError:
        message = f"plugin {self.name!r}: {step} failed: {describe_with_location(error)}"
        failure = PluginError(message, plugin=self.name, step=step, cause=error)
        failure.__cause__ = fit_to_chain(error)
        return failure

    def _assign_overrun(self, error: Overrun) -> PluginError:
        """Decide whose fault an overrun is: that of another plugin's wrapper, or this plugin's own."""
        for hook, caller in self._callers.items():
            culprit = caller.wrapper_at(error.calls)
            if culprit is not None and caller.recorded is not None:
                return self._leave_wrapper(hook, culprit, caller.recorded, error)
        self._listeners.overran(self, error)
        return error

    def _leave_wrapper(self, hook: str, culprit: str, recorded: RecordedCall, error: Overrun) -> WrapperHung:
        """Give this plugin a new thread, because another plugin's wrapper hangs on the old one."""
        recorded.abandoned = True
        message = (
            f"plugin {culprit!r}: its wrapper of {hook} around {self.name!r} never returned and was abandoned"
        )
        hung = WrapperHung(message, plugin=culprit, step=hook)
        hung.recorded = recorded
        error.args = (message,)
        self.worker.renew()
        self._listeners.wrapper_failed(culprit, hook, error)
        return hung

    def _recorded_outcome(self, recorded: RecordedCall, call: _Call) -> Any:
        accept = call.accept or _unchanged
        return self.submit(
            lambda: accept(recorded.outcome()), step=call.hook, deadline=call.deadline, calls=0
        )


class _Call(NamedTuple):
    """One call of a hook, so that it can be made again."""

    hook: str
    deadline: float | None
    accept: Accept | None
    kwargs: dict[str, Any]
    task: Task | BaseException


def _accepted(call: Callable[[], Any], accept: Accept) -> Any:
    return accept(call())


def _unchanged(answer: Any) -> Any:
    return answer
