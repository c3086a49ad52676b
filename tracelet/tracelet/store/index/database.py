"""The file behind an index: created whole, shared by many processes, replaced when it is damaged.

Its name holds a random part, so that a file deleted by hand, or found damaged and replaced, can never meet
another one's ``-wal`` or ``-shm``. Processes that come first at the same moment may each make one; all of them
then use the one whose name sorts first, and the others are removed. So there is no lock but SQLite's own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from tracelet.store.index import place
from tracelet.store.index.schema import TABLES, VERSION

log = logging.getLogger("tracelet.store")

PATIENCE: Final = 5.0  # seconds to wait for another process to finish its writing
_PREFIX: Final = f"runs-{VERSION}-"
_SUFFIX: Final = ".sqlite"
_TRANSIENT: Final = frozenset(
    {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_NOMEM", "SQLITE_READONLY"}
)

Result = TypeVar("Result")


class Database:
    """Runs pieces of work against the index's file, or in memory where there is no place for one."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._memory: sqlite3.Connection | None = None
        self._memory_of = 0
        self.used: Path | None = None  # the file that the last piece of work was done with, None for memory

    @property
    def path(self) -> Path | None:
        """The file, ``None`` where the index is kept in memory."""
        if self._memory is not None:
            return None
        for folder in place.folders(self._data):
            return _current(folder)
        return None

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do some work. It may be done again from the start, against a fresh index, where this one is damaged."""
        if self._memory is None:
            for folder in place.folders(self._data):
                for _ in range(2):
                    file = _current(folder)
                    if file is None:
                        break
                    self.used = file
                    try:
                        with _connected(file) as connection:
                            return work(connection)
                    except sqlite3.DatabaseError as error:
                        if not _is_damage(error):
                            log.info("index %s cannot be used now (%s)", file, error)
                            break
                        log.warning("index %s is damaged (%s); it is built anew", file, error)
                        _remove(file)
        self.used = None
        return work(self._in_memory())

    def _in_memory(self) -> sqlite3.Connection:
        if self._memory is None or self._memory_of != os.getpid():
            connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            _prepare(connection)
            connection.executescript(TABLES)
            self._memory, self._memory_of = connection, os.getpid()
        return self._memory

    def delete(self) -> None:
        """Forget everything. The next piece of work begins with an empty index."""
        self._memory = None
        for folder in place.folders(self._data):
            for file in _files(folder):
                _remove(file)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))


def _current(folder: Path) -> Path | None:
    """Return the index's file in a folder, made where it is missing, or ``None`` where it cannot be."""
    found = _files(folder)
    if not found:
        try:
            _create(folder)
        except (OSError, sqlite3.Error) as error:
            log.info("no index in %s: %s", folder, error)
            return None
        found = _files(folder)
    for superfluous in found[1:]:
        _remove(superfluous)
    return found[0] if found else None


def _create(folder: Path) -> None:
    name = f"{_PREFIX}{secrets.token_hex(8)}"
    part = folder / f"{name}.part"
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        os.rename(part, folder / f"{name}{_SUFFIX}")
    except BaseException:
        _remove(part)
        raise


def _remove(file: Path) -> None:
    for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        with contextlib.suppress(OSError):  # gone already, or in use on a system that does not allow it
            name.unlink()


@contextlib.contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{file.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        _prepare(connection)
        if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise sqlite3.DatabaseError("it is of another version")
        yield connection
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Say whether a new file would help. Being locked or full is not damage."""
    name: str | None = getattr(error, "sqlite_errorname", None)  # since Python 3.11
    if name is not None:
        return not any(name.startswith(transient) for transient in _TRANSIENT)
    return not any(word in str(error) for word in ("locked", "busy", "full", "readonly", "out of memory"))


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Do what follows as one change that others see whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite itself may have given up already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
