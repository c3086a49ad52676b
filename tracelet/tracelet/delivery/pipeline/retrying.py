"""Seeing a plan through: what is tried again, what is taken apart, what is given up."""

from __future__ import annotations

import logging
import os

from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.breaker import CLOSED, Breaker
from tracelet.delivery.pipeline.failures import Fault, judge, retry_after
from tracelet.delivery.pipeline.plan import Plan, Step
from tracelet.delivery.pipeline.sending import Sender
from tracelet.errors import PluginError
from tracelet.host.worker import Busy, Overrun
from tracelet.secrets import redact

log = logging.getLogger("tracelet.delivery")

GONE = "file is gone"


class RetryingSender:
    """Gives the steps of plans to one backend, in order, and makes the best of its failures.

    An outage is waited out, for as long as it takes. A batch that is refused as such is given in halves, and
    those in halves, until the point that is not wanted stands alone. It is dropped only when it is refused again after
    something else was taken: a backend that refuses everything is at fault itself, and loses nothing.
    """

    def __init__(self, name: str, sender: Sender, breaker: Breaker, settings: Settings) -> None:
        self.name = name
        self.sender = sender
        self.breaker = breaker
        self.retries = 0
        self.error: str | None = None
        self._settings = settings
        self._told: set[str] = set()

    def attempt(self, plan: Plan) -> None:
        """Give the next step, or as much of it as goes well.

        Raises:
            PluginError: the backend hangs, or its credentials are wrong; it is no use to go on.
        """
        step = plan.steps[0]
        if self._is_gone(step):
            plan.steps.popleft()
            self._drop(plan, step, GONE)
            return
        before = step.done
        try:
            whole = self.sender.send(step)
        except KeyboardInterrupt:  # raised by the plugin itself: the user's arrives on the main thread
            self._failed(PluginError(f"plugin {self.name!r}: {step.hook} raised KeyboardInterrupt"))
        except Busy as error:
            self._failed(error)
        except PluginError as error:
            if step.done > before:
                self._went_well(plan)
            self._judge(plan, step, error)
        else:
            if whole:
                plan.steps.popleft()
            self._went_well(plan)
            self.error = None
            plan.restore()

    def _went_well(self, plan: Plan) -> None:
        plan.went_well += 1
        if self.breaker.state != CLOSED:
            log.info("backend %r: takes data again", self.name)
        self.breaker.succeeded()

    def _failed(self, error: PluginError) -> None:
        self.retries += 1
        self.error = redact(str(error))
        was = self.breaker.state
        self.breaker.failed(retry_after(error))
        self.sender.recover()
        if was == CLOSED and self.breaker.state != CLOSED:
            log.warning("%s; the journal keeps what is due, and it is tried again now and then", self.error)

    def _judge(self, plan: Plan, step: Step, error: PluginError) -> None:
        if isinstance(error, Overrun) or not self.sender.handle.worker.usable:
            self.error = redact(str(error))
            raise error
        fault = judge(error)
        if fault is Fault.CREDENTIALS:
            self.error = redact(str(error))
            self.breaker.give_up()
            raise error
        step.failures += 1
        if self._is_refusal(step, fault):
            step.refusals += 1
            step.mark = plan.went_well if step.mark is None else step.mark
            if fault is not Fault.REFUSED or step.refusals >= self._settings.refusals_before_split:
                self._isolate(plan, step, error, fault)
                return
        self._failed(error)

    def _is_refusal(self, step: Step, fault: Fault) -> bool:
        if fault is Fault.UNKNOWN:
            return step.failures >= self._settings.failures_before_split
        return fault in (Fault.REFUSED, Fault.TOO_MUCH)

    def _isolate(self, plan: Plan, step: Step, error: PluginError, fault: Fault) -> None:
        """Take a refused step apart, or judge the one point that it consists of."""
        self.retries += 1
        self.error = redact(str(error))
        plan.steps.remove(step)
        if len(step) > 1:
            plan.steps.extendleft(reversed(step.split()))
            if fault is Fault.TOO_MUCH:
                self.sender.batch = max(1, len(step) // 2)
        elif step.mark is not None and plan.went_well > step.mark:
            self._drop(plan, step, f"refused ({type(error.cause or error).__name__})", error)
        else:
            plan.aside.append(step)
            if len(plan.aside) >= self._settings.aside_most:
                self.blame_backend(plan)

    def blame_backend(self, plan: Plan) -> None:
        """Nothing is taken any more, so no point is to blame: wait, and try all of them again."""
        plan.restore()
        self.breaker.failed()

    def _drop(self, plan: Plan, step: Step, reason: str, error: PluginError | None = None) -> None:
        plan.drop(step, reason)
        if reason not in self._told:
            self._told.add(reason)
            what = step.points[step.done].name if step.points else step.hook
            why = f": {redact(str(error))}" if error is not None else ""
            log.warning(
                "backend %r: %s dropped, %s%s; more of the kind are only counted",
                self.name,
                what,
                reason,
                why,
            )

    @staticmethod
    def _is_gone(step: Step) -> bool:
        return step.kwargs is not None and not os.path.lexists(step.kwargs.get("local_path", os.curdir))
