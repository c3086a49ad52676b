"""The file of an index: created whole, shared by many processes, replaced if it is damaged.

Its name contains a random part, so that a file deleted by hand, or found damaged and replaced, can never meet the
``-wal`` or ``-shm`` file of another one. Processes that come first at the same moment may each make one; then all of
them use the one whose name sorts first, and the others are removed. So SQLite's own lock is the only one.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import os
import secrets
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from tracelet.logs import get_logger
from tracelet.store.index import index_folder
from tracelet.store.index.schema import STATEMENTS, VERSION
from tracelet.store.index.seal import key_id, make_seal

log = get_logger("tracelet.store")

PATIENCE: Final = 5.0  # seconds to wait for another process to finish writing
_SUFFIX: Final = ".sqlite"
_STALE: Final = 30 * 86400.0  # seconds after which an unused index of another key is removed
_MAX_CELL: Final = 1 << 28  # bytes of one value
_ROOM: Final = 1 << 18  # bytes that an index needs at least to be worked on
_FULL: Final = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is exhausted"}
_ZEROS: Final = bytes(1 << 16)
_LIMIT_LENGTH: Final = 0  # SQLITE_LIMIT_LENGTH
_TRANSIENT: Final = frozenset(
    {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_NOMEM", "SQLITE_READONLY"}
)

Result = TypeVar("Result")


class Database:
    """Runs functions on the index's file, or in memory if there is no place for one."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._memory: sqlite3.Connection | None = None
        self._memory_of = 0
        self._reported = False  # that the disk is full
        self.used: Path | None = None  # the file that the last function ran on, None for memory

    @property
    def path(self) -> Path | None:
        """The file, ``None`` if the index is kept in memory."""
        if self._memory is not None:
            return None
        for folder in index_folder.index_folders(self._data):
            return _current_file(folder)
        return None

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Call a function with a connection. It may be called again, on a new index, if this one is damaged."""
        if self._memory is None:
            for folder in index_folder.index_folders(self._data):
                for _ in range(2):
                    file = _current_file(folder)
                    if file is None:
                        self._report_full(folder)
                        break
                    self.used = file
                    try:
                        with _connect(file) as connection:
                            return work(connection)
                    except sqlite3.DatabaseError as error:
                        if self._report_full(folder) or not _is_damage(error):
                            log.info("index %s cannot be used now (%s)", file, error)
                            break
                        log.warning("index %s is damaged (%s); rebuilding it", file, error)
                        _remove(file)
        self.used = None
        return work(self._in_memory())

    def _report_full(self, folder: Path) -> bool:
        """Say whether the disk that holds a folder is full, which SQLite may call an I/O error. Report it once."""
        why = _why_full(folder)
        if why and not self._reported:
            self._reported = True
            log.warning("%s: %s; the index is kept elsewhere or in memory for now", folder, why)
        return why != ""

    def _in_memory(self) -> sqlite3.Connection:
        if self._memory is None or self._memory_of != os.getpid():
            connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            _prepare(connection)
            for statement in STATEMENTS:
                connection.execute(statement)
            self._memory, self._memory_of = connection, os.getpid()
        return self._memory

    def delete(self) -> None:
        """Delete the index. The next function runs on an empty one."""
        self._memory = None
        for folder in index_folder.index_folders(self._data):
            for file in _files(folder):
                _remove(file)


def _prefix() -> str:
    return f"runs-{VERSION}-{key_id()}-"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_prefix()}*{_SUFFIX}"))


def _current_file(folder: Path) -> Path | None:
    """Return the index's file in a folder, made if it is missing, or ``None`` if it cannot be made."""
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


def _why_full(folder: Path) -> str:
    """Return why the disk that holds a folder takes nothing more; empty if it does."""
    try:
        fd, name = tempfile.mkstemp(dir=folder, prefix="room-")
    except OSError as error:
        return _FULL.get(error.errno or 0, "")
    try:
        for _ in range(_ROOM // len(_ZEROS)):
            os.write(fd, _ZEROS)
    except OSError as error:
        return _FULL.get(error.errno or 0, "")
    finally:
        os.close(fd)
        os.unlink(name)
    return ""


def _create(folder: Path) -> None:
    _remove_stale(folder)
    name = f"{_prefix()}{secrets.token_hex(8)}"
    part, file = folder / f"{name}.part", folder / f"{name}{_SUFFIX}"
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN")
            for statement in STATEMENTS:
                connection.execute(statement)
            connection.execute("INSERT INTO origin VALUES (?)", (make_seal(file),))
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        os.rename(part, file)
    except BaseException:
        _remove(part)
        raise


def _remove_stale(folder: Path) -> None:
    """Remove indexes made with another key (in a container that is gone, say) that are long unused."""
    for file in folder.glob(f"runs-*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if not file.name.startswith(_prefix()) and time.time() - file.lstat().st_mtime > _STALE:
                _remove(file)


def _remove(file: Path) -> None:
    for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        with contextlib.suppress(
            OSError
        ):  # it is gone, or in use on a system that does not allow removing it
            name.unlink()


@contextlib.contextmanager
def _connect(file: Path) -> Iterator[sqlite3.Connection]:
    for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        _check_file(name)
    uri = f"{file.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        _prepare(connection)
        _check_origin(connection, file)
        yield connection
    finally:
        connection.close()


def _check_file(file: Path) -> None:
    """Raise unless a file is a regular one of this user, or missing."""
    try:
        status = file.lstat()
    except FileNotFoundError:
        return
    mine = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    if not stat.S_ISREG(status.st_mode) or not mine or status.st_nlink > 1:
        raise sqlite3.DatabaseError(f"{file.name} is not a regular file of this user")


def _check_origin(connection: sqlite3.Connection, file: Path) -> None:
    """Raise unless this user made the index at this path, with these tables and nothing else in it."""
    if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
        raise sqlite3.DatabaseError("it has another version")
    schema = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL LIMIT 100").fetchall()
    if sorted(row[0] for row in schema) != sorted(STATEMENTS):
        raise sqlite3.DatabaseError("it has other tables than expected")
    sealed = connection.execute("SELECT seal FROM origin LIMIT 2").fetchall()
    if len(sealed) != 1 or not isinstance(sealed[0][0], str):
        raise sqlite3.DatabaseError("it has no seal")
    if not hmac.compare_digest(sealed[0][0].encode(), make_seal(file).encode()):
        raise sqlite3.DatabaseError("another user made it, or it was copied here")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.create_function("fold", 1, _fold, deterministic=True)
    if hasattr(connection, "setlimit"):  # since Python 3.11
        connection.setlimit(_LIMIT_LENGTH, _MAX_CELL)


def _fold(text: str) -> str:
    """Return a text without its case: SQLite knows that of ASCII alone."""
    return text.casefold()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether a new file would help. Being locked or full is not damage."""
    name: str | None = getattr(error, "sqlite_errorname", None)  # since Python 3.11
    if name is not None:
        return not any(name.startswith(transient) for transient in _TRANSIENT)
    return not any(word in str(error) for word in ("locked", "busy", "full", "readonly", "out of memory"))


@contextlib.contextmanager
def write_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one change that others see entirely or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite itself may have rolled back
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
