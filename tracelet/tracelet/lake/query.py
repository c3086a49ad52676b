"""Queries of Parquet files by DuckDB, which reads only the columns and the pages that a query needs."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, Final

from tracelet.errors import StoreError
from tracelet.lake.storage import require_module
from tracelet.secrets import redact

_SETTINGS: Final = (
    "SET autoinstall_known_extensions = false",  # nothing is downloaded
    "SET autoload_known_extensions = false",
    "SET preserve_insertion_order = true",
)
_lock = threading.Lock()
_database: tuple[int, Any] | None = None


def run_query(sql: str, values: Sequence[Any] = (), *, filesystem: Any = None) -> Any:
    """Return the result as an Arrow table. Raises :class:`StoreError` for a file that is damaged or gone.

    With a ``filesystem`` of fsspec, files are read through it, by their full names.
    """
    duckdb = require_module("duckdb", "reading a lake")
    require_module("pyarrow", "reading a lake")
    with _connection(duckdb) as connection:
        if filesystem is not None:
            connection.register_filesystem(filesystem)
        try:
            return connection.sql(sql, params=list(values)).to_arrow_table()
        except duckdb.Error as error:
            raise StoreError(f"lake: {redact(str(error))[:500]}") from None
        finally:
            if filesystem is not None:
                connection.unregister_filesystem(filesystem.protocol if isinstance(filesystem.protocol, str)
                                                 else filesystem.protocol[0])  # fmt: skip


def _connection(duckdb: Any) -> Any:
    """Return a connection for one query. A database does not survive a fork."""
    global _database
    with _lock:
        if _database is None or _database[0] != os.getpid():
            database = duckdb.connect(":memory:")
            for setting in _SETTINGS:
                database.execute(setting)
            _database = (os.getpid(), database)
        return _database[1].cursor()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
