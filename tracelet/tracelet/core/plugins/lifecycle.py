"""The steps of a plugin's life, each of which makes up those before it that are still due."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import attrs

from tracelet.core import discovery
from tracelet.core.discovery import Found
from tracelet.core.plugins import checks
from tracelet.core.plugins.catalog import Catalog
from tracelet.core.plugins.hosted import Hosted
from tracelet.core.plugins.registry import Registry
from tracelet.core.secrets import format_exception, redact
from tracelet.core.states import move
from tracelet.core.validation import validate
from tracelet.errors import ConfigError, PluginError
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

log = logging.getLogger("tracelet.plugins")

HOST_VERSION = "0.1.0"


class Lifecycle:
    """Takes plugins through their states. What fails is told by its state and ``info.error``, never raised."""

    def __init__(self, registry: Registry, catalog: Catalog, deadlines: Mapping[str, float]) -> None:
        self.registry = registry
        self.catalog = catalog
        self.deadlines = deadlines
        self.instances: dict[str, Any] = {}
        self.hosted: dict[str, Hosted] = {}

    def host(self, info: PluginInfo) -> Hosted:
        """Return the plugin at work; one that was put into the catalog by hand gets its thread here."""
        hosted = self.hosted.get(info.name)
        if hosted is None or hosted.info is not info:
            hosted = Hosted(info, self.registry, self.deadlines, self._wrapper_failed)
            hosted.started = info.state is S.ACTIVE
            self.hosted[info.name] = hosted
        return hosted

    def load(self, info: PluginInfo) -> None:
        """Import the plugin, on its own thread, and read what it says of itself."""
        if info.instance is None:
            found = self.catalog.found.get(info.name)
            info.instance = self._on_thread(info, "import", lambda: self._loaded(info, found))
        if info.state in (S.DISCOVERED, S.ERROR):
            self._move(info, S.LOADED)

    def _loaded(self, info: PluginInfo, found: Found | None) -> Any:
        if found is not None and found.load is not None:
            plugin = found.load()
        else:
            plugin = discovery.load_from_path(info.module_path, info.class_name)
        plugin = discovery.single_plugin(plugin)
        if info.metadata.type is None:
            metadata = discovery.metadata_of(plugin, info.name, info.metadata.version)
            # The name under which it was found stays: configuration and -p use it.
            info.metadata = attrs.evolve(metadata, name=info.name)
        return plugin

    def validate(self, info: PluginInfo) -> None:
        """Check all that must hold before the plugin is initialized."""
        if info.state < S.LOADED or info.state is S.ERROR or info.instance is None:
            self.load(info)
        found = self._on_thread(
            info,
            "validate",
            lambda: list(
                checks.faults(info.instance, info, self.registry, self.catalog.plugins, HOST_VERSION)
            ),
        )
        if found:
            raise PluginError(
                f"plugin {info.name!r} ({info.origin}): " + "; ".join(found),
                plugin=info.name,
                step="validate",
            )
        self._move(info, S.VALIDATED)

    def register(self, info: PluginInfo) -> Hosted:
        """Make the plugin's object and hand it to pluggy. Its own hookspecs come first."""
        hosted = self.host(info)
        plugin = self.instances.get(info.name)
        if plugin is None:
            plugin = info.instance
            if isinstance(plugin, type):
                plugin = self._on_thread(info, "initialize", plugin)
            self.instances[info.name] = plugin
        if hosted.plugin is not plugin or not self.registry.has_plugin(info.name):
            self._on_thread(info, "register", lambda: self._enrol(info, plugin))
            hosted.adopt(plugin)
        return hosted

    def _enrol(self, info: PluginInfo, plugin: Any) -> None:
        try:
            hash(plugin)
        except TypeError:
            raise PluginError(
                f"plugin {info.name!r}: objects of {type(plugin).__name__} cannot be hashed, which pluggy needs;"
                " define it with eq=False",
                plugin=info.name,
            ) from None
        addhooks = getattr(plugin, "addhooks", None)
        if callable(addhooks):
            addhooks(self.registry)
            if found := list(checks.hook_faults(plugin, self.registry)):
                raise PluginError(
                    f"plugin {info.name!r} ({info.origin}): " + "; ".join(found), plugin=info.name
                )
        if self.registry.has_plugin(info.name):
            self.registry.unregister(name=info.name)
        self.registry.register(plugin, info.name)

    def initialize(self, info: PluginInfo, config: Any = None) -> None:
        """Validate the configuration and give it to the plugin."""
        if info.state not in (S.VALIDATED, S.INITIALIZED, S.STOPPED):
            self.validate(info)
        hosted = self.register(info)
        hosted.config = dict(config or {})
        valid = validate(info.metadata.config_schema, hosted.config, path=f"plugins.{info.name}")
        _give(hosted.plugin, valid)
        if hosted.implements("initialize"):
            hosted.call("initialize", config=valid, plugin=info)
        self._move(info, S.INITIALIZED)

    def start(self, info: PluginInfo) -> None:
        """Start an initialized plugin; one that stopped or failed is initialized again, as it was."""
        if info.state in (S.STOPPED, S.ERROR):
            hosted = self.host(info)
            hosted.worker.renew()
            self.initialize(info, hosted.config)
        hosted = self.register(info)
        if hosted.implements("start"):
            hosted.call("start", plugin=info)
        hosted.started = True
        _set_active(hosted.plugin, True)
        self._move(info, S.ACTIVE)

    def stop(self, info: PluginInfo, deadline: float | None = None) -> None:
        """Stop a plugin. One that had failed keeps its state, so that the failure stays to be seen."""
        hosted = self.register(info)
        _set_active(hosted.plugin, False)
        hosted.started = False
        if hosted.worker.usable and hosted.implements("stop"):
            hosted.call("stop", deadline=deadline, plugin=info)
        if info.state is not S.ERROR:
            self._move(info, S.STOPPED)
        hosted.worker.retire()

    def forget(self, info: PluginInfo) -> None:
        """Take a plugin out of pluggy's registry, so that its wrappers wrap nothing any more."""
        if self.registry.has_plugin(info.name):
            self.registry.unregister(name=info.name)

    def fail(self, info: PluginInfo, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR with what happened: a sentence in ``info.error``, the traceback in the log."""
        message = str(error) if isinstance(error, (PluginError, ConfigError)) else discovery.describe(error)
        if not message.startswith("plugin"):
            message = f"plugin {info.name!r}: {step} failed: {message}"
        info.error = redact(message)
        cause = error.cause if isinstance(error, PluginError) and error.cause is not None else error
        info.traceback = format_exception(cause)
        self._move(info, S.ERROR)
        log.error("%s\n%s", info.error, info.traceback)

    def _on_thread(self, info: PluginInfo, step: str, function: Any) -> Any:
        hosted = self.host(info)
        result = hosted.submit(function, step=step)
        info.timings[step] = hosted.cost(step).wall_s
        return result

    def _move(self, info: PluginInfo, new: S) -> None:
        old = move(info, new)
        if old is new:
            return
        if new is not S.ERROR:
            info.error = info.traceback = None
        for listener in list(self.hosted.values()):
            if listener.implements("plugin_state_changed"):
                listener.post("plugin_state_changed", plugin=info, old=old, new=new)

    def _wrapper_failed(self, plugin: str, hook: str, error: BaseException) -> None:
        """A wrapper failed around another plugin's call: it is told, counted and left out, nothing else."""
        hosted = self.hosted.get(plugin)
        if hosted is not None:
            cost = hosted.cost(f"{hook} (wrapper)")
            cost.calls += 1
            cost.errors += 1
            hosted.info.error = f"plugin {plugin!r}: wrapper of {hook} failed: {discovery.describe(error)}"
            hosted.info.traceback = format_exception(error)
        log.error("plugin %r: wrapper of %s failed\n%s", plugin, hook, format_exception(error))


def _give(plugin: Any, config: Any) -> None:
    """Set the configuration on a plugin's object, where it takes attributes (modules keep their own names)."""
    if not discovery.has_lifecycle(plugin):
        return
    for attribute in ("_config", "config"):
        try:
            setattr(plugin, attribute, config)
        except AttributeError:
            log.debug("plugin object %r takes no attribute %r", type(plugin).__name__, attribute)


def _set_active(plugin: Any, active: bool) -> None:
    if hasattr(plugin, "_active"):
        plugin._active = active
