"""Start plugins, announce the run to them, and give each its work: the same for a live run and for `sync`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tracelet.delivery.guarded_run import GuardedRun
from tracelet.errors import PluginError
from tracelet.host.discovery import implementations
from tracelet_hookspecs import BACKEND_HOOKS, RunView

if TYPE_CHECKING:
    from tracelet.delivery.delivery import Delivery
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
    delivery: Delivery | None = None,
    report: Report = _log_failure,
) -> list[str]:
    """Start plugins, call their ``run_started``, then attach each one; return the names of those that started.

    ``names`` may map each name to its configuration. A plugin knows the run before it receives points. A backend that
    cannot be started is left to ``delivery``, which counts its records as pending and retries after an outage.
    ``report`` is called with each failed hook.
    """
    configs = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)
    started = manager.start_plugins(configs)
    active = [name for name, is_active in started.items() if is_active]
    for name in active:
        view = GuardedRun(run) if is_backend(manager, name) else run
        call_each(manager, [name], "run_started", report=report, run=view)
    for name in active:
        attach(name)
    for name, config in configs.items():
        if delivery is not None and not started[name] and is_backend(manager, name):
            start_again = partial(start_and_attach, manager, {name: config}, run, attach, report=report)
            delivery.hold(name, start_again)
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
    """Say whether a plugin receives what a run records. One that was never loaded is not known to be a backend."""
    info = manager.plugins.get(name)
    if info is None:
        return False
    if any(map(manager.handle(name).implements, BACKEND_HOOKS)):
        return True
    plugin = manager.get_plugin_instance(name)
    if plugin is None:
        plugin = info.instance
    hooks = {one.hook for one in implementations(plugin) if not one.wraps} if plugin is not None else set()
    return not hooks.isdisjoint(BACKEND_HOOKS)
