"""The index: brought up to date by each reader, then queried."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.logs import get_logger
from tracelet.store.accumulator import Summary
from tracelet.store.details import Details, describe_unreadable
from tracelet.store.history import History
from tracelet.store.index import rows
from tracelet.store.index.database import Database, write_transaction
from tracelet.store.index.run_updates import IndexedRun, KnownRun
from tracelet.store.index.updating import Updater
from tracelet.store.journal_access import Files
from tracelet.store.run_source import Location

log = get_logger("tracelet.store")

_HELD: Final = (
    0.5  # seconds of work after which the results are written, so that other readers need not repeat it
)
_ATTEMPTS: Final = 5  # for a run that other readers keep writing first


class ChangedRun(NamedTuple):
    """A run that was read and is to be written over ``known``, if the index still has that."""

    details: Details
    run: IndexedRun
    known: KnownRun | None


class Index:
    """The details and the statistics of all runs of a data folder."""

    def __init__(self, location: Location, make_updater: Callable[[], Updater]) -> None:
        self._location = location
        self._make_updater = make_updater
        self._folder = location.runs
        self._runs = (
            f"{location.runs}{os.sep}"  # a run's id is put behind it, which takes less time than a path
        )
        self._database = Database(location.data)
        self._current_file: Path | None = None  # the file that was brought up to date last
        #: Seconds for which the index is not brought up to date again; 0: each query does so.
        self.patience = 0.0
        self._refreshed = -math.inf
        #: Called with the number of runs looked at and the number in all, while the index is brought up to date.
        self.progress: Callable[[int, int], None] | None = None
        self._renew()
        _instances.add(self)

    def _renew(self) -> None:
        self._updater = self._make_updater()
        self._lock = threading.RLock()  # threads of one process share the followers

    @property
    def path(self) -> Path | None:
        """The file of the index, ``None`` for memory."""
        return self._database.path

    def delete(self) -> None:
        """Delete the index; it is rebuilt at the next look."""
        with self._lock:
            self._database.delete()

    def expire(self) -> None:
        """Have the next query bring the index up to date, however patient it is otherwise."""
        self._refreshed = -math.inf

    def select(self, sql: str, values: Iterable[Any] = ()) -> list[Details]:
        """Bring the index up to date, and return the runs that a query selects."""
        wanted = tuple(values)
        with self._lock:
            return self._database.run(lambda connection: self._select(connection, sql, wanted))

    def summaries(self, ids: Iterable[str]) -> dict[str, dict[str, Summary]]:
        """Return the summaries of all metrics of some runs, as of the last look."""
        wanted = list(ids)
        with self._lock:
            return self._database.run(lambda connection: self._summaries(connection, wanted))

    def fresh_summaries(self, ids: Iterable[str]) -> dict[str, dict[str, Summary]]:
        """Return the same as of now; only these runs are brought up to date."""
        wanted = list(ids)
        with self._lock:
            return self._database.run(lambda connection: self._fresh_summaries(connection, wanted))

    def history(self, id: str, files: dict[str, Files]) -> History | None:
        """Return what all events of a run add up to, if the index has it for just these files; else ``None``."""
        with self._lock:
            return self._database.run(lambda connection: rows.load_history(connection, id, files))

    def last_time(self, id: str, writer: str) -> float:
        """Return when a process of a run recorded its last point, 0 if it recorded none."""
        with self._lock:
            return self._database.run(lambda connection: self._last_time(connection, id, writer))

    def select_column(self, sql: str, values: Iterable[Any] = ()) -> list[Any]:
        """Bring the index up to date, and return the first column of a query."""
        wanted = tuple(values)
        with self._lock:
            return self._database.run(lambda connection: self._select_column(connection, sql, wanted))

    def _select(self, connection: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[Details]:
        self._refresh(connection)
        found = connection.execute(f"SELECT {rows.DETAILS} FROM runs {sql}", values)
        return [rows.load_details(row) for row in found]

    def _last_time(self, connection: sqlite3.Connection, id: str, writer: str) -> float:
        self._update_runs(connection, [id], rows.load_known_runs(connection, [id]))
        known = rows.load_known_runs(connection, [id]).get(id)
        return 0.0 if known is None else rows.load_run(connection, known).last_times().get(writer, 0.0)

    def _select_column(self, connection: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[Any]:
        self._refresh(connection)
        return [row[0] for row in connection.execute(sql, values)]

    def _summaries(self, connection: sqlite3.Connection, ids: list[str]) -> dict[str, dict[str, Summary]]:
        if self._database.used != self._current_file:  # not the file that the list came from
            self._refresh(connection)
        return _group_summaries(connection, ids)

    def _fresh_summaries(
        self, connection: sqlite3.Connection, ids: list[str]
    ) -> dict[str, dict[str, Summary]]:
        self._update_runs(connection, ids, rows.load_known_runs(connection, ids))
        return _group_summaries(connection, ids)

    # --- updating ----------------------------------------------------------------------------------------

    def _refresh(self, connection: sqlite3.Connection) -> None:
        began = time.monotonic()
        if began - self._refreshed < self.patience and self._database.used == self._current_file:
            return
        ids = self._location.run_ids()
        known = rows.load_known_runs(connection)
        if self._location.only is None:
            self._drop_missing(connection, known, set(ids))
        self._update_runs(connection, ids, known)
        self._current_file = self._database.used
        running = connection.execute("SELECT id FROM runs WHERE outcome = 'running'")
        self._updater.keep_only(self._folder / row[0] for row in running)
        self._refreshed = time.monotonic()

    def _update_runs(
        self, connection: sqlite3.Connection, ids: Sequence[str], known: dict[str, KnownRun]
    ) -> None:
        missed = self._update_once(connection, ids, known)
        for _ in range(_ATTEMPTS):
            if not missed:
                break
            missed = self._update_once(connection, missed, rows.load_known_runs(connection, missed))

    def _drop_missing(
        self, connection: sqlite3.Connection, known: dict[str, KnownRun], present: set[str]
    ) -> None:
        gone = [(one.number, id) for id, one in known.items() if id not in present]
        if gone:
            with write_transaction(connection):
                connection.executemany("DELETE FROM runs WHERE number = ? AND id = ?", gone)

    def _update_once(
        self, connection: sqlite3.Connection, ids: Sequence[str], known: dict[str, KnownRun]
    ) -> list[str]:
        """Read runs and write what has changed. Return those that another reader wrote at the same time."""
        changed: list[ChangedRun] = []
        missed: list[str] = []
        began = time.monotonic()
        for at, id in enumerate(self._unsettled(connection, ids, known)):
            if self.progress is not None:
                self.progress(at, len(ids))
            read = self._read_changes(connection, self._folder / id, known.get(id))
            if read is not None:
                changed.append(read)
            if changed and time.monotonic() - began > _HELD:
                missed += self._write(connection, changed)
                changed, began = [], time.monotonic()
        missed += self._write(connection, changed)
        if self.progress is not None and ids:
            self.progress(len(ids), len(ids))
        return missed

    def _unsettled(
        self, connection: sqlite3.Connection, ids: Sequence[str], known: dict[str, KnownRun]
    ) -> list[str]:
        """Return the runs that may have changed, after the updater has been told of them."""
        found = [id for id in ids if not self._is_settled(connection, id, known.get(id))]
        self._updater.prepare(found)
        return found

    def _is_settled(self, connection: sqlite3.Connection, id: str, known: KnownRun | None) -> bool:
        if known is None or not known.settled:
            return False
        try:
            return self._updater.is_settled(
                f"{self._runs}{id}", known, lambda: rows.load_files(connection, known)
            )
        except OSError:
            log.debug("run %s cannot be examined", id, exc_info=True)
            return False

    def _read_changes(
        self, connection: sqlite3.Connection, folder: Path, known: KnownRun | None
    ) -> ChangedRun | None:
        run = IndexedRun() if known is None else rows.load_run(connection, known)
        before = _state(folder, run)
        try:
            run, details = self._updater.read(folder, run)
        except Exception as error:  # one run that cannot be read must not hide the others
            log.debug("run %s cannot be read", folder, exc_info=True)
            run, details = IndexedRun(), describe_unreadable(folder, error)
        is_changed = known is None or known.problem != details.problem or run.changed
        return ChangedRun(details, run, known) if is_changed or _state(folder, run) != before else None

    def _write(self, connection: sqlite3.Connection, changed: list[ChangedRun]) -> list[str]:
        if not changed:
            return []
        try:
            with write_transaction(connection):
                written = [rows.write_run(connection, *one) for one in changed]
        except (
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
            sqlite3.DataError,
            sqlite3.InterfaceError,
        ):
            if len(changed) > 1:  # one run that cannot be written must not hide the others
                return [id for one in changed for id in self._write(connection, [one])]
            return self._write_unreadable(connection, changed[0])
        return [one.details.id for one, done in zip(changed, written, strict=True) if not done]

    def _write_unreadable(self, connection: sqlite3.Connection, changed: ChangedRun) -> list[str]:
        """Write a run whose contents the index cannot hold."""
        log.debug("run %s cannot be indexed", changed.details.id, exc_info=True)
        error = ValueError("its journal holds values that no index can hold")
        details = describe_unreadable(self._folder / changed.details.id, error)
        with write_transaction(connection):
            written = rows.write_run(connection, details, IndexedRun(), changed.known)
        return [] if written else [details.id]


def _group_summaries(connection: sqlite3.Connection, ids: list[str]) -> dict[str, dict[str, Summary]]:
    found: dict[str, dict[str, Summary]] = {id: {} for id in ids}
    for id, metric, summary in rows.read_summaries(connection, ids):
        found[id][metric] = summary
    return found


def _state(folder: Path, run: IndexedRun) -> tuple[Any, ...]:
    """Return everything of a run that matters, except its points. The heartbeats of running processes do not."""
    writers = [(id, one.last_seen.state, one.cursor or one.files) for id, one in run.writers.items()]
    return 0 if run.is_running else run.folder_changed, writers, run.details(folder)


_instances: weakref.WeakSet[Index] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for index in list(_instances):  # a thread that was not copied may have held the lock
        index._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
