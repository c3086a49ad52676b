"""The points of one run, read on demand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from tracelet.journal import Columns, Damage
from tracelet.store.metric_keys import metric_keys, recorded_names
from tracelet.store.point_columns import max_of
from tracelet.store.run_source import RunSource
from tracelet.store.series import MetricColumns


class RunPoints:
    """The points of a run by metric, as of the first request for each.

    From a journal, reading some metrics takes about as long as reading all of them, so the third request reads all.
    """

    def __init__(self, source: RunSource, attempts: Callable[[], Mapping[str, int]]) -> None:
        self._source = source
        self._attempts = attempts  # returns each writer's attempt
        self._damage: Damage | None = None
        self._some: dict[str, MetricColumns] = {}
        self._requests = 0

    def of(self, key: str) -> MetricColumns | None:
        """Return the points of a metric, ``None`` if there is no such metric."""
        return self.some([key]).get(key)

    def some(self, keys: Iterable[str]) -> dict[str, MetricColumns]:
        """Return the points of some metrics, without those that do not exist."""
        wanted = list(keys)
        reads_all = self._requests > 1 and not self._source.is_selective
        known = self.all if "all" in self.__dict__ or reads_all else self._some
        missing = [key for key in wanted if key not in known]
        if missing and known is self._some:
            self._requests += 1
            self._some |= self._read([name for key in missing for name in recorded_names(key)])
        return {key: known[key] for key in wanted if key in known}

    @cached_property
    def all(self) -> dict[str, MetricColumns]:
        """All points, by metric."""
        return {**self._read(None), **self._some}

    @property
    def damage(self) -> dict[str, int]:
        """The number of records that could not be read, by kind."""
        if self._damage is None:
            self._read([])
        return dict(self._damage.counts) if self._damage is not None else {}

    def last_time(self, writer: str) -> float:
        """Return when a process recorded its last point, 0 if it recorded none."""
        return self._last_times.get(writer, 0.0)

    @cached_property
    def _last_times(self) -> Mapping[str, float]:
        latest: dict[str, float] = defaultdict(float)
        for metric in self.all.values():
            for part in metric.parts:
                if part.stop > part.start:
                    time = float(max_of(metric.columns.times[part.start : part.stop]))
                    latest[part.writer] = max(latest[part.writer], time)
        return latest

    def _read(self, names: Iterable[str] | None) -> dict[str, MetricColumns]:
        self._damage = Damage()  # reading some metrics checks the whole journal, too
        found: dict[str, MetricColumns] = {}
        for name, columns in self._source.columns(names, self._damage).items():
            found |= self._split(name, columns)
        return found

    def _split(self, name: str, columns: Columns) -> dict[str, MetricColumns]:
        """Return a metric's columns by source."""
        if len(columns.parts) == 1:
            return {name: MetricColumns(columns, columns.parts, self._attempts)}
        keys = metric_keys(name, {part.source for part in columns.parts})
        return {
            key: MetricColumns(
                columns, [part for part in columns.parts if part.source == source], self._attempts
            )
            for source, key in keys.items()
        }
