"""Handing steps to a backend, on its own thread."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.plan import Step
from tracelet.errors import PluginError
from tracelet_hookspecs import MetricType, RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle

log = logging.getLogger("tracelet.delivery")


class Sender:
    """Calls the data hooks of one backend, and finds out how much it takes at a time."""

    def __init__(self, handle: PluginHandle, run: RunView, settings: Settings) -> None:
        self.handle = handle
        self._run = run
        self._settings = settings
        self._handled: dict[MetricType, bool] = {}
        #: How many records a batch should have, going by what the last ones took.
        self.batch = settings.batch_first

    def send(self, step: Step) -> bool:
        """Give a step, or as much of it as its deadline has room for, and say whether all of it is taken.

        Raises :class:`~tracelet.errors.PluginError`; points taken one by one until then stay taken.
        """
        began = time.perf_counter()
        before = len(step)
        if step.owner is not None:
            assert step.kwargs is not None
            self.handle.call(step.hook, run=self._run, **step.kwargs)
            return True
        if step.hook == "log_metric":
            self._one_by_one(step)
        else:
            self.handle.call("log_metrics", points=step.points, run=self._run)
            step.done = len(step.points)
        self._adapt(before - len(step), time.perf_counter() - began)
        return not len(step)

    def _one_by_one(self, step: Step) -> None:
        """Call ``log_metric`` until there are no more points, or a good part of the deadline is over."""
        caller = self.handle.caller("log_metric")
        cost = self.handle.cost("log_metric")
        limit = min(self._settings.batch_aim, self.handle.deadline("log_metric") / 4)
        run = self._run

        def work() -> None:
            first = step.done
            end = time.perf_counter() + limit
            try:
                for point in step.points[first:]:
                    caller(
                        name=point.name,
                        value=point.value,
                        iteration=point.iteration,
                        timestamp=point.timestamp,
                        run=run,
                    )
                    step.done += 1
                    if time.perf_counter() > end:
                        break
            finally:
                cost.calls += max(0, step.done - first - 1)

        self.handle.submit(work, step="log_metric")

    def _adapt(self, taken: int, seconds: float) -> None:
        """Grow batches while that is worth it, and cut them where they come near the deadline."""
        settings = self._settings
        is_quick = seconds < settings.call_quick
        if seconds > 2 * settings.batch_aim or (is_quick and self.batch > settings.batch_quick):
            self.batch = max(1, self.batch // 2)
        elif taken >= self.batch // 2 and seconds < settings.batch_aim / 2:
            largest = settings.batch_quick if is_quick else settings.batch_largest
            self.batch = max(self.batch, min(largest, self.batch * 2))

    def recover(self) -> None:
        """Begin with small batches again, after failures."""
        self.batch = min(self.batch, self._settings.batch_first)

    def ask_again(self) -> None:
        """Forget which types the backend takes: it may have been started anew."""
        self._handled = {}

    def handles(self, kind: MetricType) -> bool:
        """Ask the backend, once per type, whether it wants metrics of that type. One that cannot say gets them."""
        if kind not in self._handled:
            ask = getattr(self.handle.plugin, "can_handle_type", None)
            try:
                answer = not callable(ask) or bool(
                    self.handle.submit(lambda: ask(kind), step="can_handle_type")
                )
            except PluginError as error:
                log.warning("%s; it gets metrics of type %s", error, kind.value)
                answer = True
            self._handled[kind] = answer
        return self._handled[kind]
