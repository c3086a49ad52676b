"""Updating what the index knows of a run from its journal, without reading anything twice.

A process that is running is followed with a cursor. Any other is read to its end, and read again from the start only
if its files have changed (a copy that was updated, a run that was compacted).
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.journal import Cursor, EventRecord, Follower, PointRecord, Record
from tracelet.store import journal_access
from tracelet.store.accumulator import MetricAccumulator
from tracelet.store.details import Details, build_details, describe_without_journal
from tracelet.store.history import History
from tracelet.store.index.bulk_reader import has_backlog, read_backlog
from tracelet.store.journal_access import Files
from tracelet.store.outcome import KILLED, RUNNING, LastSeen
from tracelet.store.point_columns import FLOATS, INTEGERS, Points

_BATCH: Final = 65536  # records read at a time

MetricId = tuple[str, str | None]  # name and source
BySource = dict[str | None, dict[str, MetricAccumulator]]  # by source, then writer

_metric_of = itemgetter(2, 3, 4)  # name, type and source of a PointRecord
_columns_of = itemgetter(5, 6, 7)  # step, time and value


class KnownRun(NamedTuple):
    """What the index has of a run without its metrics: enough to decide whether to look at it."""

    number: int
    looks: int
    problem: str | None
    settled: int
    doubtful: int


@dataclass
class WriterProgress:
    """How far one process has been read: a cursor while it runs, all of these files once it does not."""

    last_seen: LastSeen
    files: Files
    cursor: Mapping[str, Any] | None = None


@dataclass
class IndexedRun:
    """What is known of a run, and how far its journal has been read."""

    folder_changed: int = 0  # when the journal's folder changed last (ns); 0: look again
    history: History = field(default_factory=lambda: History(brief=True))
    writers: dict[str, WriterProgress] = field(default_factory=dict)
    metrics: dict[str, BySource] = field(default_factory=dict)  # by recorded name
    changed: set[str] = field(
        default_factory=set
    )  # names of metrics with new points since the row was written
    is_new: bool = True  # the index has no metrics of it, or they are to be replaced

    @property
    def is_running(self) -> bool:
        """Whether any process was running at the last look."""
        return any(writer.last_seen.state == RUNNING for writer in self.writers.values())

    def details(self, run_dir: Path) -> Details:
        """Return the details of the run."""
        last_seen = {id: progress.last_seen for id, progress in self.writers.items()}
        killed = [id for id, seen in last_seen.items() if seen.state == KILLED]
        times = self.last_times() if killed else {}
        for id in killed:  # the last point may be later than the last heartbeat
            last_seen[id] = last_seen[id]._replace(at=max(last_seen[id].at, times.get(id, 0.0)))
        return build_details(run_dir, self.history, last_seen)

    def last_times(self) -> dict[str, float]:
        """Return when each process recorded its last point."""
        latest: dict[str, float] = {}
        for by_source in self.metrics.values():
            for by_writer in by_source.values():
                for id, accumulator in by_writer.items():
                    latest[id] = max(latest.get(id, 0.0), accumulator.last_time)
        return latest

    def add_points(self, metric: tuple[str, str, str | None], writer: str, points: Points) -> None:
        """Take in points of a metric (name, type, source) of a process."""
        name, type_, source = metric
        self.changed.add(name)
        by_writer = self.metrics.setdefault(name, {}).setdefault(source, {})
        accumulator = by_writer.get(writer)
        if accumulator is None:
            process = self.history.processes.get(writer)
            attempt = process.attempt if process is not None else 0
            accumulator = by_writer[writer] = MetricAccumulator(type_, source, attempt)
        accumulator.add(points)

    def forget(self, writer: str) -> None:
        """Drop the points of a process that is to be read again."""
        for name, by_source in self.metrics.items():
            for by_writer in by_source.values():
                if by_writer.pop(writer, None) is not None:
                    self.changed.add(name)


class RunUpdater:
    """Brings indexed runs up to date. Keeps followers open between looks, so that polling a live run is cheap."""

    def __init__(self) -> None:
        self._followers: dict[tuple[str, str], tuple[Follower, list[int]]] = {}

    def is_settled(self, run_dir: str, known: KnownRun, load_files: Callable[[], dict[str, Files]]) -> bool:
        """Return whether nothing was appended to the journal since it was read."""
        if known.settled != journal_access.folder_changed(run_dir):
            return False
        return not known.doubtful or journal_access.list_segments(Path(run_dir)) == load_files()

    def prepare(self, ids: Sequence[str]) -> None:
        """Do nothing: each run is read when its turn comes."""

    def read(self, run_dir: Path, run: IndexedRun) -> tuple[IndexedRun, Details]:
        """Return the run with everything appended since the last look, and its details."""
        run = self.update(run_dir, run)
        return run, run.details(run_dir) if run.writers else describe_without_journal(run_dir)

    def update(self, run_dir: Path, run: IndexedRun) -> IndexedRun:
        """Return the run with everything appended since the last look. Raises whatever reading the journal raises."""
        try:
            run.folder_changed = journal_access.folder_changed(run_dir)
            files = journal_access.list_segments(run_dir)
        except FileNotFoundError:
            return IndexedRun()
        if not run.writers.keys() <= files.keys():  # the folder holds another run now
            run = IndexedRun(run.folder_changed)
        for writer, segments in files.items():
            self._update_writer(run_dir, run, writer, segments)
        return run

    def _update_writer(self, run_dir: Path, run: IndexedRun, writer: str, files: Files) -> None:
        last_seen = journal_access.read_last_seen(run_dir, writer)  # first: all that it wrote before is there
        known = run.writers.get(writer)
        if known is not None and known.cursor is None and known.files == files:
            known.last_seen = last_seen
            return
        cursor = known.cursor if known is not None else None
        if cursor is None:
            run.forget(writer)
            cursor = Cursor().to_json()
        run.writers[writer] = WriterProgress(last_seen, files)
        reached = self._follow(run_dir, run, writer, cursor)
        if last_seen.state != RUNNING:
            self._followers.pop(
                (str(run_dir), writer), None
            )  # of many runs that ended, they would fill the memory
        run.writers[writer].cursor = reached if last_seen.state == RUNNING else None

    def _follow(
        self, run_dir: Path, run: IndexedRun, writer: str, cursor: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        began = time.time()
        while True:
            if has_backlog(run_dir, writer, Cursor.from_json(cursor)):
                cursor = _add_backlog(run_dir, run, writer, cursor)
            follower = self._follower(run_dir, writer, cursor, run.writers[writer].files)
            records = follower.read(_BATCH)
            _add_records(run, writer, records)
            cursor = follower.cursor.to_json()
            if not records or records[-1].time > began:  # the process may write as fast as this reads
                return cursor

    def _follower(self, run_dir: Path, writer: str, cursor: Mapping[str, Any], files: Files) -> Follower:
        """Return a follower at a cursor: that of the last look, unless it is elsewhere or its files are gone."""
        key, inodes = (str(run_dir), writer), [file[-1] for file in files]
        follower, known_inodes = self._followers.get(key, (None, []))
        if (
            follower is None
            or follower.cursor.to_json() != cursor
            or known_inodes != inodes[: len(known_inodes)]
        ):
            follower = Follower(run_dir, writer, Cursor.from_json(cursor))
        self._followers[key] = (follower, inodes)
        return follower

    def keep_only(self, running: Iterable[Path]) -> None:
        """Release the followers of runs that are not running any more."""
        folders = {str(run_dir) for run_dir in running}
        self._followers = {key: kept for key, kept in self._followers.items() if key[0] in folders}


def _add_records(run: IndexedRun, writer: str, records: list[Record]) -> None:
    for record in records:
        if isinstance(record, EventRecord):
            run.history.add_event(writer, record)
    for metric, points in _group_by_metric(records):
        run.add_points(metric, writer, points)


def _add_backlog(run_dir: Path, run: IndexedRun, writer: str, cursor: Mapping[str, Any]) -> Mapping[str, Any]:
    for chunk in read_backlog(run_dir, writer, Cursor.from_json(cursor)):
        for event in chunk.events:
            run.history.add_event(writer, event)
        for metric, points in chunk.points.items():
            run.add_points(metric, writer, points)
        cursor = chunk.cursor.to_json()
    return cursor


def _group_by_metric(records: list[Record]) -> Iterator[tuple[tuple[str, str, str | None], Points]]:
    """Yield each metric's points, in the order of recording."""
    grouped: dict[tuple[str, str, str | None], list[PointRecord]] = {}
    for metric, several in groupby((one for one in records if isinstance(one, PointRecord)), _metric_of):
        grouped.setdefault(metric, []).extend(several)
    for metric, records_of_metric in grouped.items():
        steps, times, values = zip(*map(_columns_of, records_of_metric), strict=True)
        yield metric, Points(array(INTEGERS, steps), array(FLOATS, values), array(FLOATS, times))
