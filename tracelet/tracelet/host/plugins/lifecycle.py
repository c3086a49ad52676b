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
from tracelet.host.plugins.hookchecks import hook_doubts, hook_faults
from tracelet.host.plugins.hosted import PluginHandle
from tracelet.host.plugins.hosting import PluginTable
from tracelet_hookspecs import PluginState as S

log = logging.getLogger("tracelet.plugins")


class Lifecycle:
    """Takes plugins through their states. A step that fails raises; ``hosting`` then says so of the plugin."""

    def __init__(self, hosting: PluginTable, configured: Callable[[PluginHandle], Mapping[str, Any]]) -> None:
        self.hosting = hosting
        self._configured = configured

    def load(self, hosted: PluginHandle) -> None:
        """Import the plugin, on its own thread, and read what it says of itself."""
        self._revive(hosted)
        info = hosted.info
        if self.hosting.object_of(hosted) is None:
            with _timing(hosted, "import"):
                info.instance = hosted.submit(lambda: self._loaded(hosted), step="import")
        if info.state in (S.DISCOVERED, S.ERROR):
            self.hosting.move_to(hosted, S.LOADED)

    def _loaded(self, hosted: PluginHandle) -> Any:
        info, found = hosted.info, self.hosting.catalog.found.get(hosted.name)
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

    def validate(self, hosted: PluginHandle) -> None:
        """Check all that must hold before the plugin is initialized."""
        info = hosted.info
        if info.state < S.LOADED or info.state is S.ERROR or self.hosting.object_of(hosted) is None:
            self.load(hosted)
        plugin, known = self.hosting.object_of(hosted), self.hosting.catalog.plugins

        def look() -> tuple[list[str], list[str]]:
            registry = self.hosting.registry
            found = list(checks.faults(plugin, info, registry, known, host_version()))
            return found, [] if found else list(hook_doubts(plugin, registry))

        with _timing(hosted, "validate"):
            found, doubts = hosted.submit(look, step="validate")
        if found:
            raise self._unfit(hosted, "validate", found)
        for doubt in doubts:
            self.hosting.catalog.report(f"{_who(hosted)}: {doubt}")
        if info.state is S.LOADED:
            self.hosting.move_to(hosted, S.VALIDATED)

    def register(self, hosted: PluginHandle) -> None:
        """Make the plugin's object and hand it to pluggy, where it may bring hookspecs of its own."""
        plugin = self.hosting.instances.get(hosted.name)
        if plugin is None:
            plugin = self.hosting.stand_in(hosted.info)
            if plugin is None:
                plugin = hosted.info.instance
            if discovery.is_class(plugin):
                plugin = hosted.submit(plugin, step="initialize", calls=0)
            self.hosting.instances[hosted.name] = plugin
        if hosted.plugin is plugin and self.hosting.registry.has_plugin(hosted.name):
            return
        hosted.submit(lambda: self._enrol(hosted, plugin), step="register")
        hosted.plugin = plugin

    def _enrol(self, hosted: PluginHandle, plugin: Any) -> None:
        registry = self.hosting.registry
        if hosted.plugin is not plugin and checks.brings_hooks(
            plugin
        ):  # once, however often it is registered
            registry.let_bring_hooks(plugin)
            if found := list(hook_faults(plugin, registry)):
                raise self._unfit(hosted, "register", found)
        self.hosting.forget(hosted)
        registry.register(plugin, hosted.name)

    def initialize(self, hosted: PluginHandle, config: Any = None) -> None:
        """Validate the configuration and give it to the plugin. ``None`` stands for the last one, or the configured."""
        self._revive(hosted)
        info = hosted.info
        if (
            info.state not in (S.VALIDATED, S.INITIALIZED, S.STOPPED)
            or self.hosting.object_of(hosted) is None
        ):
            self.validate(hosted)
        self.register(hosted)
        if config is None:
            config = hosted.config if hosted.config is not None else self._configured(hosted)
        hosted.config = config
        with _timing(hosted, "initialize"):
            valid = hosted.submit(lambda: _configure(hosted, config), step="initialize", calls=0)
            if isinstance(valid, ConfigError):
                raise valid
            if hosted.implements("initialize"):
                hosted.call("initialize", config=valid, plugin=info)
        self.hosting.begin(hosted)
        self.hosting.move_to(hosted, S.INITIALIZED)

    def start(self, hosted: PluginHandle) -> None:
        """Start an initialized plugin; one that stopped or failed is initialized again, as it was."""
        if hosted.info.state in (S.STOPPED, S.ERROR):
            self.initialize(hosted)
        self.register(hosted)
        if hosted.implements("start"):
            with _timing(hosted, "start"):
                hosted.call("start", plugin=hosted.info)
            hosted.worker.run(
                lambda: _set_active(hosted.plugin, True), step="start", deadline=hosted.deadline("start")
            )
        if hosted.name not in self.hosting.begun:
            self.hosting.begin(hosted)
        self.hosting.move_to(hosted, S.ACTIVE)

    def stop(self, hosted: PluginHandle, deadline: float | None = None) -> None:
        """Stop a plugin. One that had failed keeps its state, so that the failure stays to be seen."""
        self.hosting.begun.pop(hosted.name, None)
        hosted.begun = False
        try:
            if hosted.worker.usable:
                self.register(hosted)
                hosted.worker.post(lambda: _set_active(hosted.plugin, False), step="stop", deadline=1.0)
                if hosted.implements("stop"):
                    with _timing(hosted, "stop"):
                        hosted.call("stop", deadline=deadline, plugin=hosted.info)
            if hosted.info.state is not S.ERROR:
                self.hosting.move_to(hosted, S.STOPPED)
        finally:
            hosted.worker.retire()

    def _revive(self, hosted: PluginHandle) -> None:
        """Give a plugin whose thread hangs (or stayed in a fork's parent) a new one, and a new object to go with it."""
        if hosted.worker.usable:
            return
        hosted.worker.renew()
        hosted.begun = False
        if discovery.is_class(hosted.info.instance):
            self.hosting.forget(hosted)
            self.hosting.instances.pop(hosted.name, None)
            hosted.plugin = None

    def _unfit(self, hosted: PluginHandle, step: str, found: list[str]) -> PluginError:
        return PluginError(f"{_who(hosted)}: {'; '.join(found)}", plugin=hosted.name, step=step)


@contextlib.contextmanager
def _timing(hosted: PluginHandle, step: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        hosted.info.timings[step] = time.perf_counter() - began


def _who(hosted: PluginHandle) -> str:
    return f"plugin {hosted.name!r} ({hosted.info.origin})"


def _configure(hosted: PluginHandle, config: Any) -> Any:
    """Validate a configuration and set it on the plugin's object. Returns it, or the fault that was found."""
    path = f"plugins.{hosted.name}"
    try:
        valid = validate(hosted.info.metadata.config_schema, config, path=path)
    except ConfigError as error:
        return error
    _give(hosted.plugin, valid)
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
