"""Calling a backend's data hooks, on its own thread."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.delivery.guarded_run import GuardedRun
from tracelet.delivery.ledger.counting import is_counted
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.event_calls import arguments_for, check_contents
from tracelet.delivery.pipeline.failures import BrokenHookError
from tracelet.delivery.pipeline.plan import Step, id_of_event
from tracelet.errors import PluginError
from tracelet.logs import get_logger
from tracelet_hookspecs import NO_STEP, MetricType, RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle

log = get_logger("tracelet.delivery")


class Sender:
    """Calls the data hooks of one backend, and adapts the size of batches to its speed.

    Every call gets new objects, so that a backend may change its arguments, or columns, which it cannot change.
    """

    def __init__(
        self,
        handle: PluginHandle,
        run: RunView,
        run_dir: Path,
        settings: Settings,
        meanwhile: Callable[[], None],
    ) -> None:
        """Make a sender. ``meanwhile`` is called while a batch is delivered; it must not raise."""
        self.handle = handle
        self._meanwhile = meanwhile
        self._run = GuardedRun(run)
        self._run_dir = run_dir
        self._settings = settings
        self._handled: dict[MetricType, bool] = {}
        self._warned_of: set[str] = set()  # hooks that returned False
        #: How many records the next batch should have, judging by the last ones.
        self.batch = settings.batch_first
        #: How many records the backend has accepted. Counted here, at the call, and nowhere else.
        self.accepted = 0

    def send(self, step: Step) -> bool:
        """Deliver a step, or as much of it as its deadline allows; return whether the backend has all of it.

        Raises :class:`~tracelet.errors.PluginError`, after which points accepted one by one stay accepted, and
        :class:`UndeliverableError` for an event that must not be passed on.
        """
        began = time.perf_counter()
        before = len(step)
        if step.event is not None:
            self._send_event(step)
            self.accepted += is_counted(step.event)
            return True
        if step.hook == "log_metric":
            try:
                self._one_by_one(step)
            finally:
                self.accepted += before - len(step)
        else:
            given = (
                {"columns": step.points} if step.hook == "log_columns" else {"points": step.points.points()}
            )
            finish = self._begin(step.hook, **given)
            del given  # so that a backend which is done with the points can free them
            self._meanwhile()
            finish()
            step.done = len(step.points)
            self.accepted += before
        self._adapt(before - len(step), time.perf_counter() - began)
        return not len(step)

    def _send_event(self, step: Step) -> None:
        assert step.event is not None
        arguments = arguments_for(step.hook, step.event, self._run_dir)
        if step.hook == "log_artifact":
            check_contents(arguments["local_path"])
        elif step.event.type == "artifact" and step.hook == "log_event":
            check_contents(str(self._run_dir / step.event.payload["path"]))
        self._begin(step.hook, id=id_of_event(step.writer, step.event), **arguments)()

    def _begin(self, hook: str, **arguments: Any) -> Callable[[], Any]:
        """Begin a call. The function returned waits until it is over."""
        return self.handle.call_later(hook, accept=partial(self._check, hook), run=self._run, **arguments)

    def _one_by_one(self, step: Step) -> None:
        """Call ``log_metric`` until there are no more points, or a good part of the deadline is over."""
        caller = self.handle.caller("log_metric")
        cost = self.handle.cost("log_metric")
        limit = min(self._settings.batch_aim, self.handle.deadline("log_metric") / 4)
        run, check, left = self._run, self._check, step.points[step.done :]
        names = [key.name for key in left.keys]
        columns = (left.key_indices, left.exact_values(), left.steps, left.times, left.ids())

        def work() -> None:
            first = step.done
            end = time.perf_counter() + limit
            try:
                for key, value, iteration, timestamp, id in zip(*columns, strict=True):
                    answer = caller(
                        name=names[key],
                        value=value,
                        iteration=None if iteration == NO_STEP else iteration,
                        timestamp=timestamp,
                        run=run,
                        id=id,
                    )
                    if answer is not None:
                        check("log_metric", answer)
                    step.done += 1
                    if time.perf_counter() > end:
                        break
            finally:
                cost.calls += max(0, step.done - first - 1)

        self.handle.submit(work, step="log_metric")

    def _check(self, hook: str, answer: Any) -> None:
        """Refuse the return value of a hook whose body has not run (yet), or that returns its failure."""
        if isinstance(answer, BaseException):
            raise answer
        if answer is False and hook not in self._warned_of:
            self._warned_of.add(hook)
            log.warning(
                "plugin %r: %s returned False, which is ignored: what it was given counts as delivered; raise an"
                " exception for what was not, so that it is retried",
                *(self.handle.name, hook),
            )
        if answer is NotImplemented:
            raise NotImplementedError(f"{hook} returned NotImplemented")
        kind = type(answer)
        if hasattr(kind, "raise_for_status"):  # the response of an HTTP client, which may be a refusal
            answer.raise_for_status()
        what = _unfinished(answer)
        if what:
            raise BrokenHookError(
                f"plugin {self.handle.name!r}: {hook} returned {what}, so that nothing was delivered; expected a"
                " plain function that has done its work when it returns (await nothing, yield nothing; an async"
                " client can be called with asyncio.run, a future has a result())",
                plugin=self.handle.name,
                step=hook,
            )

    def _adapt(self, accepted: int, seconds: float) -> None:
        """Grow batches while that pays off, and shrink them if they come near the deadline."""
        settings = self._settings
        is_quick = seconds < settings.call_quick
        if seconds > 2 * settings.batch_aim or (is_quick and self.batch > settings.batch_quick):
            self.batch = max(1, self.batch // 2)
        elif accepted >= self.batch // 2 and seconds < settings.batch_aim / 2:
            largest = settings.batch_quick if is_quick else settings.batch_largest
            self.batch = max(self.batch, min(largest, self.batch * 2))

    def recover(self) -> None:
        """Begin with small batches again, after failures."""
        self.batch = min(self.batch, self._settings.batch_first)

    def ask_again(self) -> None:
        """Forget which types the backend accepts: it may have been restarted."""
        self._handled = {}

    def handles(self, kind: MetricType) -> bool:
        """Ask the backend, once per type, whether it accepts metrics of that type. If asking fails, it gets them."""
        if kind not in self._handled:
            try:
                answer = bool(self.handle.submit(lambda: self._ask(kind), step="can_handle_type"))
            except PluginError as error:
                log.warning("%s; it gets metrics of type %s", error, kind.value)
                answer = True
            self._handled[kind] = answer
        return self._handled[kind]

    def _ask(self, kind: MetricType) -> bool:
        ask = getattr(self.handle.plugin, "can_handle_type", None)
        return bool(ask(kind)) if callable(ask) else True


def _unfinished(answer: Any) -> str:
    """Name the kind of return value that means a hook's work was not done; "" for any other."""
    if answer is None or isinstance(answer, (bool, int, float, str, list, tuple, dict)):
        return ""
    if inspect.iscoroutine(answer):
        answer.close()  # so that Python does not warn that nobody awaited it
        return "a coroutine"
    if inspect.isgenerator(answer):
        return "a generator"
    if inspect.isasyncgen(answer):
        return "an async generator"
    kind = type(answer)
    if hasattr(kind, "__await__"):
        return f"an awaitable ({kind.__name__})"
    if hasattr(kind, "add_done_callback"):  # of concurrent.futures, Dask, gRPC: not an awaitable
        return f"a future ({kind.__name__})"
    return f"an iterator ({kind.__name__})" if hasattr(kind, "__next__") else ""
