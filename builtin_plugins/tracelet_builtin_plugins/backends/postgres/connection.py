"""The connection: opened when it is needed, opened again after a failure, and never waited for without a limit."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from tracelet_builtin_plugins.backends.postgres.schema import ensure_schema, quote_schema

__all__ = ["Link", "RepeatedRowError"]

#: Seconds that a transaction may take; the host's own limit for a call is 30.
CALL_TIMEOUT: Final = 20.0
_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": 5,  # seconds, for each of the hosts
    "fallback_application_name": "tracelet",
    "target_session_attrs": "read-write",  # after a failover, the host that has become the primary
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}
#: What libpq and the server say about wrong credentials before there is a connection to carry an SQLSTATE.
_CREDENTIALS: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|password authentication"
    r'|role ".*" does not exist|permission denied for database|is not permitted to log in'
    r"|requires a valid client certificate",
    re.IGNORECASE,
)
#: Kinds of SQLSTATE (its first two characters) for data that will never be accepted: data exceptions, and program
#: limits (a value that is too large or too deep). A foreign key (23503) fails if somebody has deleted the run in the
#: meantime; its row is then created again with the next connection.
_REFUSED: Final = ("22", "54")


class RepeatedRowError(Exception):
    """A row is in the database already."""


class Link:
    """One connection to a database that has tracelet's tables."""

    def __init__(self, psycopg: ModuleType, dsn: str, schema: str) -> None:
        """Prepare. Raises ``ValueError`` for a connection string that libpq cannot read, or a bad schema."""
        self._psycopg = psycopg
        self._schema = schema
        quote_schema(schema)
        try:
            given = psycopg.conninfo.conninfo_to_dict(dsn)
        except psycopg.Error:  # its text quotes parts of the string, passwords included
            raise ValueError(
                "plugins.postgres.dsn: expected 'postgresql://USER:PASSWORD@HOST:PORT/DATABASE' or"
                " 'host=HOST dbname=DATABASE user=USER', found something that libpq cannot read"
            ) from None
        self._options = {**_DEFAULTS, **{key: value for key, value in given.items() if value is not None}}
        self._connection: Any = None
        self.connects = 0

    @property
    def server(self) -> str:
        """The server and the database, without credentials."""
        hosts = self._options.get("host") or os.environ.get("PGHOST") or "local socket"
        ports, database = self._options.get("port"), self._options.get("dbname")
        return f"{hosts}{f':{ports}' if ports else ''}/{database or os.environ.get('PGDATABASE', '')}"

    @property
    def is_open(self) -> bool:
        """Whether there is a connection at the moment, as far as is known."""
        return self._connection is not None and not self._connection.closed

    def open(self) -> Any:
        """Return the connection; connect, and check the tables, if there is none."""
        if not self.is_open:
            self.close()
            with self._translated():
                connection = self._psycopg.connect(
                    autocommit=True, prepare_threshold=None, client_encoding="utf8", **self._options
                )
                try:
                    with time_limit(connection.fileno()):
                        self._check(connection)
                except BaseException:
                    connection.close()
                    raise
                self._connection = connection
                self.connects += 1
        return self._connection

    def _check(self, connection: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise ValueError(
                f"plugins.postgres.dsn: expected a database with the encoding UTF8, found {encoding}: create one"
                " with: CREATE DATABASE NAME ENCODING 'UTF8' TEMPLATE template0"
            )
        ensure_schema(connection, self._schema)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Run a block as one transaction on the connection.

        Raises:
            RepeatedRowError: a row exists; nothing was changed.
            PermissionError: wrong credentials, or a missing privilege.
            ValueError: data that the database does not accept.
            OSError: the server is not there, or cannot work at the moment. The connection is closed, so that the next
                attempt opens a new one.
        """
        connection = self.open()
        with self._translated(), time_limit(connection.fileno()):
            connection.execute(f"BEGIN; SET LOCAL statement_timeout = {int(CALL_TIMEOUT * 900)}")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.errors.UniqueViolation as error:
            self._roll_back()
            raise RepeatedRowError(one_line(error)) from None
        except self._psycopg.Error as error:
            translated = self._translate(error)
            if isinstance(translated, ValueError):
                self._roll_back()
            else:
                self.close()
            raise translated from None
        except ValueError:
            self._roll_back()
            raise
        except BaseException:
            self.close()
            raise

    def _translate(self, error: Any) -> Exception:
        state, text = error.sqlstate or "", f"{self.server}: {one_line(error)}"
        if state == "42501" or state.startswith("28") or (not state and _CREDENTIALS.search(text)):
            return PermissionError(text)
        return ValueError(text) if state.startswith(_REFUSED) else ConnectionError(text)

    def _roll_back(self) -> None:
        """End the transaction, so that the connection can be used again."""
        try:
            if self.is_open:
                self._connection.execute("ROLLBACK")
        except self._psycopg.Error:
            self.close()


def one_line(error: BaseException) -> str:
    """Return an error's text without line breaks."""
    return " ".join(str(error).split())


@contextmanager
def time_limit(fd: int) -> Iterator[None]:
    """Hang up if the block takes too long: a server that is frozen, or a network that loses everything, says nothing.

    The blocked call then fails as if the server had closed the connection.
    """
    own = os.dup(fd)  # stays this socket, whatever happens to the connection in the meantime
    lock, state = threading.Lock(), {"over": False}

    def hang_up() -> None:
        with lock:
            if not state["over"]:
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(own)) as connection:
                    connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(CALL_TIMEOUT, hang_up)
    timer.daemon = True
    with contextlib.suppress(
        RuntimeError
    ):  # no thread can be started: then only the host's own limit applies
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            state["over"] = True
        os.close(own)
