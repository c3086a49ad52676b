"""The points of one run, read when they are asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from tracelet.journal import Columns, Damage
from tracelet.store import reading
from tracelet.store.tally import max_of


class PointsOfRun:
    """The points of a run by metric, as of the first request: that metric alone; all at the second request."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir
        self._damage = Damage()
        self._first: dict[str, Columns] = {}

    def of(self, name: str) -> Columns | None:
        """Return the points of a metric, ``None`` where there is no such metric."""
        if "all" not in self.__dict__ and not self._first:
            self._first = reading.read_points(self._dir, [name], Damage())
        return self._first.get(name) or self.all.get(name)

    @cached_property
    def all(self) -> dict[str, Columns]:
        """All points, by metric."""
        return reading.read_points(self._dir, None, self._damage)

    @property
    def damage(self) -> dict[str, int]:
        """What could not be read, by kind."""
        return dict(self._damage.counts) if self.all is not None else {}

    def last_time(self, writer: str) -> float:
        """Return when a process recorded its last point, 0 where it recorded none."""
        latest = 0.0
        for columns in self.all.values():
            for part in columns.parts:
                if part.writer == writer and part.stop > part.start:
                    latest = max(latest, float(max_of(columns.times[part.start : part.stop])))
        return latest
