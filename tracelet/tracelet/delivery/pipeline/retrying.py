"""What happens when a call of a backend fails: retry, split, set aside, drop or give up."""

from __future__ import annotations

from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.breaker import CLOSED, Breaker
from tracelet.delivery.pipeline.event_calls import UndeliverableError
from tracelet.delivery.pipeline.failures import Fault, judge_on_its_thread
from tracelet.delivery.pipeline.plan import Plan, Step
from tracelet.delivery.pipeline.sending import Sender
from tracelet.errors import PluginError
from tracelet.host.worker import Busy, Overrun
from tracelet.logs import get_logger
from tracelet.secrets import redact

log = get_logger("tracelet.delivery")


class RetryingSender:
    """Delivers the steps of plans to one backend, in order, and deals with its failures.

    An outage is retried for as long as it takes. A refused batch is halved repeatedly until the refused point is
    isolated. That point is dropped only if it is refused again after something else was accepted: if a backend
    refuses everything, the fault is its own, and it loses nothing.
    """

    def __init__(self, name: str, sender: Sender, breaker: Breaker, settings: Settings) -> None:
        self.name = name
        self.sender = sender
        self.breaker = breaker
        self.retries = 0
        self.error: str | None = None
        self._settings = settings
        self._reported: set[str] = set()

    def attempt(self, plan: Plan) -> None:
        """Deliver the next step, or as much of it as succeeds.

        Raises:
            PluginError: continuing is pointless: the backend hangs, its credentials are wrong, or its hook is broken.
        """
        step = plan.steps[0]
        before = step.done
        try:
            whole = self.sender.send(step)
        except UndeliverableError as error:
            plan.steps.popleft()
            self._drop(plan, step, error.reason, error)
        except Busy as error:
            self._fail(error)
        except PluginError as error:
            if step.done > before:
                self._succeed(plan)
            self._judge(plan, step, error)
        else:
            if whole:
                plan.steps.popleft()
            self._succeed(plan)
            self.error = None
            plan.restore()

    def _succeed(self, plan: Plan) -> None:
        plan.successes += 1
        if self.breaker.state != CLOSED:
            log.info("backend %r: accepts data again", self.name)
        self.breaker.succeeded()

    def _fail(self, error: PluginError, wait: float | None = None) -> None:
        self.retries += 1
        self.error = redact(str(error))
        before = self.breaker.state
        self.breaker.failed(wait)
        self.sender.recover()
        if before == CLOSED and self.breaker.state != CLOSED:
            log.warning("%s; the journal keeps all pending records, and delivery is retried", self.error)

    def _judge(self, plan: Plan, step: Step, error: PluginError) -> None:
        if isinstance(error, Overrun) or not self.sender.handle.worker.usable:
            self.error = redact(str(error))
            raise error
        try:
            fault, wait = judge_on_its_thread(self.sender.handle, error)
        except Overrun as overrun:
            self.error = redact(str(overrun))
            raise
        if fault in (Fault.CREDENTIALS, Fault.BROKEN):
            self.error = redact(str(error))
            self.breaker.give_up()
            raise error
        step.failures += 1
        if self._is_refusal(step, fault):
            step.refusals += 1
            step.mark = plan.successes if step.mark is None else step.mark
            if fault is not Fault.REFUSED or step.refusals >= self._settings.refusals_before_split:
                self._isolate(plan, step, error, fault)
                return
        self._fail(error, wait)

    def _is_refusal(self, step: Step, fault: Fault) -> bool:
        if fault is Fault.UNKNOWN:
            return step.failures >= self._settings.failures_before_split
        return fault in (Fault.REFUSED, Fault.TOO_MUCH)

    def _isolate(self, plan: Plan, step: Step, error: PluginError, fault: Fault) -> None:
        """Split a refused step, or decide about the single point that it consists of."""
        self.retries += 1
        self.error = redact(str(error))
        plan.steps.remove(step)
        if len(step) > 1:
            plan.steps.extendleft(reversed(step.split()))
            if fault is Fault.TOO_MUCH:
                self.sender.batch = max(1, len(step) // 2)
        elif step.mark is not None and plan.successes > step.mark:
            self._drop(plan, step, f"refused ({type(error.cause or error).__name__})", error)
        else:
            plan.aside.append(step)
            if len(plan.aside) >= self._settings.aside_most:
                self.blame_backend(plan)

    def blame_backend(self, plan: Plan) -> None:
        """Nothing is accepted any more, so no single point is to blame: wait, and retry all of them."""
        plan.restore()
        self.breaker.failed()

    def _drop(self, plan: Plan, step: Step, reason: str, error: Exception) -> None:
        plan.drop(step, reason)
        if reason not in self._reported:
            self._reported.add(reason)
            log.warning(
                "backend %r: %s dropped, %s: %s; further ones are only counted",
                *(self.name, step.label(), reason, redact(str(error))),
            )
