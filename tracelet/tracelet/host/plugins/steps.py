"""One step of one plugin, by name: whether it went well, and never an exception of the plugin's."""

from __future__ import annotations

import _thread
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host.plugins.catalog import Catalog
from tracelet.host.plugins.handle import PluginHandle
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.worker import Busy
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

log = logging.getLogger("tracelet.plugins")

_VALID: Final = (S.VALIDATED, S.INITIALIZED, S.ACTIVE, S.STOPPED)
_STARTABLE: Final = (S.INITIALIZED, S.ACTIVE, S.STOPPED, S.ERROR)

Done = Callable[[PluginHandle], bool]


class Steps:
    """The steps as the manager offers them."""

    def __init__(self, catalog: Catalog, lifecycle: Lifecycle) -> None:
        self._catalog = catalog
        self._lifecycle = lifecycle

    def load(self, name: str) -> bool:
        """Import a plugin."""
        return self._take(name, "load", self._lifecycle.load, self._is_loaded)

    def _is_loaded(self, handle: PluginHandle) -> bool:
        state = handle.info.state
        return (
            state >= S.LOADED
            and state is not S.ERROR
            and self._lifecycle.hosting.object_of(handle) is not None
        )

    def validate(self, name: str) -> bool:
        """Check a plugin, loading it first where due."""
        return self._take(
            name, "validate", self._lifecycle.validate, lambda handle: handle.info.state in _VALID
        )

    def register(self, name: str) -> bool:
        """Make a plugin's object and hand it to pluggy."""
        return self._take(name, "register", self._lifecycle.register)

    def initialize(self, name: str, config: Mapping[str, Any] | None = None) -> bool:
        """Give a plugin its configuration, making up the steps before."""
        return self._take(
            name, "initialize", lambda handle: self._lifecycle.initialize(handle, config), _is_active
        )

    def start(self, name: str) -> bool:
        """Start an initialized plugin."""
        info = self._catalog.plugins.get(name)
        if info is not None and (
            name not in self._lifecycle.hosting.instances or info.state not in _STARTABLE
        ):
            log.warning("plugin %r: start wants an initialized plugin, found it %s", name, info.state.name)
            return False
        return self._take(name, "start", self._lifecycle.start, _is_active)

    def bring_up(self, name: str, config: Mapping[str, Any] | None) -> bool:
        """Initialize and start a plugin, as one step that no other thread comes between."""
        handle = self.handle(name)
        try:
            with handle.turn("start", handle.deadline("initialize") + handle.deadline("start")):
                return self.initialize(name, config) and self.start(name)
        except Busy as busy:
            log.warning("%s", busy)
            return False

    def stop(self, name: str, deadline: float | None = None, *, mute: bool = True) -> bool:
        """Stop a plugin. With ``mute``, its wrappers wrap nothing any more."""

        def stop(handle: PluginHandle) -> None:
            if mute:
                self._lifecycle.hosting.registry.mute(name, True)
            self._lifecycle.stop(handle, deadline)

        return self._take(name, "stop", stop, self._has_nothing_to_stop, deadline)

    def _has_nothing_to_stop(self, handle: PluginHandle) -> bool:
        if handle.name not in self._lifecycle.hosting.instances:
            return True
        if handle.info.state is S.ERROR:
            return not handle.begun
        return handle.info.state not in (S.INITIALIZED, S.ACTIVE)

    def fail(self, name: str, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR."""
        self._lifecycle.hosting.fail(self.handle(name), step, error)

    def handle(self, name: str) -> PluginHandle:
        """Return a plugin at work. Raises ``KeyError`` for an unknown one."""
        return self._lifecycle.hosting.host(name, self._catalog.plugins[name])

    def _take(
        self,
        name: str,
        step: str,
        action: Callable[[PluginHandle], Any],
        done: Done | None = None,
        timeout: float | None = None,
    ) -> bool:
        info: PluginInfo | None = self._catalog.plugins.get(name)
        if info is None:
            log.error("%s: %s", step, self._catalog.unknown(name))
            return False
        handle = self._lifecycle.hosting.host(name, info)
        try:
            with handle.turn(step, timeout):
                return self._taken(handle, step, action, done)
        except Busy as busy:
            log.warning("%s", busy)
            return False

    def _taken(
        self, handle: PluginHandle, step: str, action: Callable[[PluginHandle], Any], done: Done | None
    ) -> bool:
        if done is not None and done(handle):
            return True
        try:
            action(handle)
        except Exception as error:
            self._lifecycle.hosting.fail(handle, step, error)
            if isinstance(error, PluginError) and isinstance(error.cause, KeyboardInterrupt):
                _thread.interrupt_main()  # the user's program is to hear it, and it is not on this thread
            return False
        except KeyboardInterrupt as error:
            self._lifecycle.hosting.fail(handle, step, error)
            raise
        return True


def _is_active(handle: PluginHandle) -> bool:
    return handle.info.state is S.ACTIVE
