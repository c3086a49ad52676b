"""The index: refreshed by whoever looks, then asked."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.store.details import UNREADABLE, Details, unreadable, without_journal
from tracelet.store.index import rows
from tracelet.store.index.database import Database, writing
from tracelet.store.index.following import Account, Reader
from tracelet.store.index.rows import Known
from tracelet.store.location import RUNS_FOLDER, run_folders
from tracelet.store.outcome import KILLED
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
        self._database = Database(data)
        self._reader = Reader()
        self._in_step: Path | None = None  # the file that was brought in step last
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

    def column(self, sql: str) -> list[Any]:
        """Bring the index in step, and return what a query gives in its first column."""
        with self._turn:
            return self._database.run(lambda connection: self._column(connection, sql))

    def _ask(self, connection: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[Details]:
        self._refresh(connection)
        found = connection.execute(f"SELECT {rows.DETAILS} FROM runs {sql}", values)
        return [rows.details_of_row(row) for row in found]

    def _column(self, connection: sqlite3.Connection, sql: str) -> list[Any]:
        self._refresh(connection)
        return [row[0] for row in connection.execute(sql)]

    def _summaries(self, connection: sqlite3.Connection, ids: list[str]) -> dict[str, dict[str, Summary]]:
        if self._database.used != self._in_step:  # another file than the one that the list came from
            self._refresh(connection)
        found: dict[str, dict[str, Summary]] = {id: {} for id in ids}
        for id, metric, summary in rows.read_summaries(connection, ids):
            found[id][metric] = summary
        return found

    # --- keeping in step ---------------------------------------------------------------------------------

    def _refresh(self, connection: sqlite3.Connection) -> None:
        folders = run_folders(self._data)
        self._drop_missing(connection, {folder.name for folder in folders})
        due = folders
        for _ in range(_ATTEMPTS):
            due = self._look(connection, due)
            if not due:
                break
        self._in_step = self._database.used
        running = connection.execute("SELECT id FROM runs WHERE outcome = 'running'")
        ids = {row[0] for row in running}
        self._reader.keep_only(folder for folder in folders if folder.name in ids)

    def _drop_missing(self, connection: sqlite3.Connection, present: set[str]) -> None:
        gone = [(known.number, id) for id, known in rows.known_runs(connection).items() if id not in present]
        if gone:
            with writing(connection):
                connection.executemany("DELETE FROM runs WHERE number = ? AND id = ?", gone)

    def _look(self, connection: sqlite3.Connection, folders: list[Path]) -> list[Path]:
        """Look at runs and write what is new. Returns those that somebody else wrote at the same time."""
        known = rows.known_runs(connection)
        fresh: list[Fresh] = []
        missed: list[Path] = []
        began = time.monotonic()
        for folder in folders:
            read = self._read(connection, folder, known.get(folder.name))
            if read is not None:
                fresh.append(read)
            if fresh and time.monotonic() - began > _HELD:
                missed += self._write(connection, fresh)
                fresh, began = [], time.monotonic()
        return missed + self._write(connection, fresh)

    def _read(self, connection: sqlite3.Connection, folder: Path, known: Known | None) -> Fresh | None:
        """Return what has become of a run, ``None`` where nothing has."""
        account = Account()
        try:
            if known is not None:
                if _is_settled(folder, known):
                    return None
                account = rows.read_account(connection, known)
            before = _state(folder, account)
            account = self._reader.update(folder, account)
            details = account.details(folder) if account.follows else without_journal(folder)
        except sqlite3.Error:
            raise
        except Exception as error:  # one run that cannot be read must not hide the others
            log.debug("run %s cannot be read", folder, exc_info=True)
            before, account, details = None, Account(), unreadable(folder, error)
        is_new = known is None or known.problem != details.problem or account.touched
        return Fresh(details, account, known) if is_new or _state(folder, account) != before else None

    def _write(self, connection: sqlite3.Connection, fresh: list[Fresh]) -> list[Path]:
        if not fresh:
            return []
        with writing(connection):
            written = [rows.write_run(connection, *one) for one in fresh]
        lost = [one.details.id for one, done in zip(fresh, written, strict=True) if not done]
        return [self._data / RUNS_FOLDER / id for id in lost]


def _state(folder: Path, account: Account) -> tuple[Any, ...]:
    """Return all that matters of an account beside its points. Heartbeats of who is running do not."""
    follows = [(id, one.sign.state, one.cursor or one.files) for id, one in account.follows.items()]
    return 0 if account.is_running else account.folder_changed, follows, account.details(folder)


def _is_settled(folder: Path, known: Known) -> bool:
    """Say whether nothing can have happened to a run since it was looked at."""
    seen = json.loads(known.seen)
    signs = [one["sign"][0] for one in seen["writers"].values()]
    if "running" in signs or known.outcome in ("running", UNREADABLE):
        return False
    if not seen["changed"] or seen["changed"] != folder_changed(folder):
        return False
    if KILLED not in signs:
        return True
    return files_of(folder) == {writer: one["files"] for writer, one in seen["writers"].items()}
