"""The life of a plugin: one object takes it through its steps, and makes up the steps before that are missing."""

from __future__ import annotations

import _thread
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Final

import attrs

from tracelet.config.validation import validate
from tracelet.errors import ConfigError, PluginError, UsageError
from tracelet.host import discovery
from tracelet.host.answers import copy_of
from tracelet.host.discovery import is_class
from tracelet.host.plugins import checks, examination
from tracelet.host.plugins.handle import PluginHandle
from tracelet.host.plugins.plugin_table import PluginTable
from tracelet.host.plugins.registry import Registry
from tracelet.host.worker import Busy
from tracelet.logs import get_logger
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

log = get_logger("tracelet.plugins")

_VALID: Final = (S.VALIDATED, S.INITIALIZED, S.ACTIVE, S.STOPPED)
_STARTABLE: Final = (S.INITIALIZED, S.ACTIVE, S.STOPPED, S.ERROR)


class StepGuard:
    """One step of one plugin, as a context manager: its turn, its state and its failure.

    What goes wrong inside puts the plugin into ERROR and is logged; ``succeeded`` says how the step ended. Only
    Ctrl-C passes.
    """

    def __init__(self, table: PluginTable, name: str, step: str, timeout: float | None = None) -> None:
        self.succeeded = False
        self._table = table
        self._name = name
        self._step = step
        self._timeout = timeout
        self._turn = contextlib.ExitStack()
        self._handle: PluginHandle | None = None

    def take_turn(self) -> PluginHandle:
        """Return the plugin's handle once no other thread takes it through a step.

        Raises :class:`UsageError` for an unknown name and :class:`Busy` if the other step takes too long.
        """
        if self._name not in self._table.plugins:
            raise self._table.unknown(self._name)
        handle = self._table.handle(self._name)
        self._turn.enter_context(handle.turn(self._step, self._timeout))
        self._handle = handle
        return handle

    def __enter__(self) -> StepGuard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        with self._turn:
            if error is None:
                self.succeeded = True
                return False
            return self._contain(error)

    def _contain(self, error: BaseException) -> bool:
        if self._handle is None:
            if isinstance(error, UsageError):
                log.error("%s: %s", self._step, error)
            elif isinstance(error, Busy):
                log.warning("%s", error)
            return isinstance(error, (UsageError, Busy))
        if not isinstance(error, (Exception, KeyboardInterrupt)):
            return False
        self._table.fail(self._handle, self._step, error)
        if isinstance(error, PluginError) and isinstance(error.cause, KeyboardInterrupt):
            _thread.interrupt_main()  # Ctrl-C is for the user's program, which is not on this thread
        return isinstance(error, Exception)


class Lifecycle:
    """Takes plugins through their states. The public steps take a name and return whether they succeeded."""

    def __init__(self, table: PluginTable, configured: Callable[[PluginHandle], Mapping[str, Any]]) -> None:
        self.table = table
        self._configured = configured

    # -- the steps, by name ----------------------------------------------------------------------------

    def load(self, name: str) -> bool:
        """Import a plugin."""
        with StepGuard(self.table, name, "load") as guard:
            handle = guard.take_turn()
            if not self._is_loaded(handle):
                self._load(handle)
        return guard.succeeded

    def validate(self, name: str) -> bool:
        """Check a plugin."""
        with StepGuard(self.table, name, "validate") as guard:
            handle = guard.take_turn()
            if handle.info.state not in _VALID:
                self._validate(handle)
        return guard.succeeded

    def register(self, name: str) -> bool:
        """Make a plugin's object and register it with pluggy."""
        with StepGuard(self.table, name, "register") as guard:
            self.ensure_registered(guard.take_turn())
        return guard.succeeded

    def initialize(self, name: str, config: Mapping[str, Any] | None = None) -> bool:
        """Give a plugin its configuration; ``None`` means the last one, or the configured one."""
        with StepGuard(self.table, name, "initialize") as guard:
            handle = guard.take_turn()
            if handle.info.state is not S.ACTIVE:
                self._initialize(handle, config)
        return guard.succeeded

    def start(self, name: str) -> bool:
        """Start an initialized plugin."""
        info = self.table.plugins.get(name)
        if info is not None and (name not in self.table.instances or info.state not in _STARTABLE):
            log.warning(
                "plugin %r: start expects an initialized plugin, found state %s", name, info.state.name
            )
            return False
        with StepGuard(self.table, name, "start") as guard:
            handle = guard.take_turn()
            if handle.info.state is not S.ACTIVE:
                self._start(handle)
        return guard.succeeded

    def initialize_and_start(self, name: str, config: Mapping[str, Any] | None) -> bool:
        """Initialize and start a plugin, without another thread's step in between."""
        handle = self.table.handle(name)
        try:
            with handle.turn("start", handle.deadline("initialize") + handle.deadline("start")):
                return self.initialize(name, config) and self.start(name)
        except Busy as busy:
            log.warning("%s", busy)
            return False

    def stop(self, name: str, deadline: float | None = None, *, mute: bool = True) -> bool:
        """Stop a plugin. With ``mute``, its wrappers are left out of all further calls."""
        with StepGuard(self.table, name, "stop", deadline) as guard:
            handle = guard.take_turn()
            if self._has_something_to_stop(handle):
                if mute:
                    self.table.registry.mute(name, True)
                self._stop(handle, deadline)
        return guard.succeeded

    def fail(self, name: str, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR."""
        self.table.fail(self.table.handle(name), step, error)

    # -- loading and checking --------------------------------------------------------------------------

    def _is_loaded(self, handle: PluginHandle) -> bool:
        state = handle.info.state
        return state >= S.LOADED and state is not S.ERROR and self.table.object_of(handle) is not None

    def _load(self, handle: PluginHandle) -> None:
        """Import the plugin on its own thread and read its metadata."""
        self._renew_thread(handle)
        info = handle.info
        if self.table.object_of(handle) is None:
            with _timing(handle, "import"):
                info.instance = handle.submit(lambda: self._import(handle), step="import")
        if info.state in (S.DISCOVERED, S.ERROR):
            self.table.move_to(handle, S.LOADED)

    def _import(self, handle: PluginHandle) -> Any:
        info, candidate = handle.info, self.table.candidates.get(handle.name)
        if candidate is not None and candidate.info is info and candidate.load is not None:
            plugin = candidate.load()
        else:
            plugin = discovery.load_described(info)
        plugin = discovery.single_plugin(plugin, _label(handle))
        if info.metadata.type is None:
            metadata = discovery.metadata_of(plugin, info.name, info.metadata.version, info.origin)
            # The name under which it was found stays: configuration and -p use it.
            info.metadata = attrs.evolve(metadata, name=info.name)
        return plugin

    def _validate(self, handle: PluginHandle) -> None:
        """Check everything that must be right before the plugin is initialized."""
        info = handle.info
        if not self._is_loaded(handle):
            self._load(handle)
        plugin, known, registry = self.table.object_of(handle), self.table.plugins, self.table.registry

        def check() -> tuple[list[str], list[str]]:
            found = list(discovery.implementations(plugin))
            faults = list(
                checks.plugin_faults(
                    plugin, info, registry, known, host_version(), self.table.switched_off, found
                )
            )
            if faults:
                return faults, []
            for warning in checks.deprecation_warnings(plugin, registry, found):
                log.warning("%s: %s", _label(handle), warning)  # it still works, so it is no problem yet
            return [], list(checks.hook_warnings(plugin, registry, found))

        with _timing(handle, "validate"):
            faults, warnings = handle.submit(check, step="validate")
        if faults:
            raise _invalid(handle, "validate", faults)
        for warning in warnings:
            self.table.report(f"{_label(handle)}: {warning}")
        if info.state is S.LOADED:
            self.table.move_to(handle, S.VALIDATED)

    def examine(
        self, name: str, known: Mapping[str, PluginInfo], registry: Registry
    ) -> tuple[list[str], list[str]]:
        """Return the faults of a loaded plugin and what is doubtful about it, without moving its state."""
        handle = self.table.handle(name)
        info, plugin = handle.info, self.table.object_of(handle)

        def look() -> tuple[list[str], list[str]]:
            found = list(discovery.implementations(plugin))
            faults = list(
                checks.plugin_faults(
                    plugin, info, registry, known, host_version(), self.table.switched_off, found
                )
            )
            doubts = [
                *checks.hook_warnings(plugin, registry, found),
                *checks.deprecation_warnings(plugin, registry, found),
                *examination.find_slips(plugin, registry.hook_names()),
            ]
            if not faults and is_class(plugin):
                faults.extend(_construction_faults(plugin))
            return faults, doubts

        try:
            faults, doubts = handle.submit(look, step="import")
        except PluginError as error:
            return [str(error)], []
        return faults, [*doubts, *examination.find_slow_import(info.timings.get("import"))]

    # -- registering and initializing ------------------------------------------------------------------

    def ensure_registered(self, handle: PluginHandle) -> None:
        """Make the plugin's object and register it with pluggy; it may bring hookspecs of its own."""
        plugin = self.table.instances.get(handle.name)
        if plugin is None:
            plugin = self.table.make_proxy(handle.info)
            if plugin is None:
                plugin = handle.info.instance
            if discovery.is_class(plugin):
                plugin = handle.submit(plugin, step="initialize", calls=0)
            self.table.instances[handle.name] = plugin
        if handle.plugin is plugin and self.table.registry.has_plugin(handle.name):
            return
        handle.submit(lambda: self._register(handle, plugin), step="register")
        handle.plugin = plugin

    def _register(self, handle: PluginHandle, plugin: Any) -> None:
        registry = self.table.registry
        found = list(discovery.implementations(plugin))
        if handle.plugin is not plugin and checks.adds_hookspecs(found):  # once per object
            registry.call_addhooks(plugin)
            if faults := list(checks.hook_faults(plugin, registry, found)):
                raise _invalid(handle, "register", faults)
        self.table.unregister(handle)
        registry.register(plugin, handle.name, found)

    def _initialize(self, handle: PluginHandle, config: Any) -> None:
        """Validate the configuration and give it to the plugin."""
        self._renew_thread(handle)
        info = handle.info
        valid_states = (S.VALIDATED, S.INITIALIZED, S.STOPPED)
        if info.state not in valid_states or self.table.object_of(handle) is None:
            self._validate(handle)
        self.ensure_registered(handle)
        with _timing(handle, "initialize"):
            valid = handle.submit(lambda: self._configure(handle, config), step="initialize", calls=0)
            if isinstance(valid, ConfigError):
                raise valid
            if handle.implements("initialize"):
                handle.call("initialize", config=valid, plugin=copy_of(info))
        self.table.mark_initialized(handle)
        self.table.move_to(handle, S.INITIALIZED)

    def _configure(self, handle: PluginHandle, config: Any) -> Any:
        """Validate a configuration and set it on the plugin's object. Returns it, or the fault that was found.

        Runs on the plugin's thread: a schema may hold converters and validators of the plugin's.
        """
        try:
            if config is None:
                config = handle.config if handle.config is not None else self._configured(handle)
            handle.config = config
            valid = validate(handle.info.metadata.config_schema, config, path=f"plugins.{handle.name}")
        except ConfigError as error:
            return error
        _set_config(handle.plugin, valid)
        return valid

    # -- starting and stopping -------------------------------------------------------------------------

    def _start(self, handle: PluginHandle) -> None:
        """Start the plugin; one that was stopped or failed is initialized again first, with the same configuration."""
        if handle.info.state in (S.STOPPED, S.ERROR):
            self._initialize(handle, None)
        self.ensure_registered(handle)
        if handle.implements("start"):
            with _timing(handle, "start"):
                handle.call(
                    "start",
                    accept=lambda answer: _set_active(handle.plugin, True),
                    plugin=copy_of(handle.info),
                )
        else:
            handle.submit(lambda: _set_active(handle.plugin, True), step="start", calls=0)
        if handle.name not in self.table.initialized:
            self.table.mark_initialized(handle)
        self.table.move_to(handle, S.ACTIVE)

    def _has_something_to_stop(self, handle: PluginHandle) -> bool:
        if handle.name not in self.table.instances:
            return False
        if handle.info.state is S.ERROR:
            return handle.needs_stop
        return handle.info.state in (S.INITIALIZED, S.ACTIVE)

    def _stop(self, handle: PluginHandle, deadline: float | None) -> None:
        """Stop the plugin. One that had failed keeps its state, so that the failure stays visible."""
        self.table.initialized.pop(handle.name, None)
        handle.needs_stop = False
        try:
            if handle.worker.usable:
                self.ensure_registered(handle)
                handle.worker.post(lambda: _set_active(handle.plugin, False), step="stop", deadline=1.0)
                if handle.implements("stop"):
                    with _timing(handle, "stop"):
                        handle.call("stop", deadline=deadline, plugin=copy_of(handle.info))
            if handle.info.state is not S.ERROR:
                self.table.move_to(handle, S.STOPPED)
        finally:
            handle.worker.retire()

    def _renew_thread(self, handle: PluginHandle) -> None:
        """Give a plugin whose thread hangs (or was lost in a fork) a new thread, and a new object with it."""
        if handle.worker.usable:
            return
        handle.worker.renew()
        handle.needs_stop = False
        if discovery.is_class(handle.info.instance):
            self.table.unregister(handle)
            self.table.instances.pop(handle.name, None)
            handle.plugin = None


def _construction_faults(cls: Any) -> Iterator[str]:
    """Yield why a plugin class cannot be constructed."""
    try:
        cls()
    except (Exception, SystemExit) as error:
        yield f"{cls.__name__}() failed: {discovery.describe_with_location(error)}; it is called without arguments"


@contextlib.contextmanager
def _timing(handle: PluginHandle, step: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        handle.info.timings[step] = time.perf_counter() - began


def _label(handle: PluginHandle) -> str:
    return f"plugin {handle.name!r} ({handle.info.origin})"


def _invalid(handle: PluginHandle, step: str, faults: list[str]) -> PluginError:
    return PluginError(f"{_label(handle)}: {'; '.join(faults)}", plugin=handle.name, step=step)


def _set_config(plugin: Any, config: Any) -> None:
    """Set the configuration on a plugin's object, if it takes attributes (a module keeps its own names)."""
    if not discovery.has_lifecycle(plugin):
        return
    for attribute in ("_config", "config"):
        try:
            setattr(plugin, attribute, config)
        except Exception as error:  # slots, or a property: the plugin still gets it through initialize()
            reason = discovery.describe(error)
            log.debug("plugin object %s takes no attribute %r: %s", type(plugin).__name__, attribute, reason)


def _set_active(plugin: Any, active: bool) -> None:
    if not discovery.is_module(plugin) and "_active" in discovery.attributes(plugin):
        with contextlib.suppress(BaseException):  # a property of the plugin's, which keeps its own account
            plugin._active = active


def host_version() -> str:
    """Return tracelet's version. The top package is imported late, because it imports this module."""
    return str(import_module("tracelet").__version__)
