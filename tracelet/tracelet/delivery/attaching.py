"""Start plugins, announce the run to them, and give each its work: the same for a live run and for `sync`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tracelet.errors import PluginError
from tracelet_hookspecs import BACKEND_HOOKS, RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = logging.getLogger("tracelet.delivery")

Attach = Callable[[str], None]
Report = Callable[[PluginError], None]


def _log_failure(error: PluginError) -> None:
    log.warning("%s", error)


def start_and_attach(
    manager: PluginManager,
    names: Iterable[str] | Mapping[str, Any],
    run: RunView,
    attach: Attach,
    *,
    report: Report = _log_failure,
) -> list[str]:
    """Start plugins, call their ``run_started``, then attach each one; return the names of those that started.

    ``names`` may map each name to its configuration. A plugin knows the run before it receives points. ``report`` is
    called with each failed hook.
    """
    started = manager.start_plugins(names)
    active = [name for name, is_active in started.items() if is_active]
    call_each(manager, active, "run_started", report=report, run=run)
    for name in active:
        attach(name)
    return active


def call_each(
    manager: PluginManager,
    names: Iterable[str],
    hook: str,
    timeout: float | None = None,
    *,
    report: Report = _log_failure,
    **arguments: Any,
) -> list[Any]:
    """Call a hook of several plugins, one after the other, and return their answers within ``timeout`` seconds."""
    answers = []
    end = None if timeout is None else time.monotonic() + timeout
    for name in names:
        handle = manager.handle(name)
        if not handle.implements(hook) or not handle.worker.usable:
            continue
        left = None if end is None else max(0.05, min(end - time.monotonic(), handle.deadline(hook)))
        try:
            answers.append(handle.call(hook, deadline=left, **arguments))
        except PluginError as error:
            report(error)
    return answers


def is_backend(manager: PluginManager, name: str) -> bool:
    """Say whether an active plugin receives what a run records."""
    handle = manager.handle(name)
    return any(handle.implements(hook) for hook in BACKEND_HOOKS)
