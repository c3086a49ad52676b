"""The plugin manager: documented states, validation and dependency order over one pluggy registry."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pluggy

from tracelet.core import discovery, ordering
from tracelet.core.plugins import activation, status
from tracelet.core.plugins.catalog import Catalog, Sources
from tracelet.core.plugins.checks import plugin_dependencies
from tracelet.core.plugins.hosted import Hosted
from tracelet.core.plugins.lifecycle import Lifecycle
from tracelet.core.plugins.registry import Registry
from tracelet.errors import PluginError, UsageError
from tracelet_hookspecs import PluginInfo, PluginType
from tracelet_hookspecs import PluginState as S

if TYPE_CHECKING:
    from tracelet.config import Config, PluginOptions

log = logging.getLogger("tracelet.plugins")


class PluginManager:
    """Finds plugins, takes them through their lifecycle and calls their hooks, each on a thread of its own.

    ``plugin_paths`` are files or folders searched besides the default places; ``use_default_paths=False``
    leaves those out, and with them entry points and project files. ``config`` is what
    :func:`tracelet.config.load_config` returned; without one, the project's is read when plugins are discovered.
    As a context manager it stops every plugin at the end.
    """

    def __init__(
        self,
        plugin_paths: Sequence[str | os.PathLike[str]] | None = None,
        use_default_paths: bool = True,
        *,
        config: Config | None = None,
        program: Path | None = None,
        deadlines: Mapping[str, float] | None = None,
    ) -> None:
        self.pluggy = Registry()
        self.plugin_paths: list[str] = [os.fspath(path) for path in plugin_paths or ()]
        self.use_default_paths = use_default_paths
        self.config = config
        self.program = program
        self._catalog = Catalog()
        self._lifecycle = Lifecycle(self.pluggy, self._catalog, self._deadlines(deadlines))
        self._order: list[str] = []

    def _deadlines(self, given: Mapping[str, float] | None) -> dict[str, float]:
        configured = self.config.deadlines if self.config is not None else {}
        return {**configured, **(given or {})}

    @property
    def hook(self) -> pluggy.HookRelay:
        """pluggy's relay: calls every registered plugin, on the calling thread and without the host's guard."""
        return self.pluggy.hook

    @property
    def plugins(self) -> dict[str, PluginInfo]:
        """All known plugins by name. Entries may be put in by hand, in any state."""
        return self._catalog.plugins

    @plugins.setter
    def plugins(self, plugins: dict[str, PluginInfo]) -> None:
        self._catalog.plugins = plugins

    @property
    def _plugin_instances(self) -> dict[str, Any]:
        return self._lifecycle.instances

    @_plugin_instances.setter
    def _plugin_instances(self, instances: dict[str, Any]) -> None:
        self._lifecycle.instances = instances

    @property
    def problems(self) -> list[str]:
        """What went wrong in finding plugins: names taken twice, files refused, unknown names."""
        return self._catalog.problems

    # -- finding ---------------------------------------------------------------------------------------

    def discover_plugins(self) -> list[PluginInfo]:
        """Look into every source and return all plugins known. Never raises for a bad plugin."""
        self._catalog.discover(self._sources())
        return list(self.plugins.values())

    def _sources(self) -> Sources:
        paths = [Path(path) for path in self.plugin_paths]
        if not self.use_default_paths and self.config is None:
            return Sources(paths=paths, entry_points=False, import_deadline=self._import_deadline())
        return activation.sources(self._configuration(), paths, self.program, self._import_deadline())

    def _configuration(self) -> Config:
        if self.config is None:
            from tracelet.config import load_config

            self.config = load_config()
            self._lifecycle.deadlines = {**self.config.deadlines, **self._lifecycle.deadlines}
        return self.config

    def _import_deadline(self) -> float:
        return float(self._lifecycle.deadlines.get("import", 30.0))

    def register_plugin(self, cls_or_object: Any, name: str | None = None) -> PluginInfo:
        """Add a class, an instance or a module by hand, loaded.

        One that cannot describe itself is added in state ERROR. Raises :class:`~tracelet.errors.UsageError`
        when another plugin has the name.
        """
        found = discovery.of_object(cls_or_object, "by hand", name=name or "", activate=True)
        if name:
            found.info.metadata.name = name
        holder = self.plugins.get(found.info.name)
        if holder is not None:
            return self._same(holder, cls_or_object)
        self._catalog.add(found)
        if found.info.state is not S.ERROR:
            self._do(found.info.name, "import", self._lifecycle.load)
        return found.info

    def _same(self, holder: PluginInfo, plugin: Any) -> PluginInfo:
        if holder.instance is plugin:
            return holder
        raise UsageError(
            f"plugin name {holder.name!r} is taken by the one from {holder.origin}; register this one"
            f" ({plugin!r}) with another name="
        )

    def load_config(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Read a JSON or TOML file, by its suffix. Raises :class:`~tracelet.errors.ConfigError`."""
        from tracelet.config import load_mapping

        return load_mapping(Path(path))

    def chosen(self, defaults: bool = True) -> dict[str, bool]:
        """Return the plugins that the configuration activates, and whether each was asked for or is on by default.

        One that is on by default is left out where it says that it is not available here.
        """
        names = activation.chosen(self._configuration(), self._catalog.found)
        return {name: asked for name, asked in names.items() if asked or (defaults and self._available(name))}

    def _available(self, name: str) -> bool:
        """Ask a plugin that is on by default whether there is anything here for it to do."""
        if not self.load_plugin(name):
            return False
        ask = getattr(self.plugins[name].instance, "is_available", None)
        try:
            answer = self.hosted(name).submit(ask, step="start") if callable(ask) else True
        except PluginError as error:
            self.fail(name, "is_available", error)
            return False
        if answer is not True:
            log.debug("plugin %r is not available here: %s", name, answer)
        return answer is True

    # -- one step of one plugin ------------------------------------------------------------------------

    def load_plugin(self, name: str) -> bool:
        """Import a plugin. ``False`` when that fails: its state is then ERROR and ``info.error`` says why."""
        return self._do(name, "load", self._lifecycle.load, done=lambda info: info.instance is not None
                        and info.state >= S.LOADED and info.state is not S.ERROR)  # fmt: skip

    def validate_plugin(self, name: str) -> bool:
        """Check a plugin's lifecycle, metadata, hooks and dependencies, loading it first where due."""
        done = (S.VALIDATED, S.INITIALIZED, S.ACTIVE, S.STOPPED)
        return self._do(name, "validate", self._lifecycle.validate, done=lambda info: info.state in done)

    def initialize_plugin(self, name: str, config: Mapping[str, Any] | None = None) -> bool:
        """Give a plugin its configuration, making up the steps before. ``None`` stands for the configured one."""
        return self._do(
            name,
            "initialize",
            lambda info: self._lifecycle.initialize(
                info, self._config_of(info) if config is None else config
            ),
            done=lambda info: info.state is S.ACTIVE,
        )

    def _config_of(self, info: PluginInfo) -> Mapping[str, Any]:
        options, own = activation.plugin_config(self.config, info)
        self.hosted(info.name).limits.update(options.deadlines)
        return own

    def options(self, name: str) -> PluginOptions:
        """Return what the configuration has the host do with a plugin: routes, deadlines, interval, isolation."""
        return activation.plugin_config(self.config, self.plugins[name])[0]

    def start_plugin(self, name: str) -> bool:
        """Start an initialized plugin. ``False`` for one that was never initialized."""
        info = self.plugins.get(name)
        ready = (S.INITIALIZED, S.STOPPED, S.ERROR, S.ACTIVE)
        if info is not None and (name not in self._plugin_instances or info.state not in ready):
            log.warning("plugin %r: start wants an initialized plugin, found it %s", name, info.state.name)
            return False
        return self._do(name, "start", self._lifecycle.start, done=lambda info: info.state is S.ACTIVE)

    def stop_plugin(self, name: str, deadline: float | None = None) -> bool:
        """Stop a plugin. ``True`` also for one that was never initialized."""
        info = self.plugins.get(name)
        if info is not None and (name not in self._plugin_instances or not self._has_work(info)):
            return True
        return self._do(name, "stop", lambda info: self._lifecycle.stop(info, deadline))

    def _has_work(self, info: PluginInfo) -> bool:
        if info.state is S.ERROR:
            return self.hosted(info.name).started
        return info.state in (S.INITIALIZED, S.ACTIVE)

    def _do(
        self,
        name: str,
        step: str,
        action: Callable[[PluginInfo], Any],
        done: Callable[[PluginInfo], bool] = lambda info: False,
    ) -> bool:
        info = self.plugins.get(name)
        if info is None:
            log.error("%s: %s", step, self._catalog.unknown(name))
            return False
        if done(info):
            return True
        try:
            action(info)
        except Exception as error:
            self._lifecycle.fail(info, step, error)
            return False
        return True

    # -- the whole set ---------------------------------------------------------------------------------

    def resolve_dependencies(self, names: Iterable[str]) -> list[str]:
        """Return the names and the plugins that they depend on, dependencies first, otherwise as given.

        Raises ``ValueError("Circular dependency detected: a -> b -> a")`` with the whole cycle.
        """
        return ordering.order(names, self._needs)

    def _needs(self, name: str) -> list[str]:
        info = self.plugins.get(name)
        return plugin_dependencies(info, self.plugins) if info is not None else []

    def start_plugins(
        self, configs: Mapping[str, Mapping[str, Any] | None] | Iterable[str]
    ) -> dict[str, bool]:
        """Initialize and start plugins and what they depend on, in dependency order.

        Returns which of them are active. A plugin whose dependency failed does not start and names it.
        """
        given = dict(configs) if isinstance(configs, Mapping) else dict.fromkeys(configs)
        order = self._startable(list(given))
        # All are registered before the first starts, so that everybody's wrappers wrap every start.
        ready = [name for name in order if self._prepared(name)]
        for name in ready:
            if self._dependencies_active(name) and self.initialize_plugin(name, given.get(name)):
                self.start_plugin(name)
                self._order.append(name)
        return {name: name in self.plugins and self.plugins[name].state is S.ACTIVE for name in given}

    def _startable(self, names: list[str]) -> list[str]:
        """Return the order to start in. Plugins that depend on each other in a circle fail; the rest goes on."""
        for name in names:
            if name not in self.plugins:
                self._catalog.report(str(self._catalog.unknown(name)))
        names = [name for name in names if name in self.plugins]
        circular: set[str] = set()
        while True:
            try:
                return ordering.order(
                    (name for name in names if name not in circular),
                    lambda name: [need for need in self._needs(name) if need not in circular],
                )
            except ordering.CircularDependencyError as error:
                for member in dict.fromkeys(error.cycle):
                    failure = PluginError(f"plugin {member!r}: {error}", plugin=member, step="validate")
                    self._lifecycle.fail(self.plugins[member], "validate", failure)
                circular.update(error.cycle)

    def _prepared(self, name: str) -> bool:
        info = self.plugins[name]
        if info.state is S.ACTIVE:
            return True
        return self.validate_plugin(name) and self._do(name, "register", self._lifecycle.register)

    def _dependencies_active(self, name: str) -> bool:
        for need in self._needs(name):
            failed = self.plugins[need]
            if failed.state is not S.ACTIVE:
                message = (
                    f"plugin {name!r}: not started, since it depends on {need!r}, which"
                    f" {'failed: ' + failed.error if failed.error else 'is ' + failed.state.name}"
                )
                self._lifecycle.fail(
                    self.plugins[name], "start", PluginError(message, plugin=name, step="start")
                )
                return False
        return True

    def stop_all_plugins(self, timeout: float | None = None) -> bool:
        """Stop every plugin, last started first; all are tried. ``timeout`` bounds the whole, in seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        rest = [name for name in self.plugins if name not in self._order]
        results = []
        for name in [*reversed(rest), *reversed(self._order)]:
            left = (
                None
                if end is None
                else max(0.05, min(end - time.monotonic(), self.hosted(name).deadline("stop")))
            )
            results.append(self.stop_plugin(name, left))
        for info in self.plugins.values():
            self._lifecycle.forget(info)
        self._order.clear()
        return all(results)

    def __enter__(self) -> PluginManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all_plugins()

    # -- asking ----------------------------------------------------------------------------------------

    def hosted(self, name: str) -> Hosted:
        """Return a plugin at work: its thread, its callers, its account. Raises ``KeyError`` for an unknown one."""
        return self._lifecycle.host(self.plugins[name])

    def active(self, *hooks: str) -> list[str]:
        """Return the active plugins that implement one of the hooks, in the order in which they started."""
        names = [name for name in self._order if self.plugins[name].state is S.ACTIVE]
        return [name for name in names if any(self.hosted(name).implements(hook) for hook in hooks)]

    def fail(self, name: str, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR because of what happened while it was at work."""
        self._lifecycle.fail(self.plugins[name], step, error)

    def get_plugin_instance(self, name: str) -> Any:
        """Return the plugin's object, or ``None`` while it has none."""
        return self._plugin_instances.get(name)

    def get_plugins_by_type(self, plugin_type: PluginType | str) -> list[PluginInfo]:
        """Return the plugins of one type. The type of one that was never loaded is not known."""
        wanted = PluginType(plugin_type)
        return [info for info in self.plugins.values() if info.metadata.type is wanted]

    def list_plugins(self, type: PluginType | str | None = None) -> list[PluginInfo]:
        """Return all plugins, or those of one type."""
        return list(self.plugins.values()) if type is None else self.get_plugins_by_type(type)

    def get_plugin_by_name(self, name: str) -> Any:
        """Return the plugin's class (or object), loading it, or ``None``."""
        return self.plugins[name].instance if name in self.plugins and self.load_plugin(name) else None

    def get_plugin(self, type: PluginType | str, name: str) -> Any:
        """Return the class of the plugin of this type and name, or ``None``."""
        plugin = self.get_plugin_by_name(name)
        return plugin if plugin is not None and self.plugins[name].metadata.type is PluginType(type) else None

    def get_status(self) -> dict[str, Any]:
        """Return counts by state and, per plugin, all that is known of it."""
        return status.of_all(self.plugins, self._lifecycle)
