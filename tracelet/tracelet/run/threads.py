"""tracelet's own threads: what to do if none can be started, or if they are greenlets."""

from __future__ import annotations

import sys
import threading

from tracelet.logs import get_logger

log = get_logger("tracelet.run")

_reported: list[str] = []  # why no thread could be started, once


def try_start(thread: threading.Thread) -> bool:
    """Start a thread and return whether that was possible: a limit on processes (ulimit, cgroup) may forbid it."""
    try:
        thread.start()
    except RuntimeError as error:
        if not _reported:
            _reported.append(str(error))
            log.warning(
                "no thread can be started (%s): recording continues; plugins and delivery start as soon"
                " as a thread can be started, at the latest at the end of the run",
                error,
            )
        return False
    return True


def are_green() -> bool:
    """Return whether gevent or eventlet has replaced threads: then one that waits in C stops all of them."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return True
    eventlet = sys.modules.get("eventlet.patcher")
    return eventlet is not None and bool(eventlet.is_monkey_patched("thread"))
