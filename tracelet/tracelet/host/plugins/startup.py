"""The whole set of plugins: started in dependency order, strictly; stopped in reverse order, whatever happens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tracelet.host.discovery import implementations
from tracelet.host.plugins import checks
from tracelet.host.plugins.launching import CircularDependencyError, Startup, StopCount, order
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.plugins.plugin_table import PluginTable
from tracelet_hookspecs import PluginState as S

MIN_STOP_TIME: Final = 0.05  # seconds that a plugin gets to stop once the time for all of them is over


class StartupOrder:
    """Starts and stops many plugins in the right order."""

    def __init__(self, table: PluginTable, lifecycle: Lifecycle) -> None:
        self._table = table
        self._lifecycle = lifecycle
        self._stops = StopCount()

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
        self,
        configs: Mapping[str, Mapping[str, Any] | None],
        blocked: Iterable[str] = (),
        on_active: Callable[[str], None] | None = None,
    ) -> dict[str, bool]:
        """Initialize and start plugins and what they depend on, except for those that the user switched off.

        ``on_active`` is called with the name of each plugin as soon as it is active. Returns which of the given
        plugins are active, once all of them are or have failed.
        """
        wanted = [name for name in configs if name not in frozenset(blocked) and self._is_known(name)]
        left_out = frozenset(
            self._table.switched_off.keys() - wanted
        )  # one that is given here is wanted all the same
        Startup(self._table, self._lifecycle, configs, left_out, on_active, self._stops).run(wanted)
        return {name: self.is_active(name) for name in configs}

    def _is_known(self, name: str) -> bool:
        if name not in self._table.plugins:
            self._table.report(str(self._table.unknown(name)))
        return name in self._table.plugins

    def validate(self, names: Iterable[str]) -> None:
        """Load and validate plugins as for a start, without starting any: those that bring hookspecs come first."""
        loaded = [name for name in names if name in self._table.plugins and self._is_loaded(name)]
        objects = {name: self._table.object_of(self._table.handle(name)) for name in loaded}
        bringing = {
            name for name, plugin in objects.items() if checks.adds_hookspecs(implementations(plugin))
        }
        for name in sorted(loaded, key=lambda name: name not in bringing):
            if self._lifecycle.validate(name) and name in bringing:
                self._lifecycle.register(name)

    def _is_loaded(self, name: str) -> bool:
        failed = self._table.plugins[name].state is S.ERROR
        return not (failed and self._table.is_unreadable(name)) and self._lifecycle.load(name)

    def is_active(self, name: str) -> bool:
        """Return whether a plugin is active."""
        info = self._table.plugins.get(self._table.aliases.get(name, name))
        return info is not None and info.state is S.ACTIVE

    # -- stopping --------------------------------------------------------------------------------------

    def stop(self, timeout: float | None = None) -> bool:
        """Stop every plugin, last started first; all are tried. ``timeout`` limits the whole, in seconds."""
        self._stops.count += 1
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
        names = [name for name in self.started_order() if self.is_active(name)]
        if not hooks:
            return names
        return [name for name in names if any(map(self._table.handle(name).implements, hooks))]
