"""The whole set of plugins: started in dependency order, strictly; stopped in reverse order, whatever happens."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host.plugins import checks
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.plugins.table import PluginTable
from tracelet_hookspecs import PluginState as S

log = logging.getLogger("tracelet.plugins")

MIN_STOP_TIME: Final = 0.05  # seconds that a plugin gets to stop once the time for all of them is over


class CircularDependencyError(ValueError):
    """Names that depend on each other in a circle. ``cycle`` starts and ends with the same name."""

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


class StartupOrder:
    """Starts and stops many plugins in the right order."""

    def __init__(self, table: PluginTable, lifecycle: Lifecycle) -> None:
        self._table = table
        self._lifecycle = lifecycle
        self._times_stopped = 0

    def resolve(self, names: Iterable[str], without: Iterable[str] = ()) -> list[str]:
        """Return the names and the plugins that they depend on, dependencies first, otherwise as given.

        Raises :class:`CircularDependencyError`, a ``ValueError``, with the whole cycle.
        """
        left_out = set(without)
        return order(
            (name for name in names if name not in left_out),
            lambda name: [need for need in self._dependencies(name) if need not in left_out],
        )

    def _dependencies(self, name: str) -> list[str]:
        """Return the plugins that a plugin depends on. Only its own metadata say so, which may mean loading it."""
        info = self._table.plugins.get(name)
        if info is None:
            return []
        if info.metadata.type is None and info.state is S.DISCOVERED:
            self._lifecycle.load(name)
        return checks.plugin_dependencies(info, self._table.plugins)

    # -- starting --------------------------------------------------------------------------------------

    def start(
        self, configs: Mapping[str, Mapping[str, Any] | None], blocked: Iterable[str] = ()
    ) -> dict[str, bool]:
        """Initialize and start plugins and what they depend on, except for those that the user switched off.

        Returns which of the given plugins are active.
        """
        times_stopped, blocked = self._times_stopped, frozenset(blocked)
        wanted = [name for name in configs if name not in blocked and self._is_known(name)]
        off = self._table.switched_off.keys() - wanted  # one that is given here is wanted all the same
        startable = [name for name in self._startable(wanted, off) if name not in off]
        registered = self._register([name for name in startable if self._is_loaded(name)])
        for name in startable:
            if times_stopped != self._times_stopped:
                break  # another thread has stopped all plugins
            ready = name in registered and self._dependencies_active(name)
            started = ready and self._lifecycle.initialize_and_start(name, configs.get(name))
            if started and times_stopped != self._times_stopped:
                self._lifecycle.stop(name)
        return {name: self._is_active(name) for name in configs}

    def _is_known(self, name: str) -> bool:
        if name not in self._table.plugins:
            self._table.report(str(self._table.unknown(name)))
        return name in self._table.plugins

    def _startable(self, names: list[str], off: Iterable[str] = ()) -> list[str]:
        """Return the order of starting. Plugins that depend on each other in a circle fail; the others remain."""
        circular: set[str] = set(off)
        while True:
            try:
                return self.resolve(names, circular)
            except CircularDependencyError as error:
                circular.update(error.cycle)
                library = f"; if the library is meant, run: pip install {error.cycle[0]}"
                reason = f"{error}{library if len(error.cycle) == 2 else ''}"
                for member in dict.fromkeys(error.cycle):
                    failure = PluginError(f"plugin {member!r}: {reason}", plugin=member, step="validate")
                    self._lifecycle.fail(member, "validate", failure)

    def _is_loaded(self, name: str) -> bool:
        failed = self._table.plugins[name].state is S.ERROR
        return not (failed and self._table.is_unreadable(name)) and self._lifecycle.load(name)

    def _register(self, loaded: list[str]) -> set[str]:
        """Validate and register plugins before the first of them starts, so that all wrappers wrap every start.

        Plugins that bring hookspecs come before those that may implement them. Returns those that are registered.
        """
        objects = {name: self._table.object_of(self._table.handle(name)) for name in loaded}
        loaded = self._without_doubles(loaded, objects)
        ordered = sorted(loaded, key=lambda name: not checks.adds_hookspecs(objects[name]))
        return {
            name
            for name in ordered
            if self._is_active(name) or (self._lifecycle.validate(name) and self._lifecycle.register(name))
        }

    def validate(self, names: Iterable[str]) -> None:
        """Load and validate plugins as for a start, without starting any: those that bring hookspecs come first."""
        loaded = [name for name in names if name in self._table.plugins and self._is_loaded(name)]
        objects = {name: self._table.object_of(self._table.handle(name)) for name in loaded}
        for name in sorted(loaded, key=lambda name: not checks.adds_hookspecs(objects[name])):
            if self._lifecycle.validate(name) and checks.adds_hookspecs(objects[name]):
                self._lifecycle.register(name)

    def _without_doubles(self, names: list[str], objects: Mapping[str, Any]) -> list[str]:
        """Leave out names that load what another one has loaded: it is one plugin, and gets everything once."""
        first: dict[int, str] = {}
        for name in [*filter(self._is_active, self._table.plugins), *names]:
            plugin = objects[name] if name in objects else self._table.object_of(self._table.handle(name))
            holder = first.setdefault(id(plugin), name)
            if holder != name:
                self._table.aliases[name] = holder
                log.info("plugin %r is the same as %r and runs once, under that name", name, holder)
        return [name for name in names if first[id(objects[name])] == name]

    def _dependencies_active(self, name: str) -> bool:
        for need in self._dependencies(name):
            if not self._is_active(need):
                needed = self._table.plugins[need]
                off = self._table.switched_off.get(need)
                why = f"failed: {needed.error}" if needed.error else f"is {needed.state.name}"
                why = f"is switched off ({off})" if off is not None else why
                message = f"plugin {name!r}: not started, because it depends on {need!r}, which {why}"
                self._lifecycle.fail(name, "start", PluginError(message, plugin=name, step="start"))
                return False
        return True

    def _is_active(self, name: str) -> bool:
        info = self._table.plugins.get(self._table.aliases.get(name, name))
        return info is not None and info.state is S.ACTIVE

    # -- stopping --------------------------------------------------------------------------------------

    def stop(self, timeout: float | None = None) -> bool:
        """Stop every plugin, last started first; all are tried. ``timeout`` limits the whole, in seconds."""
        self._times_stopped += 1
        end = None if timeout is None else time.monotonic() + timeout
        # Wrappers stay active until the last plugin has stopped: they wrap every stop.
        results = [
            self._lifecycle.stop(name, self._stop_deadline(name, end), mute=False)
            for name in reversed(self.started_order())
        ]
        for name in list(self._table.handles):
            self._table.registry.mute(name, True)
        return all(results)

    def started_order(self) -> list[str]:
        """Return all plugins in the order in which they were initialized; before them those started by hand."""
        plugins, initialized = dict(self._table.plugins), dict(self._table.initialized)
        by_hand = [name for name in plugins if name not in initialized and name in self._table.instances]
        with contextlib.suppress(CircularDependencyError):  # then the order in which they are known
            given = set(by_hand)
            by_hand = [name for name in self.resolve(by_hand) if name in given]
        return [*by_hand, *(name for name in initialized if name in plugins)]

    def _stop_deadline(self, name: str, end: float | None) -> float | None:
        if end is None:
            return None
        deadline = self._table.handle(name).deadline("stop")
        return max(MIN_STOP_TIME, min(end - time.monotonic(), deadline))

    def active(self, *hooks: str) -> list[str]:
        """Return the active plugins, or those that implement one of the hooks, in the order of starting."""
        names = [name for name in self.started_order() if self._is_active(name)]
        if not hooks:
            return names
        return [name for name in names if any(map(self._table.handle(name).implements, hooks))]
