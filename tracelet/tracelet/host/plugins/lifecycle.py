"""The steps of a plugin's life, each of which makes up those before it that are still due."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import attrs

from tracelet.config.validation import validate
from tracelet.errors import ConfigError, PluginError
from tracelet.host import discovery
from tracelet.host.plugins import checks
from tracelet.host.plugins.handle import PluginHandle
from tracelet.host.plugins.hookchecks import hook_doubts, hook_faults
from tracelet.host.plugins.hosting import PluginTable
from tracelet_hookspecs import PluginState as S

log = logging.getLogger("tracelet.plugins")


class Lifecycle:
    """Takes plugins through their states. A step that fails raises; ``hosting`` then says so of the plugin."""

    def __init__(self, hosting: PluginTable, configured: Callable[[PluginHandle], Mapping[str, Any]]) -> None:
        self.hosting = hosting
        self._configured = configured

    def load(self, handle: PluginHandle) -> None:
        """Import the plugin, on its own thread, and read what it says of itself."""
        self._revive(handle)
        info = handle.info
        if self.hosting.object_of(handle) is None:
            with _timing(handle, "import"):
                info.instance = handle.submit(lambda: self._loaded(handle), step="import")
        if info.state in (S.DISCOVERED, S.ERROR):
            self.hosting.move_to(handle, S.LOADED)

    def _loaded(self, handle: PluginHandle) -> Any:
        info, found = handle.info, self.hosting.catalog.found.get(handle.name)
        if found is not None and found.info is info and found.load is not None:
            plugin = found.load()
        else:
            plugin = discovery.load_described(info)
        plugin = discovery.single_plugin(plugin)
        if info.metadata.type is None:
            metadata = discovery.metadata_of(plugin, info.name, info.metadata.version, info.origin)
            # The name under which it was found stays: configuration and -p use it.
            info.metadata = attrs.evolve(metadata, name=info.name)
        return plugin

    def validate(self, handle: PluginHandle) -> None:
        """Check all that must hold before the plugin is initialized."""
        info = handle.info
        if info.state < S.LOADED or info.state is S.ERROR or self.hosting.object_of(handle) is None:
            self.load(handle)
        plugin, known = self.hosting.object_of(handle), self.hosting.catalog.plugins

        def look() -> tuple[list[str], list[str]]:
            registry = self.hosting.registry
            found = list(checks.faults(plugin, info, registry, known, host_version()))
            return found, [] if found else list(hook_doubts(plugin, registry))

        with _timing(handle, "validate"):
            found, doubts = handle.submit(look, step="validate")
        if found:
            raise self._unfit(handle, "validate", found)
        for doubt in doubts:
            self.hosting.catalog.report(f"{_who(handle)}: {doubt}")
        if info.state is S.LOADED:
            self.hosting.move_to(handle, S.VALIDATED)

    def register(self, handle: PluginHandle) -> None:
        """Make the plugin's object and hand it to pluggy, where it may bring hookspecs of its own."""
        plugin = self.hosting.instances.get(handle.name)
        if plugin is None:
            plugin = self.hosting.make_proxy(handle.info)
            if plugin is None:
                plugin = handle.info.instance
            if discovery.is_class(plugin):
                plugin = handle.submit(plugin, step="initialize", calls=0)
            self.hosting.instances[handle.name] = plugin
        if handle.plugin is plugin and self.hosting.registry.has_plugin(handle.name):
            return
        handle.submit(lambda: self._enrol(handle, plugin), step="register")
        handle.plugin = plugin

    def _enrol(self, handle: PluginHandle, plugin: Any) -> None:
        registry = self.hosting.registry
        if handle.plugin is not plugin and checks.brings_hooks(
            plugin
        ):  # once, however often it is registered
            registry.let_bring_hooks(plugin)
            if found := list(hook_faults(plugin, registry)):
                raise self._unfit(handle, "register", found)
        self.hosting.forget(handle)
        registry.register(plugin, handle.name)

    def initialize(self, handle: PluginHandle, config: Any = None) -> None:
        """Validate the configuration and give it to the plugin. ``None`` stands for the last one, or the configured."""
        self._revive(handle)
        info = handle.info
        if (
            info.state not in (S.VALIDATED, S.INITIALIZED, S.STOPPED)
            or self.hosting.object_of(handle) is None
        ):
            self.validate(handle)
        self.register(handle)
        if config is None:
            config = handle.config if handle.config is not None else self._configured(handle)
        handle.config = config
        with _timing(handle, "initialize"):
            valid = handle.submit(lambda: _configure(handle, config), step="initialize", calls=0)
            if isinstance(valid, ConfigError):
                raise valid
            if handle.implements("initialize"):
                handle.call("initialize", config=valid, plugin=info)
        self.hosting.begin(handle)
        self.hosting.move_to(handle, S.INITIALIZED)

    def start(self, handle: PluginHandle) -> None:
        """Start an initialized plugin; one that stopped or failed is initialized again, as it was."""
        if handle.info.state in (S.STOPPED, S.ERROR):
            self.initialize(handle)
        self.register(handle)
        if handle.implements("start"):
            with _timing(handle, "start"):
                handle.call("start", plugin=handle.info)
            handle.worker.run(
                lambda: _set_active(handle.plugin, True), step="start", deadline=handle.deadline("start")
            )
        if handle.name not in self.hosting.begun:
            self.hosting.begin(handle)
        self.hosting.move_to(handle, S.ACTIVE)

    def stop(self, handle: PluginHandle, deadline: float | None = None) -> None:
        """Stop a plugin. One that had failed keeps its state, so that the failure stays to be seen."""
        self.hosting.begun.pop(handle.name, None)
        handle.begun = False
        try:
            if handle.worker.usable:
                self.register(handle)
                handle.worker.post(lambda: _set_active(handle.plugin, False), step="stop", deadline=1.0)
                if handle.implements("stop"):
                    with _timing(handle, "stop"):
                        handle.call("stop", deadline=deadline, plugin=handle.info)
            if handle.info.state is not S.ERROR:
                self.hosting.move_to(handle, S.STOPPED)
        finally:
            handle.worker.retire()

    def _revive(self, handle: PluginHandle) -> None:
        """Give a plugin whose thread hangs (or stayed in a fork's parent) a new one, and a new object to go with it."""
        if handle.worker.usable:
            return
        handle.worker.renew()
        handle.begun = False
        if discovery.is_class(handle.info.instance):
            self.hosting.forget(handle)
            self.hosting.instances.pop(handle.name, None)
            handle.plugin = None

    def _unfit(self, handle: PluginHandle, step: str, found: list[str]) -> PluginError:
        return PluginError(f"{_who(handle)}: {'; '.join(found)}", plugin=handle.name, step=step)


@contextlib.contextmanager
def _timing(handle: PluginHandle, step: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        handle.info.timings[step] = time.perf_counter() - began


def _who(handle: PluginHandle) -> str:
    return f"plugin {handle.name!r} ({handle.info.origin})"


def _configure(handle: PluginHandle, config: Any) -> Any:
    """Validate a configuration and set it on the plugin's object. Returns it, or the fault that was found."""
    path = f"plugins.{handle.name}"
    try:
        valid = validate(handle.info.metadata.config_schema, config, path=path)
    except ConfigError as error:
        return error
    _give(handle.plugin, valid)
    return valid


def _give(plugin: Any, config: Any) -> None:
    """Set the configuration on a plugin's object, where it takes attributes (modules keep their own names)."""
    if not discovery.has_lifecycle(plugin):
        return
    for attribute in ("_config", "config"):
        try:
            setattr(plugin, attribute, config)
        except Exception as error:  # an object with slots, a property of its own: it gets it by initialize()
            log.debug("plugin object %s takes no attribute %r: %r", type(plugin).__name__, attribute, error)


def _set_active(plugin: Any, active: bool) -> None:
    if not discovery.is_module(plugin) and "_active" in discovery.attributes(plugin):
        with contextlib.suppress(Exception):  # a property of the plugin's own: it keeps its account itself
            plugin._active = active


def host_version() -> str:
    """Return tracelet's own version. Its package is built upon this floor, so that it is not imported on top."""
    return str(import_module("tracelet").__version__)
