"""The newest points of a run that is still recording, each with its place in its series."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.journal import Cursor, EventRecord, Follower, PointRecord, Record, writers
from tracelet.store.index.bulk_reader import read_backlog
from tracelet.store.metric_keys import metric_keys
from tracelet.store.point_columns import FLOATS, INTEGERS

_BATCH: Final = 65536  # records read at a time
_KEPT: Final = 2048  # points of a series that a reader who was away may still ask for
SeriesCursor = Mapping[str, int]  # by writer: how many of its points a reader has
MetricId = tuple[str, str | None]  # name and source

_metric_of = itemgetter(2, 4)


class NewPoints(NamedTuple):
    """Points of one metric that a reader lacks, and the cursor behind them.

    ``lost`` is true if some before them are no longer held; the reader then reads the series again.
    """

    name: str
    steps: list[int]
    values: list[float]
    times: list[float]
    cursor: SeriesCursor
    lost: bool


@dataclass
class Held:
    """The last points of one metric of one process; ``start`` is the place of the first of them."""

    start: int = 0
    steps: array[int] = field(default_factory=lambda: array(INTEGERS))
    values: array[float] = field(default_factory=lambda: array(FLOATS))
    times: array[float] = field(default_factory=lambda: array(FLOATS))

    @property
    def end(self) -> int:
        """The place behind the last point."""
        return self.start + len(self.values)

    def trim(self) -> None:
        """Let go of the first points if there are many."""
        if (excess := len(self.values) - _KEPT) > _KEPT:
            self.start += excess
            for column in (self.steps, self.values, self.times):
                del column[:excess]


class Tail(ABC):
    """Follows a run, and holds the last points of each metric. Several threads may use it.

    What the run had recorded before the tail was made is only counted. Readers say what they have by a cursor per
    series, as :func:`series_cursor` makes it.
    """

    def __init__(self) -> None:
        self._held: dict[MetricId, dict[str, Held]] = {}
        self._lock = threading.Lock()
        #: The number of events (params, tags, artifacts, an end) that were met.
        self.events = 0
        self.advance()

    @abstractmethod
    def advance(self) -> None:
        """Read what was recorded since the last call."""

    def _hold(self, name: str, source: str | None, writer: str) -> Held:
        return self._held.setdefault((name, source), {}).setdefault(writer, Held())

    def names(self) -> list[str]:
        """Return the keys of the metrics recorded so far, sorted."""
        with self._lock:
            return sorted(self._by_key())

    def count(self) -> int:
        """Return how many points were recorded so far."""
        with self._lock:
            return sum(held.end for several in self._held.values() for held in several.values())

    def _by_key(self) -> dict[str, dict[str, Held]]:
        sources: dict[str, set[str | None]] = {}
        for name, source in self._held:
            sources.setdefault(name, set()).add(source)
        return {metric_keys(name, sources[name])[source]: held for (name, source), held in self._held.items()}

    def since(self, cursors: Mapping[str, SeriesCursor]) -> list[NewPoints]:
        """Return the points behind the cursors, by key of metric; those that have none are left out."""
        with self._lock:
            known = self._by_key()
            found = [_collect(name, known[name], cursor) for name, cursor in cursors.items() if name in known]
        return [one for one in found if one.values or one.lost]


class RunTail(Tail):
    """Follows the journal of a run."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir
        self._followers: dict[str, Follower] = {}
        super().__init__()

    def advance(self) -> None:
        """Read what was recorded since the last call."""
        with self._lock:
            for writer in writers(self._dir):
                follower = self._followers.get(writer) or self._begin(writer)
                while records := follower.read(_BATCH):
                    self._take(writer, records)

    def _begin(self, writer: str) -> Follower:
        cursor = Cursor()
        for chunk in read_backlog(self._dir, writer, cursor):
            for metric, points in chunk.points.items():
                self._hold(metric[0], metric[2], writer).start += len(points.values)
            cursor = chunk.cursor
        follower = self._followers[writer] = Follower(self._dir, writer, cursor)
        return follower

    def _take(self, writer: str, records: list[Record]) -> None:
        self.events += sum(isinstance(one, EventRecord) for one in records)
        for (name, source), several in groupby(
            (one for one in records if isinstance(one, PointRecord)), _metric_of
        ):
            held = self._hold(name, source, writer)
            for record in several:
                held.steps.append(record[5])
                held.times.append(record[6])
                held.values.append(record[7])
            held.trim()


def _collect(name: str, by_writer: Mapping[str, Held], cursor: SeriesCursor) -> NewPoints:
    steps: list[int] = []
    values: list[float] = []
    times: list[float] = []
    lost = False
    for writer, held in by_writer.items():
        have = cursor.get(writer, 0)
        lost = lost or have < held.start
        place = max(0, have - held.start)
        steps += held.steps[place:]
        values += held.values[place:]
        times += held.times[place:]
    reached = {
        **cursor,
        **{writer: max(held.end, cursor.get(writer, 0)) for writer, held in by_writer.items()},
    }
    return NewPoints(name, steps, values, times, reached, lost)


def series_cursor(parts: Iterable[Any]) -> dict[str, int]:
    """Return the cursor behind everything that a series had when it was read, from the parts of its origin."""
    reached: dict[str, int] = {}
    for part in parts:
        reached[part.writer] = reached.get(part.writer, 0) + part.stop - part.start
    return reached
