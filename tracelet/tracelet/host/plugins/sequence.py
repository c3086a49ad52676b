"""The whole set: started in dependency order, strictly; stopped in the reverse order, whatever happens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host import ordering
from tracelet.host.plugins.checks import brings_hooks
from tracelet.host.plugins.dependencies import plugin_dependencies
from tracelet.host.plugins.hosting import PluginTable
from tracelet.host.plugins.steps import Steps
from tracelet_hookspecs import PluginState as S

LEAST: Final = 0.05  # seconds that a plugin is given to stop when the time for all of them is over


class Sequence:
    """Starts and stops many plugins."""

    def __init__(self, hosting: PluginTable, steps: Steps) -> None:
        self._catalog = hosting.catalog
        self._hosting = hosting
        self._steps = steps
        self._times_stopped = 0

    def resolve(self, names: Iterable[str], without: Iterable[str] = ()) -> list[str]:
        """Return the names and the plugins that they depend on, dependencies first, otherwise as given.

        Raises :class:`~tracelet.host.ordering.CircularDependencyError`, a ``ValueError``, with the whole cycle.
        """
        left_out = set(without)
        return ordering.order(
            (name for name in names if name not in left_out),
            lambda name: [need for need in self._needs(name) if need not in left_out],
        )

    def _needs(self, name: str) -> list[str]:
        """Return the plugins that a plugin depends on, which only its own metadata say: so it is loaded."""
        info = self._catalog.plugins.get(name)
        if info is None:
            return []
        if info.metadata.type is None and info.state is S.DISCOVERED:
            self._steps.load(name)
        return plugin_dependencies(info, self._catalog.plugins)

    # -- starting --------------------------------------------------------------------------------------

    def start(
        self, configs: Mapping[str, Mapping[str, Any] | None], blocked: Iterable[str] = ()
    ) -> dict[str, bool]:
        """Initialize and start plugins and what they depend on, but for those that are blocked.

        Returns which of the given ones are active.
        """
        times_stopped, blocked = self._times_stopped, frozenset(blocked)
        wanted = [name for name in configs if name not in blocked and self._is_known(name)]
        order = [name for name in self._startable(wanted) if name not in blocked]
        registered = self._registered([name for name in order if self._is_loaded(name)])
        for name in order:
            if times_stopped != self._times_stopped:
                break  # another thread has stopped everything meanwhile
            startable = name in registered and self._dependencies_active(name)
            started = startable and self._steps.bring_up(name, configs.get(name))
            if started and times_stopped != self._times_stopped:
                self._steps.stop(name)
        return {name: self._is_active(name) for name in configs}

    def _is_known(self, name: str) -> bool:
        if name not in self._catalog.plugins:
            self._catalog.report(str(self._catalog.unknown(name)))
        return name in self._catalog.plugins

    def _startable(self, names: list[str]) -> list[str]:
        """Return the order to start in. Plugins that depend on each other in a circle fail; the rest goes on."""
        circular: set[str] = set()
        while True:
            try:
                return self.resolve(names, circular)
            except ordering.CircularDependencyError as error:
                circular.update(error.cycle)
                library = f"; if the library is meant, run: pip install {error.cycle[0]}"
                told = f"{error}{library if len(error.cycle) == 2 else ''}"
                for member in dict.fromkeys(error.cycle):
                    failure = PluginError(f"plugin {member!r}: {told}", plugin=member, step="validate")
                    self._steps.fail(member, "validate", failure)

    def _is_loaded(self, name: str) -> bool:
        failed = self._catalog.plugins[name].state is S.ERROR
        return not (failed and self._catalog.is_hopeless(name)) and self._steps.load(name)

    def _registered(self, loaded: list[str]) -> set[str]:
        """Validate and register plugins, before the first of them starts: so everybody's wrappers wrap every start.

        Those that bring hookspecs come before those that may implement them. Returns those that are registered.
        """
        objects = {name: self._hosting.object_of(self._steps.handle(name)) for name in loaded}
        bringing_first = sorted(loaded, key=lambda name: not brings_hooks(objects[name]))
        return {
            name
            for name in bringing_first
            if self._is_active(name) or (self._steps.validate(name) and self._steps.register(name))
        }

    def _dependencies_active(self, name: str) -> bool:
        for need in self._needs(name):
            if not self._is_active(need):
                needed = self._catalog.plugins[need]
                why = f"failed: {needed.error}" if needed.error else f"is {needed.state.name}"
                message = f"plugin {name!r}: not started, since it depends on {need!r}, which {why}"
                self._steps.fail(name, "start", PluginError(message, plugin=name, step="start"))
                return False
        return True

    def _is_active(self, name: str) -> bool:
        info = self._catalog.plugins.get(name)
        return info is not None and info.state is S.ACTIVE

    # -- stopping --------------------------------------------------------------------------------------

    def stop(self, timeout: float | None = None) -> bool:
        """Stop every plugin, last started first; all are tried. ``timeout`` bounds the whole, in seconds."""
        self._times_stopped += 1
        end = None if timeout is None else time.monotonic() + timeout
        # Their wrappers are kept until the last has stopped: they wrap every stop.
        results = [
            self._steps.stop(name, self._left(name, end), mute=False) for name in reversed(self.order())
        ]
        for name in list(self._hosting.handles):
            self._hosting.registry.mute(name, True)
        return all(results)

    def order(self) -> list[str]:
        """Return all plugins in the order in which they began; before them those that were begun by hand."""
        plugins, begun = dict(self._catalog.plugins), dict(self._hosting.begun)
        at_work = [name for name in plugins if name not in begun and name in self._hosting.instances]
        with contextlib.suppress(
            ordering.CircularDependencyError
        ):  # in the order in which they are known, then
            given = set(at_work)
            at_work = [name for name in self.resolve(at_work) if name in given]
        return [*at_work, *(name for name in begun if name in plugins)]

    def _left(self, name: str, end: float | None) -> float | None:
        if end is None:
            return None
        return max(LEAST, min(end - time.monotonic(), self._steps.handle(name).deadline("stop")))

    def active(self, *hooks: str) -> list[str]:
        """Return the active plugins, or those that implement one of the hooks, in the order of starting."""
        names = [name for name in self.order() if self._is_active(name)]
        if not hooks:
            return names
        return [name for name in names if any(map(self._steps.handle(name).implements, hooks))]
