"""Serving the page: one process, until it is interrupted."""

from __future__ import annotations

import errno
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import uvicorn

from tracelet.errors import UsageError
from tracelet.host.plugins import PluginManager
from tracelet.store import Store
from tracelet.ui.access import Access
from tracelet.ui.app import create_app

DEFAULT_PORT: Final = 6007
_TRIED: Final = 50  # ports after the default one, if it is taken
_PATIENCE: Final = 2  # seconds that open connections have to end


def serve(
    store: Store,
    access: Access | None = None,
    *,
    port: int | None = None,
    open_browser: bool = False,
    ready: Callable[[str], Any] | None = None,
    manager: PluginManager | None = None,
) -> None:
    """Serve the page of a store until SIGINT or SIGTERM.

    Args:
        store: the runs to show.
        access: who may see and change what; by default, this machine.
        port: the port; 0 for any free one. By default 6007, or the next one that is free.
        open_browser: whether to open the page in the user's browser.
        ready: called with the page's address when it can be opened.
        manager: the plugins that may add panels.

    Raises :class:`UsageError` if the address cannot be used.
    """
    access = access or Access()
    listening = _listen(access.host, port)
    address = page_address(access, listening.getsockname()[1])
    app = create_app(store, access, manager)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_PATIENCE, lifespan="off"
    )
    server = _Server(config, app.state.sources)
    if ready is not None:
        ready(address)
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    app.state.sources.prepare()
    try:
        server.run(sockets=[listening])
    finally:
        app.state.sources.close()
        listening.close()


class _Server(uvicorn.Server):
    """Ends the streams of events when the server ends; they would keep it from doing so."""

    def __init__(self, config: uvicorn.Config, sources: Any) -> None:
        super().__init__(config)
        self._sources = sources

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take a signal to end."""
        self._sources.close()
        super().handle_exit(sig, frame)


def page_address(access: Access, port: int) -> str:
    """Return the address to open, with the token if there is one."""
    host = socket.gethostname() if access.host in ("0.0.0.0", "::") else access.host
    host = f"[{host}]" if ":" in host else host
    token = f"?token={quote(access.token, safe='')}" if access.token else ""
    return f"http://{host}:{port}/{token}"


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket. Raises :class:`UsageError` if there is none to be had."""
    wanted = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + _TRIED), 0]
    problem: OSError | None = None
    for one in wanted:
        try:
            family = socket.getaddrinfo(host, one, type=socket.SOCK_STREAM)[0][0]
            return _bind(family, host, one)
        except OSError as error:
            problem = error
            if error.errno != errno.EADDRINUSE:
                break
    reason = problem.strerror if problem is not None and problem.strerror else str(problem)
    at = f"{host}:{port}" if port is not None else host
    remedy = "; choose another --port, or leave it out" if port is not None else ""
    raise UsageError(
        f"tracelet ui: expected an address that can be listened on, found {at}: {reason}{remedy}"
    )


def _bind(family: int, host: str, port: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
