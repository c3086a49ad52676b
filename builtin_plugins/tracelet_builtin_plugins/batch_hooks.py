"""What the backends share that take points in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracelet_hookspecs import MetricData, PluginMetadata, RecordId, RunView, hookimpl

__all__ = ["BatchHooks"]


class BatchHooks:
    """Gives a backend ``log_metric`` by its ``log_metrics``, and the run that a hook is about."""

    _run: RunView | None = None  # the last one

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        raise NotImplementedError

    @hookimpl
    def log_metrics(self, points: Sequence[MetricData], run: RunView | None = None) -> None:
        """Take a batch of points."""
        raise NotImplementedError

    @hookimpl
    def log_metric(
        self,
        name: str,
        value: Any,
        iteration: int | None,
        timestamp: float | None = None,
        run: RunView | None = None,
        id: RecordId | None = None,
    ) -> None:
        """Take one point."""
        self.log_metrics([MetricData(name, value, iteration=iteration, timestamp=timestamp, id=id)], run)

    def _known_run(self, run: RunView | None) -> RunView:
        """Return the run that a hook was given, else the one that was started.

        Raises:
            RuntimeError: there is neither.
        """
        found = run or self._run
        if found is None:
            name = self.get_metadata().name
            raise RuntimeError(
                f"plugin {name!r}: no run is known; expected run_started, or the argument 'run'"
            )
        return found
