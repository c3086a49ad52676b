"""The processors: plugins that change, drop or derive metrics on their way to a backend."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import PluginError
from tracelet.host.discovery import describe
from tracelet.host.worker import Busy
from tracelet_hookspecs import MetricData, PluginState

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginHandle, PluginManager

log = logging.getLogger("tracelet.delivery")

HOOK: Final = "process_metric"
_PATIENCE: Final = 3  # deadlines for which a processor may be busy with other backends' batches


class Processors:
    """The chain of active processors, in pluggy's order, each on its own thread."""

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager

    def present(self) -> bool:
        """Whether there are any."""
        return bool(self.names())

    def names(self) -> list[str]:
        """Return the active ones in the order in which pluggy calls them: the last implementation first."""
        plugins = self._manager.plugins
        names = reversed(list(self._manager.pluggy.participants(HOOK).implementors))
        return [name for name in names if name in plugins and plugins[name].state is PluginState.ACTIVE]

    def run(self, metrics: list[MetricData]) -> list[list[MetricData]]:
        """Return, for each metric, what the chain makes of it: itself, several others, or nothing.

        What a processor fails at goes on unchanged, and is counted as an error of that processor.
        """
        groups = [[metric] for metric in metrics]
        for name in self.names():
            groups = self._apply(name, groups)
        return groups

    def _apply(self, name: str, groups: list[list[MetricData]]) -> list[list[MetricData]]:
        handle = self._manager.handle(name)
        for _ in range(_PATIENCE):
            try:
                return self._on_its_thread(handle, groups)
            except Busy as busy:
                log.debug("%s", busy)
            except PluginError as error:  # an overrun: the thread is lost, and with it the processor
                self._manager.fail(name, HOOK, error)
                return groups
        log.warning("plugin %r: busy for too long; metrics go on without it", name)
        return groups

    def _on_its_thread(self, handle: PluginHandle, groups: list[list[MetricData]]) -> list[list[MetricData]]:
        caller = handle.caller(HOOK)
        cost = handle.cost(HOOK)

        def work() -> list[list[MetricData]]:
            cost.calls += sum(map(len, groups)) - 1
            return [[made for metric in group for made in one(metric)] for group in groups]

        def one(metric: MetricData) -> list[MetricData]:
            untouched = copy_of(metric)
            try:
                return made_of(caller(metric=metric))
            except (Exception, SystemExit) as error:
                cost.errors += 1
                if cost.errors == 1:
                    told = f"plugin {handle.info.name!r}: {HOOK} failed: {describe(error)}"
                    log.warning("%s; the metric goes on as it was", told)
                return [untouched]

        made: list[list[MetricData]] = handle.submit(work, step=HOOK)
        return made


def copy_of(metric: MetricData) -> MetricData:
    """Return a metric's double."""
    return MetricData(
        *(metric.name, metric.value, metric.type, metric.iteration),
        *(metric.timestamp, metric.source, metric.metadata, metric.id),
    )


def made_of(answer: Any) -> list[MetricData]:
    """Return what a processor answered as a list. Raises ``TypeError`` for what is neither metrics nor ``None``."""
    if answer is None:
        return []
    if isinstance(answer, MetricData):
        return [answer]
    made = list(answer) if isinstance(answer, Iterable) else [answer]
    for one in made:
        if not isinstance(one, MetricData):
            raise TypeError(f"expected MetricData, several or None, found {type(one).__name__}")
    return made
