"""The points of one run, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from tracelet.journal import Columns, Damage
from tracelet.store import reading
from tracelet.store.tally import max_of


class PointsOfRun:
    """The points of a run by metric, as of the first request for each; all of them at the third request for more."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir
        self._damage: Damage | None = None
        self._some: dict[str, Columns] = {}
        self._requests = 0

    def of(self, name: str) -> Columns | None:
        """Return the points of a metric, ``None`` where there is no such metric."""
        return self.some([name]).get(name)

    def some(self, names: Iterable[str]) -> dict[str, Columns]:
        """Return the points of some metrics; those that are not there are left out."""
        wanted = list(names)
        known = self.all if "all" in self.__dict__ or self._requests > 1 else self._some
        missing = [name for name in wanted if name not in known]
        if missing and known is self._some:
            self._requests += 1
            self._some |= self._read(missing)
        return {name: known[name] for name in wanted if name in known}

    @cached_property
    def all(self) -> dict[str, Columns]:
        """All points, by metric."""
        return {**self._read(None), **self._some}

    @property
    def damage(self) -> dict[str, int]:
        """What could not be read, by kind."""
        if self._damage is None:
            self._read([])
        return dict(self._damage.counts) if self._damage is not None else {}

    def _read(self, names: Iterable[str] | None) -> dict[str, Columns]:
        self._damage = Damage()  # whatever is wanted, all of the journal is looked at
        return reading.read_points(self._dir, names, self._damage)

    def last_time(self, writer: str) -> float:
        """Return when a process recorded its last point, 0 where it recorded none."""
        latest = 0.0
        for columns in self.all.values():
            for part in columns.parts:
                if part.writer == writer and part.stop > part.start:
                    latest = max(latest, float(max_of(columns.times[part.start : part.stop])))
        return latest
