"""The plugin manager: documented states, validation and dependency order over one pluggy registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pluggy

from tracelet.errors import ConfigError, UsageError
from tracelet.host.discovery import implementations
from tracelet.host.plugins import activation, checks, status
from tracelet.host.plugins.handle import PluginHandle
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.plugins.plugin_table import PluginTable
from tracelet.host.plugins.registry import Registry
from tracelet.host.plugins.searching import Sources, register_by_hand, search, switch_off
from tracelet.host.plugins.startup import StartupOrder
from tracelet_hookspecs import PluginInfo, PluginState, PluginType

if TYPE_CHECKING:
    from tracelet.config import Config, PluginOptions


class PluginManager:
    """Finds plugins, takes them through their lifecycle and calls their hooks, each plugin on its own thread.

    ``plugin_paths`` are files or folders to search in addition to the default places; ``use_default_paths=False``
    leaves the default places, entry points and project files out. ``config`` is the result of
    :func:`tracelet.config.load_config`; without it, the project's configuration is read when plugins are discovered.
    As a context manager it stops every plugin at the end.

    The steps of the lifecycle return whether they succeeded: on ``False`` the plugin is in state ERROR, its
    ``info.error`` says why, and the log has the traceback. Each step first makes up the steps that are missing before
    it. They may be called from any thread.
    """

    def __init__(
        self,
        plugin_paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        use_default_paths: bool = True,
        *,
        config: Config | None = None,
        program: Path | None = None,
        deadlines: Mapping[str, float] | None = None,
    ) -> None:
        #: The registry, a ``pluggy.PluginManager``.
        self.pluggy = Registry()
        several = [plugin_paths] if isinstance(plugin_paths, (str, os.PathLike)) else plugin_paths or ()
        self.plugin_paths: list[str] = [os.fspath(path) for path in several]
        self.use_default_paths = use_default_paths
        self.config = config
        self.program = program
        limits = {**(config.deadlines if config is not None else {}), **(deadlines or {})}
        self._table = PluginTable(self.pluggy, limits)
        #: Whether the last search has found all plugins, see :meth:`discover_plugins`.
        self.has_all_plugins = False
        self._lifecycle = Lifecycle(self._table, self._config_of)
        self._order = StartupOrder(self._table, self._lifecycle)

    @property
    def hook(self) -> pluggy.HookRelay:
        """pluggy's relay. It calls every registered plugin on the calling thread, without the host's guard."""
        return self.pluggy.hook

    @property
    def plugins(self) -> dict[str, PluginInfo]:
        """All known plugins by name. Entries may be added by hand, in any state."""
        return self._table.plugins

    @plugins.setter
    def plugins(self, plugins: dict[str, PluginInfo]) -> None:
        self._table.plugins = plugins

    @property
    def _plugin_instances(self) -> dict[str, Any]:
        return self._table.instances

    @_plugin_instances.setter
    def _plugin_instances(self, instances: dict[str, Any]) -> None:
        self._table.instances = instances

    @property
    def make_proxy(self) -> Callable[[PluginInfo], Any]:
        """Makes the object that represents a plugin in another process; returns ``None`` for a plugin in this one."""
        return self._table.make_proxy

    @make_proxy.setter
    def make_proxy(self, make: Callable[[PluginInfo], Any]) -> None:
        self._table.make_proxy = make

    @property
    def problems(self) -> list[str]:
        """What went wrong while finding plugins: names taken twice, files refused, unknown names."""
        return self._table.problems

    @property
    def faults(self) -> list[str]:
        """Those of the problems that ``strict`` counts: something that was meant to work does not."""
        return [problem for problem in self._table.problems if problem not in self._table.notes]

    # -- discovery -------------------------------------------------------------------------------------

    def discover_plugins(self, patience: float | None = None) -> list[PluginInfo]:
        """Search every source and return all known plugins. Never raises for a bad plugin.

        With ``patience``, imports that do not end within these seconds are left out and ``has_all_plugins`` is false:
        the next search waits for them.
        """
        paths = [Path(path) for path in self.plugin_paths]
        if not self.use_default_paths and self.config is None:
            sources = Sources(paths=paths, entry_points=False)
        else:
            sources = activation.sources(self._configuration(), paths, self.program)
        sources.import_deadline = self._table.deadline("import")
        sources.limit(patience)
        self.has_all_plugins = search(sources, self._table)
        return list(self.plugins.values())

    def _configuration(self) -> Config:
        if self.config is None:
            from tracelet.config import load_config

            self.config = load_config()
            self._table.deadlines = {**self.config.deadlines, **self._table.deadlines}
        return self.config

    def register_plugin(self, cls_or_object: Any, name: str | None = None) -> PluginInfo:
        """Add a class, an instance or a module by hand and load it. From a module, its plugin classes are added too.

        A plugin that cannot describe itself is added in state ERROR. Raises :class:`~tracelet.errors.UsageError`
        if another plugin has the name, and for a module that holds no plugin.
        """
        infos = register_by_hand(cls_or_object, name, self._table)
        for info in infos:
            if info.state is PluginState.DISCOVERED:
                self._lifecycle.load(info.name)
        return infos[0]

    def load_config(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Read a JSON or TOML file, by its suffix. Raises :class:`~tracelet.errors.ConfigError`."""
        from tracelet.config import load_mapping

        return load_mapping(Path(path))

    def select_plugins(self, defaults: bool = True) -> dict[str, bool]:
        """Return the plugins that the configuration activates, and whether each was requested or is on by default.

        A plugin that is on by default is left out if it reports that it is not available on this machine.
        """
        names = activation.select_plugins(self._configuration(), self._table)
        return {
            name: asked
            for name, asked in names.items()
            if asked or (defaults and activation.is_available(name, self._lifecycle))
        }

    def automagic_plugins(self) -> list[str]:
        """Return the framework plugins that the setting ``automagic`` activates, unless they are switched off."""
        config = self._configuration()._replace(settings={"automagic": True}, plugins=[])
        selected = activation.select_plugins(config, self._table)
        return [name for name in selected if self._table.candidates[name].automagic]

    def switch_off(self, name: str) -> list[str]:
        """Leave a plugin out from now on, as ``-p no:NAME`` does. Returns the plugins that the name means."""
        return switch_off(name, activation.sources(self._configuration(), [], self.program), self._table)

    # -- one step of one plugin ------------------------------------------------------------------------

    def load_plugin(self, name: str) -> bool:
        """Import a plugin."""
        return self._lifecycle.load(name)

    def validate_plugin(self, name: str) -> bool:
        """Check a plugin's lifecycle, metadata, hooks and dependencies."""
        return self._lifecycle.validate(name)

    def prepare_plugin(self, name: str) -> bool:
        """Check a plugin, make its object and register it, so that its hooks can be called without starting it."""
        return self._lifecycle.validate(name) and self._lifecycle.register(name)

    def initialize_plugin(self, name: str, config: Mapping[str, Any] | None = None) -> bool:
        """Give a plugin its configuration. ``None`` means the last one it had, otherwise the configured one."""
        return self._lifecycle.initialize(name, config)

    def start_plugin(self, name: str) -> bool:
        """Start an initialized plugin. Returns ``False`` if it was never initialized."""
        return self._lifecycle.start(name)

    def stop_plugin(self, name: str, deadline: float | None = None) -> bool:
        """Stop a plugin within ``deadline`` seconds. Returns ``True`` also if it was never initialized."""
        return self._lifecycle.stop(name, deadline)

    def _config_of(self, handle: PluginHandle) -> Mapping[str, Any]:
        options, own = activation.plugin_config(self.config, handle.info, self._table.names_of(handle.name))
        handle.limits.update(options.deadlines)
        return own

    def options(self, name: str) -> PluginOptions:
        """Return the host's settings for a plugin: routes, deadlines, interval, isolation."""
        handle, info, names = self.handle(name), self.plugins[name], self._table.names_of(name)
        if info.metadata.config_schema is None:
            return activation.plugin_config(self.config, info, names)[0]
        # A schema may run code of the plugin's.
        options: PluginOptions | ConfigError = handle.submit(
            lambda: _or_error(lambda: activation.plugin_config(self.config, info, names)[0]),
            step="initialize",
            calls=0,
        )
        if isinstance(options, ConfigError):
            raise options
        return options

    def examine_plugin(self, name: str, others: PluginManager | None = None) -> tuple[list[str], list[str]]:
        """Return what is wrong with a loaded plugin, and what is doubtful about it; constructs its object.

        The plugins of ``others`` count as known, too: dependencies, and the hookspecs that they bring.
        """
        known = {**(others.plugins if others is not None else {}), **self.plugins}
        registry = others.pluggy if others is not None else self.pluggy
        registry.adopt_hookspecs(self.pluggy)
        return self._lifecycle.examine(name, known, registry)

    def register_hookspecs(self) -> None:
        """Register the loaded plugins that bring hookspecs, so that others can be examined with them."""
        for name, info in list(self.plugins.items()):
            if info.instance is not None and checks.adds_hookspecs(implementations(info.instance)):
                self._lifecycle.register(name)

    def validate_plugins(self, names: Iterable[str]) -> None:
        """Load and validate several plugins, those that bring hookspecs first. Failures are in their ``info.error``."""
        self._order.validate(names)

    # -- the whole set ---------------------------------------------------------------------------------

    def resolve_dependencies(self, names: Iterable[str]) -> list[str]:
        """Return the names and the plugins that they depend on, dependencies first, otherwise as given.

        Raises ``ValueError("Circular dependency detected: a -> b -> a")`` with the whole cycle.
        """
        return self._order.resolve(names)

    def start_plugins(
        self,
        configs: Mapping[str, Mapping[str, Any] | None] | Iterable[str],
        on_active: Callable[[str], None] | None = None,
    ) -> dict[str, bool]:
        """Initialize and start plugins and what they depend on, in dependency order.

        A plugin that is slow or hangs does not hold up those that do not depend on it. ``on_active`` is called with
        the name of each plugin as soon as it is active, on a thread of the host.

        Returns which of them are active. A plugin whose dependency failed does not start, and its error names the
        dependency. A plugin that the configuration blocks is left out.
        """
        given = dict(configs) if isinstance(configs, Mapping) else dict.fromkeys(configs)
        configs = {self._table.real_name(name): own for name, own in given.items()}
        blocked = self.config.blocked if self.config is not None else ()
        return self._order.start(configs, blocked, on_active)

    def stop_all_plugins(self, timeout: float | None = None) -> bool:
        """Stop every plugin, last started first; all are tried. ``timeout`` limits the whole, in seconds."""
        return self._order.stop(timeout)

    def __enter__(self) -> PluginManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all_plugins()

    # -- queries ---------------------------------------------------------------------------------------

    def handle(self, name: str) -> PluginHandle:
        """Return a plugin's handle: its thread, its callers, its account. Raises ``KeyError`` for an unknown name."""
        return self._table.handle(name)

    def active(self, *hooks: str) -> list[str]:
        """Return the active plugins, or those that implement one of the hooks, in the order of starting."""
        return self._order.active(*hooks)

    def real_name(self, name: str) -> str:
        """Return the name under which a plugin runs that was requested by this name."""
        return self._table.aliases.get(name, name)

    def fail(self, name: str, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR because of what happened while it was running."""
        self._lifecycle.fail(name, step, error)

    def get_plugin_instance(self, name: str) -> Any:
        """Return the plugin's object, or ``None`` while it has none."""
        return self._plugin_instances.get(name)

    def get_plugins_by_type(self, plugin_type: PluginType | str) -> list[PluginInfo]:
        """Return the plugins of one type. The type of a plugin that was never loaded is unknown."""
        wanted = _as_type(plugin_type)
        return [info for info in self.plugins.values() if info.metadata.type is wanted]

    def list_plugins(self, type: PluginType | str | None = None) -> list[PluginInfo]:
        """Return all plugins, or those of one type."""
        return list(self.plugins.values()) if type is None else self.get_plugins_by_type(type)

    def get_plugin_by_name(self, name: str) -> Any:
        """Return the plugin's class (or object), loading it, or ``None``."""
        info = self.plugins.get(name)
        if info is not None and info.instance is None:
            self.load_plugin(name)
        return info.instance if info is not None else None

    def get_plugin(self, type: PluginType | str, name: str) -> Any:
        """Return the class of the plugin of this type and name, or ``None``."""
        wanted, plugin = _as_type(type), self.get_plugin_by_name(name)
        return plugin if plugin is not None and self.plugins[name].metadata.type is wanted else None

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Return what the host knows about each plugin without calling it: state, version, error, costs per hook."""
        return status.accounts(self.plugins, self._lifecycle)

    def get_status(self) -> dict[str, Any]:
        """Return counts by state and, per plugin, everything known about it."""
        return status.describe_all(self.plugins, self._lifecycle)


def _or_error(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ConfigError as error:
        return error


def _as_type(type: PluginType | str) -> PluginType:
    try:
        return PluginType(type)
    except ValueError:
        known = ", ".join(repr(member.value) for member in PluginType)
        raise UsageError(f"plugin type: expected one of {known}, found {type!r}") from None
