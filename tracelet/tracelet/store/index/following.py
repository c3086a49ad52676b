"""Keeping the account of a run in step with its journal, without reading anything twice.

A process that is running is followed by a cursor. One that is not is read to its end, and looked at again only
where its files have changed (a copy that was brought up to date, a run that was compacted); then from the start.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from tracelet.journal import Cursor, EventRecord, Follower, PointRecord, Record
from tracelet.store import reading
from tracelet.store.ahead import is_far_ahead, stretches
from tracelet.store.columns import FLOATS, INTEGERS, Points
from tracelet.store.details import Details, details_of
from tracelet.store.history import History
from tracelet.store.outcome import KILLED, RUNNING, LastSeen
from tracelet.store.reading import Files
from tracelet.store.tally import Tally

_BATCH: Final = 65536  # records read at a time


_metric_of = itemgetter(2, 3, 4)  # name, type and source of a PointRecord
_columns_of = itemgetter(5, 6, 7)  # step, time and value


@dataclass
class Follow:
    """How far one process has been read: a cursor while it runs; when it does not, all of these files."""

    sign: LastSeen
    files: Files
    cursor: Mapping[str, Any] | None = None


@dataclass
class Account:
    """What is known of a run, and how far its journal has been read for it."""

    folder_changed: int = 0  # when the journal's folder changed last (ns); 0: look again
    history: History = field(default_factory=lambda: History(brief=True))
    follows: dict[str, Follow] = field(default_factory=dict)
    tallies: dict[str, dict[str, Tally]] = field(default_factory=dict)  # by metric, then process
    touched: set[str] = field(default_factory=set)  # metrics with new points since the account was kept
    is_new: bool = True  # nothing of it is kept yet; what is, if anything, is to be replaced

    @property
    def is_running(self) -> bool:
        """Whether any process was running at the last look."""
        return any(follow.sign.state == RUNNING for follow in self.follows.values())

    def details(self, run_dir: Path) -> Details:
        """Return what a list says of the run."""
        return details_of(run_dir, self.history, {id: self._sign(id) for id in self.follows})

    def _sign(self, writer: str) -> LastSeen:
        sign = self.follows[writer].sign
        return sign._replace(at=max(sign.at, self.last_time(writer))) if sign.state == KILLED else sign

    def last_time(self, writer: str) -> float:
        """Return when a process recorded its last point, 0 where it recorded none."""
        times = (by_writer[writer].last_time for by_writer in self.tallies.values() if writer in by_writer)
        return max(times, default=0.0)

    def tally(self, metric: str, writer: str, type: str, source: str | None) -> Tally:
        """Return the tally of a metric of a process, which is about to grow."""
        self.touched.add(metric)
        by_writer = self.tallies.setdefault(metric, {})
        return by_writer.setdefault(writer, Tally(type, source))

    def forget(self, writer: str) -> None:
        """Drop the points of a process that is to be read anew."""
        for metric, by_writer in self.tallies.items():
            if by_writer.pop(writer, None) is not None:
                self.touched.add(metric)


class Reader:
    """Brings accounts up to date. Keeps followers open between looks, so that polling a live run is cheap."""

    def __init__(self) -> None:
        self._followers: dict[tuple[str, str], tuple[Follower, list[int]]] = {}

    def update(self, run_dir: Path, account: Account) -> Account:
        """Return the account with all that was appended since. Raises what reading the journal raises."""
        try:
            account.folder_changed, files = reading.folder_changed(run_dir), reading.files_of(run_dir)
        except FileNotFoundError:
            return Account()
        if not account.follows.keys() <= files.keys():  # another run stands there now
            account = Account(account.folder_changed)
        for writer, segments in files.items():
            self._update_writer(run_dir, account, writer, segments)
        return account

    def _update_writer(self, run_dir: Path, account: Account, writer: str, files: Files) -> None:
        sign = reading.read_sign(run_dir, writer)  # first: what it wrote before it ended is there by now
        known = account.follows.get(writer)
        if known is not None and known.cursor is None and known.files == files:
            known.sign = sign
            return
        cursor = known.cursor if known is not None else None
        if cursor is None:
            account.forget(writer)
            cursor = Cursor().to_json()
        account.follows[writer] = Follow(sign, files)
        reached = self._follow(run_dir, account, writer, cursor)
        account.follows[writer].cursor = reached if sign.state == RUNNING else None

    def _follow(
        self, run_dir: Path, account: Account, writer: str, cursor: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        began = time.time()
        while True:
            if is_far_ahead(run_dir, writer, Cursor.from_json(cursor)):
                cursor = _catch_up(run_dir, account, writer, cursor)
            follower = self._follower(run_dir, writer, cursor, account.follows[writer].files)
            records = follower.read(_BATCH)
            _hear(account, writer, records)
            cursor = follower.cursor.to_json()
            if not records or records[-1].time > began:  # it may write as fast as this reads
                return cursor

    def _follower(self, run_dir: Path, writer: str, cursor: Mapping[str, Any], files: Files) -> Follower:
        """Return a follower at a cursor: the one from the last look, unless it is elsewhere or its files are gone."""
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
        """Let go of what belongs to runs that are not running any more."""
        folders = {str(run_dir) for run_dir in running}
        self._followers = {key: kept for key, kept in self._followers.items() if key[0] in folders}


def _hear(account: Account, writer: str, records: list[Record]) -> None:
    for record in records:
        if isinstance(record, EventRecord):
            account.history.hear(writer, record)
    for (name, type_, source), points in _by_metric(records):
        account.tally(name, writer, type_, source).add(points)


def _catch_up(run_dir: Path, account: Account, writer: str, cursor: Mapping[str, Any]) -> Mapping[str, Any]:
    for stretch in stretches(run_dir, writer, Cursor.from_json(cursor)):
        for event in stretch.events:
            account.history.hear(writer, event)
        for metric, points in stretch.points.items():
            account.tally(metric.name, writer, metric.type, metric.source).add(points)
        cursor = stretch.cursor.to_json()
    return cursor


def _by_metric(records: list[Record]) -> Iterator[tuple[tuple[str, str, str | None], Points]]:
    """Yield each metric's points, in the order of recording."""
    grouped: dict[tuple[str, str, str | None], list[PointRecord]] = {}
    for metric, stretch in groupby((one for one in records if isinstance(one, PointRecord)), _metric_of):
        grouped.setdefault(metric, []).extend(stretch)
    for metric, several in grouped.items():
        steps, times, values = zip(*map(_columns_of, several), strict=True)
        yield metric, Points(array(INTEGERS, steps), array(FLOATS, values), array(FLOATS, times))
