"""The client of MLflow: how it is made, and what its failures mean."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from tracelet_builtin_plugins.extras import import_extra
from tracelet_builtin_plugins.own_process import in_own_process
from tracelet_hookspecs import mask_text

__all__ = ["DeletedError", "OutageError", "RefusedError", "Server", "configure_own_process"]

MINIMUM: Final = "3.1"
DEFAULT_URI: Final = "sqlite:///mlflow.db"

#: MLflow reads these at each request. Retrying is tracelet's task: it waits for as long as an outage takes, while
#: MLflow's seven retries take longer than a hook may. The user's own settings take precedence.
OWN_PROCESS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
PATIENCE: Final = 20.0  # seconds to wait for a connection; a data hook may take 30
SHORT_PATIENCE: Final = 6.0  # the same in hooks that may take 10
_PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_QUIET: Final = 1.0  # seconds after a success in which the server is taken to be there
_CONNECT_TIMEOUT: Final = 5.0


class OutageError(ConnectionError):
    """MLflow cannot be reached, or cannot work at the moment."""


class RefusedError(ValueError):
    """MLflow does not accept the data."""


class DeletedError(PermissionError):
    """The run or its experiment was deleted in MLflow, so that nothing can be written to it."""


def configure_own_process() -> None:
    """Set MLflow's options for a process that has no other use of it; elsewhere they are the program's own."""
    if in_own_process():
        for name, value in OWN_PROCESS.items():
            os.environ.setdefault(name, value)


class Server:
    """A tracking server or database, and the one client that talks to it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client: Any = None
        self._connecting: Future[Any] | None = None
        self._seen = float("-inf")  # the time of the last success

    def __str__(self) -> str:
        return mask_text(self.uri)

    @property
    def is_local(self) -> bool:
        """Whether it is a database in a file."""
        return self.uri.startswith("sqlite:")

    def connect(self, within: float = PATIENCE) -> Any:
        """Return the client, an ``MlflowClient``.

        MLflow creates or upgrades a database when it connects, which may take longer than a hook may. Then this
        raises :class:`OutageError` after ``within`` seconds, and a later call continues to wait.
        """
        if self.client is None:
            with self.errors():
                self._connecting = self._connecting or in_thread(self._make_client)
                try:
                    self.client = self._connecting.result(within)
                except FutureTimeoutError:
                    if not self._connecting.done():
                        raise OutageError(f"MLflow at {self}: its database is not ready yet") from None
                    raise
                finally:
                    if self._connecting.done():
                        self._connecting = None
        return self.client

    def _make_client(self) -> Any:
        module = import_extra("mlflow", plugin="mlflow", distribution="mlflow", minimum=MINIMUM)
        return module.MlflowClient(tracking_uri=self.uri)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate MLflow's failures into those that say what to do about them."""
        self._require_reachable()
        try:
            yield
        except Exception as error:
            self._seen = float("-inf")
            translated = self._translate(error)
            if translated is error:
                raise
            raise translated from error
        self._seen = time.monotonic()

    def _require_reachable(self) -> None:
        """Raise at once if nobody listens: MLflow itself would try for minutes."""
        if time.monotonic() - self._seen < _QUIET:
            return
        place = _place_of(self.uri)
        if place is None:
            return
        try:
            socket.create_connection(place, timeout=_CONNECT_TIMEOUT).close()
        except OSError as error:
            raise OutageError(f"MLflow at {self}: no answer from {place[0]}:{place[1]} ({error})") from None

    def _translate(self, error: Exception) -> Exception:
        from tracelet_builtin_plugins.extras import MissingExtraError

        if isinstance(error, MissingExtraError | OutageError | RefusedError | PermissionError):
            return error
        said = mask_text(f"MLflow at {self}: {_short(error)}")
        status = _status_of(error)
        if status in (401, 403) or "password authentication failed" in said:
            return PermissionError(f"{said}; check the credentials (MLFLOW_TRACKING_USERNAME, ..._TOKEN)")
        if status in (400, 409, 413, 415, 422):
            refused = RefusedError(said)
            refused.status_code = status  # type: ignore[attr-defined]
            return refused
        if status is not None or isinstance(error, OSError) or _is_of_database(error):
            return OutageError(said)
        return error


def in_thread(work: Callable[[], Any]) -> Future[Any]:
    """Run a function on a thread of its own, which does not keep the process from ending."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="tracelet mlflow", daemon=True).start()
    return future


def _place_of(uri: str) -> tuple[str, int] | None:
    """Return the host and port that a connection goes to directly; ``None`` if there is none, or a proxy."""
    try:
        url = urlsplit(uri)
        scheme = url.scheme.partition("+")[0]
        port = url.port or _PORTS.get(scheme)
    except ValueError:
        return None
    if scheme not in _PORTS or not url.hostname or port is None:
        return None
    if scheme.startswith("http") and _has_proxy(scheme, url.hostname):
        return None
    return url.hostname, port


def _has_proxy(scheme: str, host: str) -> bool:
    from urllib.request import getproxies, proxy_bypass

    return bool({scheme, "all"} & getproxies().keys()) and not proxy_bypass(host)


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an exception of MLflow's, or of an HTTP client's."""
    ask = getattr(error, "get_http_status_code", None)
    if callable(ask):
        return int(ask())
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _is_of_database(error: BaseException) -> bool:
    return type(error).__module__.startswith("sqlalchemy") and "OperationalError" in type(error).__name__


def _short(error: BaseException) -> str:
    """Return an exception's text in one line."""
    return " ".join(str(error).split())[:500] or type(error).__name__
