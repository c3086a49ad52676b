"""Reading the SQLite database of another program, which may be using it at the same time, or may be hostile."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

__all__ = ["columns_of", "is_database", "open_database", "tables_of"]

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 20  # bytes; the last two say how the file is written
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_PATIENCE: Final = 10.0  # seconds to wait for a program that is writing


def _header(path: Path) -> bytes:
    try:
        fd = os.open(path, _OPEN)
    except OSError:
        return b""
    try:
        return os.read(fd, _HEADER)
    except OSError:
        return b""
    finally:
        os.close(fd)


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database."""
    return path.is_file() and _header(path).startswith(_MAGIC)


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database to read from it only.

    A database with a write-ahead log that nobody has open at the moment is opened as immutable, so that no file is made
    beside it. Otherwise the usual locks are taken, for the time of each query.
    """
    uses_log = _header(path)[18:20] == b"\2\2"
    mode = "immutable=1" if uses_log and not Path(f"{path}-wal").exists() else "mode=ro"
    uri = f"file:{quote(os.path.abspath(path))}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, check_same_thread=False)
    try:
        connection.text_factory = _as_text
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection
    finally:
        connection.close()


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def tables_of(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the tables. A view is none: it may do anything."""
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns."""
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
