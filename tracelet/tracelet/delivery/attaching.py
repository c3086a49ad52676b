"""Starting plugins, announcing the run to them, and attaching them: shared by a live run and `sync`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tracelet.delivery.guarded_run import DATA_HOOKS, GuardedRun
from tracelet.errors import PluginError
from tracelet.host.answers import copy_of
from tracelet.host.discovery import implementations
from tracelet.logs import get_logger
from tracelet_hookspecs import BACKEND_HOOKS, PluginState, RunView

if TYPE_CHECKING:
    from tracelet.delivery.delivery import Delivery
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

Attach = Callable[[str], None]
Report = Callable[[PluginError], None]
Postpone = Callable[[Callable[[], None]], bool]


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
    postpone: Postpone = lambda call: False,
) -> list[str]:
    """Start plugins; call ``run_started`` of each as soon as it is active, then attach it. Returns those that started.

    ``names`` may map each name to its configuration. A plugin knows the run before it receives points. A backend that
    cannot be started is left to ``delivery``, which counts its records as pending and retries after an outage.
    ``report`` is called with each failed hook. ``postpone`` may keep the call that announces the run to a backend and
    attaches it, and make it later; it returns whether it does.
    """
    configs = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)
    announced: set[str] = set()

    def announce(name: str) -> None:
        announced.add(name)
        if not (is_backend(manager, name) and postpone(partial(introduce_later, name))):
            introduce(name)
        elif delivery is not None:
            delivery.open_account(name)

    def introduce_later(name: str) -> None:
        if _is_active(manager, name):  # it may have been stopped since
            introduce(name)

    def introduce(name: str) -> None:
        view = GuardedRun(run) if any(map(manager.handle(name).implements, DATA_HOOKS)) else run
        call_each(manager, [name], "run_started", report=report, run=view)
        attach(name)

    started = manager.start_plugins(configs, on_active=announce)
    active = [name for name, is_active in started.items() if is_active]
    for name in active:
        if manager.real_name(name) not in announced:
            announce(name)  # it was active already
    if delivery is not None:
        late = {name: config for name, config in configs.items() if not started[name]}
        linked = threading.Lock()  # two that start each other take turns, or one finds the other half started
        for name, again in _find_late_backends(manager, late).items():
            restart = partial(_start_late, manager, again, run, attach, report, postpone)
            delivery.hold(name, restart if len(again) == 1 else partial(_in_turn, linked, restart))
    return active


def _find_late_backends(manager: PluginManager, late: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the backends among plugins that did not start, or that they depend on, and what to start with each."""
    found: dict[str, dict[str, Any]] = {}
    for name, config in late.items():
        try:
            needed = manager.resolve_dependencies([name])
        except ValueError:  # a cycle
            needed = [name]
        needed = [each for each in needed if not _is_active(manager, each) and is_backend(manager, each)]
        for each in needed:
            group = found.setdefault(each, {each: late.get(each)})
            group |= {name: config, **{other: late.get(other) for other in needed if other != name}}
    return found


def _start_late(manager: PluginManager, configs: Mapping[str, Any], *arguments: Any) -> None:
    """Start those plugins that are still not active."""
    run, attach, report, postpone = arguments
    waiting = {name: config for name, config in configs.items() if not _is_active(manager, name)}
    start_and_attach(manager, waiting, run, attach, report=report, postpone=postpone)


def _in_turn(lock: threading.Lock, function: Callable[[], Any]) -> None:
    with lock:
        function()


def _is_active(manager: PluginManager, name: str) -> bool:
    info = manager.plugins.get(manager.real_name(name))
    return info is not None and info.state is PluginState.ACTIVE


def call_each(
    manager: PluginManager,
    names: Iterable[str],
    hook: str,
    timeout: float | None = None,
    *,
    accept: Callable[[Any], Any] | None = None,
    report: Report = _log_failure,
    **arguments: Any,
) -> list[Any]:
    """Call a hook of several plugins at the same time, and return their answers within ``timeout`` seconds.

    ``accept`` turns an answer into a host value, inside the plugin's guard.
    """
    calls = []
    for name in names:
        handle = manager.handle(name)
        if handle.implements(hook) and handle.worker.usable:
            limit = handle.deadline(hook)
            limit = limit if timeout is None else max(0.05, min(timeout, limit))
            given = {key: copy_of(value) for key, value in arguments.items()}
            calls.append(handle.call_later(hook, deadline=limit, accept=accept, **given))
    answers = []
    for finish in calls:
        try:
            answers.append(finish())
        except PluginError as error:
            report(error)
    return answers


def is_backend(manager: PluginManager, name: str) -> bool:
    """Say whether a plugin receives what a run records. This is unknown, hence false, before it is loaded."""
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
