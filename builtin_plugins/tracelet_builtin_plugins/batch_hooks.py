"""What the backends share that take points in batches."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tracelet_hookspecs import MetricData, PluginMetadata, RecordId, RunView, hookimpl

__all__ = ["BatchHooks", "left_to_records", "new_id", "with_ids"]


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


def new_id() -> RecordId:
    """Return an id for a record that does not come from a journal."""
    return uuid.uuid4().hex, 0, 0


def with_ids(points: Sequence[MetricData]) -> Sequence[MetricData]:
    """Return the points, after those that do not come from a journal got an id."""
    for point in points:
        if point.id is None:
            point.id = new_id()
    return points


@contextmanager
def left_to_records() -> Iterator[None]:
    """Leave an outage at the start of a run to its first record, which is tried again; a refusal is raised."""
    try:
        yield
    except PermissionError:
        raise
    except OSError:
        pass
