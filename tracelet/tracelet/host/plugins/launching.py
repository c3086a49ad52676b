"""One start of several plugins: in dependency order, and without one plugin holding up the others.

The plugins are taken one after the other, so that the order is the same every time. A plugin that takes longer than a
moment in a step is left to its step, and the next one is taken on another thread: a plugin that hangs costs the
others that moment, and only those that depend on it wait for it. Backends also wait for processors, through which
their points have to go.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host.discovery import BY_HAND, is_class
from tracelet.host.plugins import checks
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.plugins.plugin_table import PluginTable
from tracelet.host.worker import belongs_to_caller, is_plugin_thread
from tracelet.logs import get_logger
from tracelet.secrets import format_exception
from tracelet_hookspecs import BACKEND_HOOKS, PluginType
from tracelet_hookspecs import PluginState as S

log = get_logger("tracelet.plugins")

PATIENCE: Final = 0.25  # seconds that a step of one plugin may hold up the others
PROCESSOR_PATIENCE: Final = (
    5.0  # seconds that backends wait for a plugin which may turn out to be a processor
)

_LOAD: Final = 0
_REGISTER: Final = 1
_START: Final = 2
_DONE: Final = 3  # active, or failed
_PROCESSES: Final = "process_metric"


class CircularDependencyError(ValueError):
    """Names that depend on each other in a cycle. ``cycle`` starts and ends with the same name."""

    def __init__(self, cycle: list[str]) -> None:
        self.cycle = cycle
        super().__init__("Circular dependency detected: " + " -> ".join(cycle))


def order(names: Iterable[str], dependencies_of: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the names and everything they depend on, dependencies first, otherwise in the given order.

    Raises :class:`CircularDependencyError` with the whole cycle.
    """
    graph: dict[str, list[str]] = {}
    given = list(dict.fromkeys(names))
    _add_reachable(given, dependencies_of, graph)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists a cycle from dependency to dependent; people read "a needs b" the other way.
        raise CircularDependencyError(_rotate(given, error.args[1][::-1])) from None
    placed: dict[str, None] = {}
    for name in given:
        _place(name, graph, placed)
    return list(placed)


def _rotate(given: list[str], cycle: list[str]) -> list[str]:
    """Rotate a cycle so that it starts with the first given name that is part of it."""
    members = cycle[1:]
    start = next((name for name in given if name in members), members[-1])
    at = members.index(start)
    return [*members[at:], *members[: at + 1]]


def _add_reachable(
    given: list[str], dependencies_of: Callable[[str], Iterable[str]], graph: dict[str, list[str]]
) -> None:
    pending = list(given)
    while pending:
        name = pending.pop()
        if name not in graph:
            graph[name] = list(dict.fromkeys(dependencies_of(name)))
            pending.extend(graph[name])


def _place(name: str, graph: dict[str, list[str]], placed: dict[str, None]) -> None:
    """Place a name after everything it needs. Uses its own stack: a chain of thousands must not overflow Python's."""
    stack = [(name, iter(graph[name]))]
    while stack:
        current, needs = stack[-1]
        need = next((n for n in needs if n not in placed), None)
        if need is None:
            placed[current] = None
            stack.pop()
        else:
            stack.append((need, iter(graph[need])))


class StopCount:
    """How often all plugins were stopped, so that a start in progress notices."""

    count = 0


class Startup:
    """One start: how far each plugin has come.

    All plugins that come in time are loaded, then validated and registered, before the first of them starts: so all
    wrappers wrap every start, and plugins that bring hookspecs are known before those that implement them.
    """

    def __init__(
        self,
        table: PluginTable,
        lifecycle: Lifecycle,
        configs: Mapping[str, Mapping[str, Any] | None],
        blocked: frozenset[str],
        on_active: Callable[[str], None] | None,
        stops: StopCount,
    ) -> None:
        self._table = table
        self._lifecycle = lifecycle
        self._configs = configs
        self._blocked = blocked
        self._on_active = on_active
        self._stops = stops
        self._stops_before = stops.count
        self._stages: dict[str, int] = {}
        self._needs: dict[str, list[str]] = {}  # of each loaded plugin: the plugins it depends on
        self._hooks: dict[str, frozenset[str]] = {}  # that each loaded plugin implements
        self._processors: set[str] = set()  # those that are processors, or may turn out to be
        self._began = time.monotonic()
        objects = [
            (name, table.object_of(table.handle(name)))
            for name in filter(self._is_active, list(table.plugins))
        ]
        self._first = {
            id(plugin): name for name, plugin in reversed(objects)
        }  # who has loaded an object first
        self._queues: dict[int, deque[str]] = {_LOAD: deque(), _REGISTER: deque(), _START: deque()}
        self._is_ordered = False
        self._running: dict[str, float] = {}  # since when a step of a plugin is in progress
        self._changed = threading.Condition(threading.RLock())
        self._puller: object | None = None  # the thread that takes the next step
        self._current = ""  # the plugin whose step that thread is in

    def run(self, wanted: Iterable[str]) -> None:
        """Take plugins and what they depend on through their steps. Returns once all of them are done."""
        for name in wanted:
            self._enter(name)
        if (
            is_plugin_thread()
        ):  # a hook starts plugins: it may be its own, for which another thread would wait
            self._pull()
            return
        try:
            self._oversee()
        except KeyboardInterrupt as error:
            for name in list(self._running):
                self._lifecycle.fail(name, "start", error)
            raise

    def _oversee(self) -> None:
        """Wait until all plugins are done; let another thread continue whenever a step takes too long."""
        with self._changed:
            can_spawn = self._spawn()
        if not can_spawn:
            self._pull()  # no thread can be started: one plugin after the other then
        with self._changed:
            while self._puller is not None or self._running:
                since = self._running.get(self._current) if self._puller is not None else None
                left = PATIENCE if since is None else since + PATIENCE - time.monotonic()
                has_more = any(self._queues.values())
                if left > 0:
                    self._changed.wait(left if has_more or self._puller is not None else None)
                    left = 0.0 if self._puller is None else left
                if left <= 0 and not (has_more and self._spawn()):
                    self._puller = None

    def _spawn(self) -> bool:
        """Start the thread that takes the next steps. Returns whether that was possible."""
        self._puller, self._current = object(), ""
        pull = partial(self._pull, self._puller)
        try:
            threading.Thread(target=pull, name="tracelet starting", daemon=True).start()
        except RuntimeError:
            self._puller = None
            return False
        return True

    def _pull(self, me: object | None = None) -> None:
        """Take one step after the other, as long as no other thread has taken over."""
        me = me or object()
        while (name := self._take(me)) is not None:
            step = self._stages[name]
            went_on = False
            try:
                went_on = self._advance(name, step)
            except BaseException as error:  # whatever it is, the other plugins still start
                if belongs_to_caller(error):
                    raise
                self._lifecycle.fail(name, "start", error)
                log.debug("start of %r\n%s", name, format_exception(error))
            finally:
                self._settle(name, step + 1 if went_on else _DONE)

    # -- the state, under the lock ---------------------------------------------------------------------

    def _enter(self, name: str) -> None:
        if name not in self._stages and name not in self._blocked and name in self._table.plugins:
            self._stages[name] = _LOAD
            self._queues[_LOAD].append(name)
            if self._table.plugins[name].metadata.type in (None, PluginType.PROCESSOR):
                self._processors.add(name)

    def _take(self, me: object) -> str | None:
        with self._changed:
            if self._puller is not me:
                if self._puller is not None:
                    return None  # another thread has taken over
                self._puller = me
            name = self._next() if self._stops.count == self._stops_before else None
            if name is None:
                self._puller = None
                self._changed.notify_all()
                return None
            self._current = name
            self._running[name] = time.monotonic()
            return name

    def _settle(self, name: str, stage: int) -> None:
        with self._changed:
            del self._running[name]
            self._stages[name] = stage
            if stage == _REGISTER:
                self._is_ordered = False
                processes = _PROCESSES in self._hooks[name]
                (self._processors.add if processes else self._processors.discard)(name)
                for need in self._needs[name]:
                    self._enter(need)
            if stage in (_REGISTER, _START):
                self._queues[stage].append(name)
            if self._puller is None or self._current != name:
                self._changed.notify_all()

    def _next(self) -> str | None:
        """Return the plugin to take next: loading comes before registering, and registering before starting."""
        if self._queues[_LOAD]:
            return self._queues[_LOAD].popleft()
        if not self._is_ordered:
            self._put_in_order()
        if self._queues[_REGISTER]:
            return self._queues[_REGISTER].popleft()
        chosen = self._startable()
        if chosen is not None:
            self._queues[_START].remove(chosen)
        return chosen

    def _startable(self) -> str | None:
        """Return the first plugin that can be started now."""
        first = None
        for name in filter(self._has_dependencies, self._queues[_START]):
            if not self._waits(name):
                return name
            first = first or name
        # A processor may itself wait, for a backend that it depends on. If nothing else can be done, do not wait.
        return first if not self._running else None

    def _has_dependencies(self, name: str) -> bool:
        needs = (self._table.aliases.get(need, need) for need in self._needs[name])
        return all(self._stages.get(need, _DONE) == _DONE for need in needs)

    def _waits(self, name: str) -> bool:
        """Return whether a backend has to wait, because its points may have to go through a processor that is late."""
        if self._hooks[name].isdisjoint(BACKEND_HOOKS) or _PROCESSES in self._hooks[name]:
            return False
        return any(self._stages[each] != _DONE and self._may_process(each) for each in self._processors)

    def _may_process(self, name: str) -> bool:
        if name in self._hooks:
            return _PROCESSES in self._hooks[name]
        kind = self._table.plugins[name].metadata.type
        if kind is None:
            return time.monotonic() < self._began + PROCESSOR_PATIENCE
        return kind is PluginType.PROCESSOR

    def _put_in_order(self) -> None:
        """Sort what waits: plugins that bring hookspecs are registered first, dependencies start first."""
        self._is_ordered = True
        loaded = [name for name in self._stages if name in self._needs]
        circular: set[str] = set()
        while True:
            try:
                ordered = order(
                    (name for name in loaded if name not in circular),
                    lambda name: [need for need in self._needs.get(name, ()) if need not in circular],
                )
                break
            except CircularDependencyError as error:
                circular.update(error.cycle)
                self._fail_circle(error)
        place = {name: at for at, name in enumerate(ordered)}
        for stage in (_REGISTER, _START):
            waiting = [name for name in self._queues[stage] if name not in circular]
            self._queues[stage] = deque(sorted(waiting, key=lambda name: place.get(name, 0)))
        registering = self._queues[_REGISTER]
        self._queues[_REGISTER] = deque(
            sorted(registering, key=lambda name: "addhooks" not in self._hooks[name])
        )

    def _fail_circle(self, error: CircularDependencyError) -> None:
        library = f"; if the library is meant, run: pip install {error.cycle[0]}"
        reason = f"{error}{library if len(error.cycle) == 2 else ''}"
        for member in dict.fromkeys(error.cycle):
            failure = PluginError(f"plugin {member!r}: {reason}", plugin=member, step="validate")
            self._lifecycle.fail(member, "validate", failure)
            self._stages[member] = _DONE

    # -- the steps -------------------------------------------------------------------------------------

    def _advance(self, name: str, stage: int) -> bool:
        """Take one step of one plugin. Returns whether the next one can follow."""
        if stage == _LOAD:
            return self._load(name)
        if stage == _REGISTER:
            return self._is_active(name) or (
                self._lifecycle.validate(name) and self._lifecycle.register(name)
            )
        was_active = self._is_active(name)
        if not self._dependencies_active(name) or not self._start(name):
            return False
        if self._stops.count != self._stops_before:
            self._lifecycle.stop(name)
        elif self._on_active is not None and not was_active:
            self._on_active(name)
        return True

    def _start(self, name: str) -> bool:
        return self._lifecycle.initialize_and_start(name, self._configs.get(name)) and self._is_active(name)

    def _load(self, name: str) -> bool:
        failed = self._table.plugins[name].state is S.ERROR
        if (failed and self._table.is_unreadable(name)) or not self._lifecycle.load(name):
            return False
        handle = self._table.handle(name)
        plugin, info, known = self._table.object_of(handle), handle.info, self._table.plugins
        try:
            needs, hooks = handle.submit(
                lambda: (checks.plugin_dependencies(info, known), checks.hooks_of(plugin)),
                step="validate",
                calls=0,
            )
        except PluginError as error:
            self._lifecycle.fail(name, "validate", error)
            return False
        self._needs[name], self._hooks[name] = needs, hooks
        return not self._is_double(name, plugin)

    def _is_double(self, name: str, plugin: Any) -> bool:
        """Return whether a name loads what another one has loaded: it is one plugin, and gets everything once."""
        holder = self._first.setdefault(id(plugin), name)
        if holder == name or self._are_two_objects(name, holder, plugin):
            return False
        self._table.aliases[name] = holder
        log.info("plugin %r is the same as %r and runs once, under that name", name, holder)
        return True

    def _are_two_objects(self, name: str, holder: str, plugin: Any) -> bool:
        """Return whether a class was registered by hand under two names, to have two objects of it."""
        plugins = self._table.plugins
        return is_class(plugin) and all(plugins[each].origin == BY_HAND for each in (name, holder))

    def _dependencies_active(self, name: str) -> bool:
        for need in self._needs[name]:
            if not self._is_active(need):
                needed = self._table.plugins[need]
                off = self._table.switched_off.get(need)
                why = f"failed: {needed.error}" if needed.error else f"is {needed.state.name}"
                why = f"is switched off ({off})" if off is not None else why
                message = f"plugin {name!r}: not started, because it depends on {need!r}, which {why}"
                failure = PluginError(message, plugin=name, step="start", cause=self._cause_of(need))
                self._lifecycle.fail(name, "start", failure)
                return False
        return True

    def _cause_of(self, name: str) -> BaseException | None:
        """Return what a failed plugin met, so that those who depend on it know whether it may pass."""
        failure = self._table.handle(name).failure
        return failure.cause if isinstance(failure, PluginError) and failure.cause is not None else failure

    def _is_active(self, name: str) -> bool:
        info = self._table.plugins.get(self._table.aliases.get(name, name))
        return info is not None and info.state is S.ACTIVE
