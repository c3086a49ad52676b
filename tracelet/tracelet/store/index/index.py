"""The index: refreshed by whoever looks, then asked."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.store.details import Details, unreadable, without_journal
from tracelet.store.index import rows
from tracelet.store.index.database import Database, writing
from tracelet.store.index.following import Account, Reader
from tracelet.store.index.rows import Known
from tracelet.store.location import RUNS_FOLDER, run_ids
from tracelet.store.reading import files_of, folder_changed
from tracelet.store.tally import Summary

log = logging.getLogger("tracelet.store")

_HELD: Final = 0.5  # seconds of work after which it is written, so that others need not do it too
_ATTEMPTS: Final = 5  # at a run that other readers keep writing first


class Fresh(NamedTuple):
    """A run that was read and is to be written: over ``known``, if that is still what the index has."""

    details: Details
    account: Account
    known: Known | None


class Index:
    """What all runs of a data folder add up to."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folder = data / RUNS_FOLDER
        self._database = Database(data)
        self._in_step: Path | None = None  # the file that was brought in step last
        self._renew()
        _living.add(self)

    def _renew(self) -> None:
        self._reader = Reader()
        self._turn = threading.RLock()  # threads of one process share the followers

    @property
    def path(self) -> Path | None:
        """The file it is kept in, ``None`` for memory."""
        return self._database.path

    def delete(self) -> None:
        """Forget everything; it is built anew at the next look."""
        with self._turn:
            self._database.delete()

    def ask(self, sql: str, values: Iterable[Any] = ()) -> list[Details]:
        """Bring the index in step with the journals, and return the runs that a query selects."""
        wanted = tuple(values)
        with self._turn:
            return self._database.run(lambda connection: self._ask(connection, sql, wanted))

    def summaries(self, ids: Iterable[str]) -> dict[str, dict[str, Summary]]:
        """Return the summaries of all metrics of some runs, as of the last look."""
        wanted = list(ids)
        with self._turn:
            return self._database.run(lambda connection: self._summaries(connection, wanted))

    def fresh_summaries(self, ids: Iterable[str]) -> dict[str, dict[str, Summary]]:
        """Return the same as of now: these runs, and no others, are brought in step for it."""
        wanted = list(ids)
        with self._turn:
            return self._database.run(lambda connection: self._fresh_summaries(connection, wanted))

    def last_time(self, id: str, writer: str) -> float:
        """Return when a process of a run recorded its last point, 0 where it recorded none."""
        with self._turn:
            return self._database.run(lambda connection: self._last_time(connection, id, writer))

    def column(self, sql: str) -> list[Any]:
        """Bring the index in step, and return what a query gives in its first column."""
        with self._turn:
            return self._database.run(lambda connection: self._column(connection, sql))

    def _ask(self, connection: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[Details]:
        self._refresh(connection)
        found = connection.execute(f"SELECT {rows.DETAILS} FROM runs {sql}", values)
        return [rows.details_of_row(row) for row in found]

    def _last_time(self, connection: sqlite3.Connection, id: str, writer: str) -> float:
        self._bring_in_step(connection, [id], rows.known_runs(connection))
        known = rows.known_runs(connection).get(id)
        return 0.0 if known is None else rows.read_account(connection, known).last_time(writer)

    def _column(self, connection: sqlite3.Connection, sql: str) -> list[Any]:
        self._refresh(connection)
        return [row[0] for row in connection.execute(sql)]

    def _summaries(self, connection: sqlite3.Connection, ids: list[str]) -> dict[str, dict[str, Summary]]:
        if self._database.used != self._in_step:  # another file than the one that the list came from
            self._refresh(connection)
        return _by_run(connection, ids)

    def _fresh_summaries(
        self, connection: sqlite3.Connection, ids: list[str]
    ) -> dict[str, dict[str, Summary]]:
        self._bring_in_step(connection, ids, rows.known_runs(connection))
        return _by_run(connection, ids)

    # --- keeping in step ---------------------------------------------------------------------------------

    def _refresh(self, connection: sqlite3.Connection) -> None:
        ids = run_ids(self._data)
        known = rows.known_runs(connection)
        self._drop_missing(connection, known, set(ids))
        self._bring_in_step(connection, ids, known)
        self._in_step = self._database.used
        running = connection.execute("SELECT id FROM runs WHERE outcome = 'running'")
        self._reader.keep_only(self._folder / row[0] for row in running)

    def _bring_in_step(self, connection: sqlite3.Connection, ids: list[str], known: dict[str, Known]) -> None:
        due = self._look(connection, ids, known)
        for _ in range(_ATTEMPTS):
            if not due:
                break
            due = self._look(connection, due, rows.known_runs(connection))

    def _drop_missing(
        self, connection: sqlite3.Connection, known: dict[str, Known], present: set[str]
    ) -> None:
        gone = [(one.number, id) for id, one in known.items() if id not in present]
        if gone:
            with writing(connection):
                connection.executemany("DELETE FROM runs WHERE number = ? AND id = ?", gone)

    def _look(self, connection: sqlite3.Connection, ids: list[str], known: dict[str, Known]) -> list[str]:
        """Look at runs and write what is new. Returns those that somebody else wrote at the same time."""
        fresh: list[Fresh] = []
        missed: list[str] = []
        began = time.monotonic()
        for id in ids:
            read = self._read(connection, id, known.get(id))
            if read is not None:
                fresh.append(read)
            if fresh and time.monotonic() - began > _HELD:
                missed += self._write(connection, fresh)
                fresh, began = [], time.monotonic()
        return missed + self._write(connection, fresh)

    def _read(self, connection: sqlite3.Connection, id: str, known: Known | None) -> Fresh | None:
        """Return what has become of a run, ``None`` where nothing has."""
        try:
            if known is not None and self._is_settled(connection, id, known):
                return None
        except OSError:
            log.debug("run %s has changed its ways", id, exc_info=True)
        return self._read_anew(connection, self._folder / id, known)

    def _is_settled(self, connection: sqlite3.Connection, id: str, known: Known) -> bool:
        """Say whether nothing can have happened to a run since it was looked at."""
        if not known.settled or known.settled != folder_changed(f"{self._folder}{os.sep}{id}"):
            return False
        return not known.doubtful or files_of(self._folder / id) == rows.known_files(connection, known)

    def _read_anew(self, connection: sqlite3.Connection, folder: Path, known: Known | None) -> Fresh | None:
        account = Account() if known is None else rows.read_account(connection, known)
        before = _state(folder, account)
        try:
            account = self._reader.update(folder, account)
            details = account.details(folder) if account.follows else without_journal(folder)
        except Exception as error:  # one run that cannot be read must not hide the others
            log.debug("run %s cannot be read", folder, exc_info=True)
            account, details = Account(), unreadable(folder, error)
        is_new = known is None or known.problem != details.problem or account.touched
        return Fresh(details, account, known) if is_new or _state(folder, account) != before else None

    def _write(self, connection: sqlite3.Connection, fresh: list[Fresh]) -> list[str]:
        if not fresh:
            return []
        with writing(connection):
            written = [rows.write_run(connection, *one) for one in fresh]
        return [one.details.id for one, done in zip(fresh, written, strict=True) if not done]


def _by_run(connection: sqlite3.Connection, ids: list[str]) -> dict[str, dict[str, Summary]]:
    found: dict[str, dict[str, Summary]] = {id: {} for id in ids}
    for id, metric, summary in rows.read_summaries(connection, ids):
        found[id][metric] = summary
    return found


def _state(folder: Path, account: Account) -> tuple[Any, ...]:
    """Return all that matters of an account beside its points. Heartbeats of who is running do not."""
    follows = [(id, one.sign.state, one.cursor or one.files) for id, one in account.follows.items()]
    return 0 if account.is_running else account.folder_changed, follows, account.details(folder)


_living: weakref.WeakSet[Index] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for index in list(_living):  # a thread that did not come along may have had its turn
        index._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
