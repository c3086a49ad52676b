"""The plugins at work: their threads, their moves from state to state, and what is told when one fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tracelet.config import DEADLINES
from tracelet.errors import ConfigError, PluginError
from tracelet.host import discovery, locations
from tracelet.host.plugins.catalog import Catalog
from tracelet.host.plugins.handle import PluginHandle, Watch
from tracelet.host.plugins.registry import Registry
from tracelet.host.states import move
from tracelet.host.worker import NotCalled, Overrun
from tracelet.secrets import format_exception, redact
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

log = logging.getLogger("tracelet.plugins")


class PluginTable:
    """Who is at work, with which object, and in which state."""

    def __init__(self, registry: Registry, catalog: Catalog, deadlines: Mapping[str, float]) -> None:
        self.registry = registry
        self.catalog = catalog
        self.deadlines = deadlines
        self.instances: dict[str, Any] = {}
        #: Makes the object that speaks for a plugin which is in another process; ``None`` for one that is here.
        self.make_proxy: Callable[[PluginInfo], Any] = lambda info: None
        self.handles: dict[str, PluginHandle] = {}
        #: The plugins that are initialized or more, in the order in which they came to be so.
        self.begun: dict[str, None] = {}
        self._changing = threading.RLock()

    def host(self, name: str, info: PluginInfo) -> PluginHandle:
        """Return the plugin at work; one that was put into the catalog by hand gets its thread here."""
        handle = self.handles.get(name)
        if handle is not None and handle.info is info:
            return handle
        with self._changing:
            handle = self.handles.get(name)
            if handle is None or handle.info is not info:
                if handle is not None:
                    self._replace(handle, info)
                watch = Watch(self._wrapper_failed, self._overran)
                handle = PluginHandle(name, info, self.registry, self.deadlines, watch)
                handle.begun = name in self.instances and info.state in (S.INITIALIZED, S.ACTIVE, S.ERROR)
                self.handles[name] = handle
        return handle

    def _replace(self, handle: PluginHandle, info: PluginInfo) -> None:
        """Let go of what was made for a name that has another description now; of another class, its object too."""
        handle.worker.retire()
        if info.instance is not handle.info.instance and self.instances.get(handle.name) is handle.plugin:
            self.forget(handle)
            self.instances.pop(handle.name, None)
            self.begun.pop(handle.name, None)

    def deadline(self, step: str) -> float:
        """Return the seconds that a step may take where a plugin's own table does not say otherwise."""
        return float(self.deadlines.get(step, DEADLINES[step]))

    def object_of(self, handle: PluginHandle) -> Any:
        """Return the plugin's object, or the class that it will be made of."""
        return self.instances.get(handle.name, handle.info.instance)

    def begin(self, handle: PluginHandle) -> None:
        """Note that there is something for ``stop`` to end, and let the plugin's wrappers in."""
        handle.begun = True
        self.begun.pop(handle.name, None)
        self.begun[handle.name] = None
        self.registry.mute(handle.name, False)

    def forget(self, handle: PluginHandle) -> None:
        """Take a plugin out of pluggy's registry, so that its wrappers wrap nothing any more."""
        if self.registry.has_plugin(handle.name):
            self.registry.unregister(name=handle.name)

    def move_to(self, handle: PluginHandle, new: S) -> None:
        """Move a plugin to another state, and tell those who listen. Raises where the table has no such move."""
        info = handle.info
        old = move(info, new)
        if old is new:
            return
        if new is not S.ERROR:
            info.error = info.traceback = None
        for name in list(self.registry.cast("plugin_state_changed").implementors):
            listener = self.handles.get(name)
            if listener is not None:
                listener.post("plugin_state_changed", plugin=info, old=old, new=new)

    def fail(self, handle: PluginHandle, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR with what happened: a sentence in ``info.error``, the traceback in the log."""
        info = handle.info
        if isinstance(error, NotCalled) and info.state is S.ERROR:
            return  # it only follows from the failure that is told already
        message = str(error) if isinstance(error, (PluginError, ConfigError)) else discovery.located(error)
        if not message.startswith("plugin "):
            message = f"plugin {handle.name!r}: {step} failed: {message}"
        known = info.state is S.ERROR and info.error == redact(message)
        info.error = redact(message)
        info.traceback = _traceback_of(error)
        self.move_to(handle, S.ERROR)
        self.registry.mute(handle.name, True)
        if not handle.begun:
            handle.worker.retire()
        if not known:
            log.error("%s%s", info.error, f"\n{info.traceback}" if info.traceback else "")

    def _overran(self, handle: PluginHandle, error: Overrun) -> None:
        self.fail(handle, error.step, error)

    def _wrapper_failed(self, plugin: str, hook: str, error: BaseException) -> None:
        """A wrapper failed around another plugin's call: it is told, counted and left out, nothing else.

        One that hangs is never called again: its plugin has failed.
        """
        handle = self.handles.get(plugin)
        if handle is None:
            log.error("plugin %r: wrapper of %s failed\n%s", plugin, hook, format_exception(error))
            return
        cost = handle.cost(f"{hook} (wrapper)")
        cost.calls += 1
        cost.errors += 1
        if isinstance(error, Overrun):
            self.fail(handle, hook, error)
            return
        handle.info.error = f"plugin {plugin!r}: wrapper of {hook} failed: {discovery.located(error)}"
        handle.info.traceback = _traceback_of(error)
        if cost.errors == 1:
            log.error("%s; further failures are only counted\n%s", handle.info.error, handle.info.traceback)


def _traceback_of(error: BaseException) -> str | None:
    """Return where in the plugin's code it went wrong. ``None`` for what the host itself has found, which says all."""
    if isinstance(error, Overrun) and error.stack:
        return redact(f"Its thread was here:\n{error.stack}")
    if isinstance(text := getattr(error, "traceback", None), str):  # it went wrong in another process
        return redact(text) or None
    cause = error.cause if isinstance(error, PluginError) and error.cause is not None else error
    return redact(locations.told(cause)) or None
