"""A plugin at work: its object, its thread, its deadlines and its account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tracelet.config import DEADLINES
from tracelet.core.accounting import Cost
from tracelet.core.discovery import describe
from tracelet.core.plugins.registry import PluginCaller, Registry, WrapperFailed
from tracelet.core.worker import Overrun, Worker
from tracelet.errors import PluginError
from tracelet_hookspecs import PluginInfo

_DEADLINE_OF: Final = {
    "log_metric": "log",
    "log_metrics": "log",
    "log_params": "log",
    "log_artifact": "log",
    "set_tags": "log",
    "process_metric": "process",
    "report_header": "report",
    "report_summary": "report",
    "validate": "import",
    "register": "addhooks",
}


class Hosted:
    """One plugin in the host. Its code runs on its own thread only; what it raises comes out as PluginError."""

    def __init__(
        self,
        info: PluginInfo,
        registry: Registry,
        deadlines: Mapping[str, float],
        wrapper_failed: WrapperFailed,
    ) -> None:
        self.info = info
        self.plugin: Any = None
        self.worker = Worker(info.name)
        self.costs: dict[str, Cost] = {}
        self.config: Any = None
        self.started = False
        self._registry = registry
        self.limits: dict[str, float] = dict(deadlines)
        self._wrapper_failed = wrapper_failed
        self._callers: dict[str, PluginCaller] = {}

    def adopt(self, plugin: Any) -> None:
        """Take the object whose hooks are to be called."""
        if plugin is not self.plugin:
            self.plugin = plugin
            self._callers.clear()

    def implements(self, hook: str) -> bool:
        """Whether the plugin is registered and has an implementation of this hook that is no wrapper."""
        return self.plugin is not None and self.plugin in self._registry.split(hook)[0]

    def bound(self, hook: str) -> PluginCaller:
        """Return the hook's caller, for loops inside :meth:`submit`."""
        if hook not in self._callers:
            self._callers[hook] = PluginCaller(self._registry, self.plugin, hook, self._wrapper_failed)
        return self._callers[hook]

    def call(self, hook: str, *, deadline: float | None = None, **kwargs: Any) -> Any:
        """Call a hook on the plugin's thread, wait for it within its deadline, and return its result.

        Raises :class:`~tracelet.errors.PluginError` when it fails or overruns.
        """
        caller = self.bound(hook)
        return self.submit(lambda: caller(**kwargs), step=hook, deadline=deadline)

    def submit(self, function: Callable[[], Any], *, step: str, deadline: float | None = None) -> Any:
        """Run a function on the plugin's thread, accounted under ``step``. Raises as :meth:`call` does."""
        cost = self.cost(step)
        limit = self.deadline(step) if deadline is None else deadline
        try:
            return self.worker.run(lambda: cost.measure(function), step=step, deadline=limit)
        except Overrun:
            cost.errors += 1
            cost.wall_s += limit
            raise
        except PluginError:
            raise
        except KeyboardInterrupt:
            raise  # Ctrl-C belongs to the user's program
        except BaseException as error:
            raise self._failure(step, error) from error

    def post(self, hook: str, **kwargs: Any) -> None:
        """Call a hook on the plugin's thread without waiting; what it raises is counted."""
        caller, cost = self.bound(hook), self.cost(hook)
        if self.worker.usable:
            self.worker.post(
                lambda: cost.measure(lambda: caller(**kwargs)), step=hook, deadline=self.deadline(hook)
            )

    def cost(self, step: str) -> Cost:
        """Return the account of one step or hook."""
        return self.costs.setdefault(step, Cost())

    def deadline(self, step: str) -> float:
        """Return the seconds that a step may take."""
        key = _DEADLINE_OF.get(step, step)
        return float(self.limits.get(key, DEADLINES.get(key, DEADLINES["log"])))

    def _failure(self, step: str, error: BaseException) -> PluginError:
        return PluginError(
            f"plugin {self.info.name!r}: {step} failed: {describe(error)}{_place(error)}",
            plugin=self.info.name,
            step=step,
            cause=error,
        )


def _place(error: BaseException) -> str:
    """Say where an exception was raised."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" (at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
