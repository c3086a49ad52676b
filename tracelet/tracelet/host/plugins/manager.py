"""The plugin manager: documented states, validation and dependency order over one pluggy registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Several
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pluggy

from tracelet.errors import UsageError
from tracelet.host.plugins import activation, by_hand, status
from tracelet.host.plugins.catalog import Catalog
from tracelet.host.plugins.handle import PluginHandle
from tracelet.host.plugins.hosting import PluginTable
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.plugins.registry import Registry
from tracelet.host.plugins.searching import Sources, search
from tracelet.host.plugins.sequence import Sequence
from tracelet.host.plugins.steps import Steps
from tracelet_hookspecs import PluginInfo, PluginType

if TYPE_CHECKING:
    from tracelet.config import Config, PluginOptions


class PluginManager:
    """Finds plugins, takes them through their lifecycle and calls their hooks, each on a thread of its own.

    ``plugin_paths`` are files or folders searched besides the default places; ``use_default_paths=False``
    leaves those out, and with them entry points and project files. ``config`` is what
    :func:`tracelet.config.load_config` returned; without one, the project's is read when plugins are discovered.
    As a context manager it stops every plugin at the end.

    The steps of the lifecycle return whether they went well: on ``False`` the plugin is in state ERROR, its
    ``info.error`` says why, and the log has the traceback. Each makes up the steps before it that are still due.
    They may be called from any thread.
    """

    def __init__(
        self,
        plugin_paths: str | os.PathLike[str] | Several[str | os.PathLike[str]] | None = None,
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
        self._catalog = Catalog()
        self._hosting = PluginTable(self.pluggy, self._catalog, limits)
        self._lifecycle = Lifecycle(self._hosting, self._config_of)
        self._steps = Steps(self._catalog, self._lifecycle)
        self._sequence = Sequence(self._hosting, self._steps)

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
        return self._hosting.instances

    @_plugin_instances.setter
    def _plugin_instances(self, instances: dict[str, Any]) -> None:
        self._hosting.instances = instances

    @property
    def make_proxy(self) -> Callable[[PluginInfo], Any]:
        """Returns the object that speaks for a plugin in a process of its own, ``None`` for any other."""
        return self._hosting.make_proxy

    @make_proxy.setter
    def make_proxy(self, make: Callable[[PluginInfo], Any]) -> None:
        self._hosting.make_proxy = make

    @property
    def problems(self) -> list[str]:
        """What went wrong in finding plugins: names taken twice, files refused, unknown names."""
        return self._catalog.problems

    # -- finding ---------------------------------------------------------------------------------------

    def discover_plugins(self) -> list[PluginInfo]:
        """Look into every source and return all plugins known. Never raises for a bad plugin."""
        paths = [Path(path) for path in self.plugin_paths]
        if not self.use_default_paths and self.config is None:
            sources = Sources(paths=paths, entry_points=False)
        else:
            sources = activation.sources(self._configuration(), paths, self.program)
        sources.import_deadline = self._hosting.deadline("import")
        search(sources, self._catalog)
        return list(self.plugins.values())

    def _configuration(self) -> Config:
        if self.config is None:
            from tracelet.config import load_config

            self.config = load_config()
            self._hosting.deadlines = {**self.config.deadlines, **self._hosting.deadlines}
        return self.config

    def register_plugin(self, cls_or_object: Any, name: str | None = None) -> PluginInfo:
        """Add a class, an instance or a module by hand, loaded. Of a module, also the plugin classes it defines.

        One that cannot describe itself is added in state ERROR. Raises :class:`~tracelet.errors.UsageError`
        when another plugin has the name, and for a module that holds no plugin.
        """
        return by_hand.register(cls_or_object, name, self._hosting, self._steps)

    def load_config(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Read a JSON or TOML file, by its suffix. Raises :class:`~tracelet.errors.ConfigError`."""
        from tracelet.config import load_mapping

        return load_mapping(Path(path))

    def select_plugins(self, defaults: bool = True) -> dict[str, bool]:
        """Return the plugins that the configuration activates, and whether each was asked for or is on by default.

        One that is on by default is left out where it says that it is not available here.
        """
        names = activation.select_plugins(self._configuration(), self._catalog)
        return {
            name: asked
            for name, asked in names.items()
            if asked or (defaults and activation.is_available(name, self._steps))
        }

    # -- one step of one plugin ------------------------------------------------------------------------

    def load_plugin(self, name: str) -> bool:
        """Import a plugin."""
        return self._steps.load(name)

    def validate_plugin(self, name: str) -> bool:
        """Check a plugin's lifecycle, metadata, hooks and dependencies."""
        return self._steps.validate(name)

    def initialize_plugin(self, name: str, config: Mapping[str, Any] | None = None) -> bool:
        """Give a plugin its configuration. ``None`` stands for the one it had before, or else the configured one."""
        return self._steps.initialize(name, config)

    def start_plugin(self, name: str) -> bool:
        """Start an initialized plugin. ``False`` for one that was never initialized."""
        return self._steps.start(name)

    def stop_plugin(self, name: str, deadline: float | None = None) -> bool:
        """Stop a plugin, within ``deadline`` seconds. ``True`` also for one that was never initialized."""
        return self._steps.stop(name, deadline)

    def _config_of(self, handle: PluginHandle) -> Mapping[str, Any]:
        options, own = activation.plugin_config(self.config, handle.info)
        handle.limits.update(options.deadlines)
        return own

    def options(self, name: str) -> PluginOptions:
        """Return what the configuration has the host do with a plugin: routes, deadlines, interval, isolation."""
        return activation.plugin_config(self.config, self.plugins[name])[0]

    # -- the whole set ---------------------------------------------------------------------------------

    def resolve_dependencies(self, names: Iterable[str]) -> list[str]:
        """Return the names and the plugins that they depend on, dependencies first, otherwise as given.

        Raises ``ValueError("Circular dependency detected: a -> b -> a")`` with the whole cycle.
        """
        return self._sequence.resolve(names)

    def start_plugins(
        self, configs: Mapping[str, Mapping[str, Any] | None] | Iterable[str]
    ) -> dict[str, bool]:
        """Initialize and start plugins and what they depend on, in dependency order.

        Returns which of them are active. A plugin whose dependency failed does not start and names it; one that
        the configuration blocks is left out.
        """
        given = dict(configs) if isinstance(configs, Mapping) else dict.fromkeys(configs)
        return self._sequence.start(given, self.config.blocked if self.config is not None else ())

    def stop_all_plugins(self, timeout: float | None = None) -> bool:
        """Stop every plugin, last started first; all are tried. ``timeout`` bounds the whole, in seconds."""
        return self._sequence.stop(timeout)

    def __enter__(self) -> PluginManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all_plugins()

    # -- asking ----------------------------------------------------------------------------------------

    def handle(self, name: str) -> PluginHandle:
        """Return a plugin at work: its thread, its callers, its account. Raises ``KeyError`` for an unknown one."""
        return self._steps.handle(name)

    def active(self, *hooks: str) -> list[str]:
        """Return the active plugins, or those that implement one of the hooks, in the order of starting."""
        return self._sequence.active(*hooks)

    def fail(self, name: str, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR because of what happened while it was at work."""
        self._steps.fail(name, step, error)

    def get_plugin_instance(self, name: str) -> Any:
        """Return the plugin's object, or ``None`` while it has none."""
        return self._plugin_instances.get(name)

    def get_plugins_by_type(self, plugin_type: PluginType | str) -> list[PluginInfo]:
        """Return the plugins of one type. The type of one that was never loaded is not known."""
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
        """Return what the host knows of each plugin, without asking it: state, version, error, costs per hook."""
        return status.accounts(self.plugins, self._lifecycle)

    def get_status(self) -> dict[str, Any]:
        """Return counts by state and, per plugin, all that is known of it."""
        return status.of_all(self.plugins, self._lifecycle)


def _as_type(type: PluginType | str) -> PluginType:
    try:
        return PluginType(type)
    except ValueError:
        known = ", ".join(repr(member.value) for member in PluginType)
        raise UsageError(f"plugin type: expected one of {known}, found {type!r}") from None
