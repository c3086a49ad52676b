"""Starting plugins, announcing the run to them, and attaching them: shared by a live run and `sync`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tracelet.delivery.guarded_run import DATA_HOOKS, GuardedRun
from tracelet.errors import PluginError
from tracelet.host.discovery import implementations
from tracelet.logs import get_logger
from tracelet_hookspecs import BACKEND_HOOKS, PluginState, RunView

if TYPE_CHECKING:
    from tracelet.delivery.delivery import Delivery
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

ACTIVE = PluginState.ACTIVE

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
    """Start plugins; call ``run_started`` of each as soon as it is active, then attach it. Returns those that started.

    ``names`` may map each name to its configuration. A plugin knows the run before it receives points. A backend that
    cannot be started is left to ``delivery``, which counts its records as pending and retries after an outage.
    ``report`` is called with each failed hook.
    """
    configs = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)
    announced: set[str] = set()

    def announce(name: str) -> None:
        announced.add(name)
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
        for name, again in _find_late_backends(manager, late).items():
            delivery.hold(name, partial(start_and_attach, manager, again, run, attach, report=report))
    return active


def _find_late_backends(manager: PluginManager, late: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the backends among plugins that did not start, or that they depend on, and what to start with each."""
    found: dict[str, dict[str, Any]] = {}
    for name, config in late.items():
        try:
            needed = manager.resolve_dependencies([name])
        except ValueError:  # a cycle
            needed = [name]
        inactive = [
            each for each in needed if each in manager.plugins and manager.plugins[each].state is not ACTIVE
        ]
        for each in inactive:
            if is_backend(manager, each):
                found.setdefault(each, {each: late.get(each)})[name] = config
    return found


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
            calls.append(handle.call_later(hook, deadline=limit, accept=accept, **arguments))
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
