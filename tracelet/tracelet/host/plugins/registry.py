"""pluggy's registry, in which the methods of a plugin with a lifecycle need no decorator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pluggy

import tracelet_hookspecs as contract
from tracelet.host.discovery import Implementation, implementations
from tracelet.host.plugins.registration import (
    WRAPPERS_SUFFIX,
    RegistrationProxy,
    bind,
    options_of,
    plugin_of,
    registrations,
)


class Deprecations(NamedTuple):
    """The warnings for implementing a hook, and for naming one of its arguments."""

    hook: Warning | None
    arguments: Mapping[str, Warning]


class HookParticipants(NamedTuple):
    """Who takes part in a hook: its implementations by plugin name, and the wrappers around them."""

    implementors: Mapping[str, pluggy.HookImpl]
    wrappers: Mapping[str, pluggy.HookImpl]
    registered: frozenset[object]  # all objects registered for the hook, muted wrappers included
    around: pluggy.HookCaller  # calls the wrappers, but no implementation


class Registry(pluggy.PluginManager):
    """The one pluggy manager. Reading it needs no lock; changes are made one at a time."""

    def __init__(self) -> None:
        self._hook_names: list[str] = []
        self._deprecations: dict[str, Deprecations] = {}
        self._changing = threading.RLock()
        #: The same hookspecs without any plugin: calls that concern one plugin alone are made on it.
        self._empty = pluggy.PluginManager(contract.PROJECT_NAME)
        super().__init__(contract.PROJECT_NAME)
        self.add_hookspecs(contract.specs)
        #: Grows with every change, so that callers know when their caches are out of date.
        self.epoch = 0
        self._participants: dict[str, HookParticipants] = {}
        self._wrapping: set[str] = set()
        self._muted: frozenset[str] = frozenset()
        self._parsed: tuple[object, dict[str, Any]] = (None, {})

    # -- overrides that pluggy documents ---------------------------------------------------------------

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """Accept decorated functions, and the contract's hooks among the methods of a plugin with a lifecycle."""
        if type(plugin) is RegistrationProxy:
            return options_of(plugin, name)  # type: ignore[return-value]
        if self._parsed[0] is not plugin:
            self._parsed = (plugin, {one.attribute: one.options for one in implementations(plugin)})
        return self._parsed[1].get(name)

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> pluggy.HookspecOpts | None:
        """Accept decorated functions, as pluggy does, and remember the names of hooks.

        Warnings of deprecated hooks and arguments are kept here, for ``hook_warnings``: pluggy would emit them for
        plain functions only, and registration would fail wherever warnings are errors.
        """
        options = super().parse_hookspec_opts(module_or_class, name)
        if options is not None:
            self._deprecations[name] = Deprecations(
                options["warn_on_impl"], dict(options["warn_on_impl_args"] or {})
            )
            options = options.copy()  # the function keeps its own
            options["warn_on_impl"] = options["warn_on_impl_args"] = None
        if options is not None and name not in self._hook_names:
            self._hook_names.append(name)
        return options

    def add_hookspecs(self, module_or_class: Any) -> None:
        """Add hookspecs, as pluggy does."""
        with self._changing:
            super().add_hookspecs(module_or_class)
            self._empty.add_hookspecs(module_or_class)
            self._invalidate()

    def add_hookcall_monitoring(self, before: Any, after: Any) -> Callable[[], None]:
        """Monitor all hook calls, as pluggy does."""
        undo_here = super().add_hookcall_monitoring(before, after)
        undo_there = self._empty.add_hookcall_monitoring(before, after)

        def undo() -> None:
            undo_here()
            undo_there()

        return undo

    def register(
        self, plugin: object, name: str | None = None, found: list[Implementation] | None = None
    ) -> str | None:
        """Register a plugin, as pluggy does; one that pluggy cannot hold is represented by a proxy.

        ``found`` are its hook implementations, if the caller has looked for them already.
        """
        registered = None
        name = name or self.get_canonical_name(plugin)
        if found is None:
            found = list(implementations(plugin))
        # This may run the plugin's code, so the lock is not held here.
        prepared = list(registrations(plugin, name, found))
        with self._changing:
            self._parsed = (plugin, {one.attribute: one.options for one in found})
            try:
                for registration_name, registration in prepared:
                    registered = super().register(registration, registration_name)
                if any(one.wraps for one in found):
                    self._wrapping.add(name)
            finally:
                self._parsed = (None, {})
                self._invalidate()
        return name if registered is not None else None

    def unregister(self, plugin: object | None = None, name: str | None = None) -> Any | None:
        """Unregister a plugin, as pluggy does."""
        with self._changing:
            known = name if name is not None else self.get_name(plugin)
            registered = super().get_plugin(known) if known is not None else None
            if known is None or registered is None:
                return super().unregister(plugin, name)
            for each in (known, known + WRAPPERS_SUFFIX):
                if (registration := super().get_plugin(each)) is not None:
                    super().unregister(registration, each)
            self._wrapping.discard(known)
            self._muted -= {known}
            self._invalidate()
        return plugin_of(registered)

    def get_plugin(self, name: str) -> Any | None:
        """Return the plugin of this name, even if a proxy represents it in the registry."""
        return plugin_of(super().get_plugin(name))

    def get_name(self, plugin: object) -> str | None:
        """Return the name under which a plugin is registered."""
        return next((name for name, each in self.list_name_plugin() if plugin_of(each) is plugin), None)

    # -- what the host asks ----------------------------------------------------------------------------

    def deprecations(self, hook: str) -> Deprecations:
        """Return the warnings that belong to a hook and its arguments."""
        return self._deprecations.get(hook) or Deprecations(None, {})

    def participants(self, hook: str) -> HookParticipants:
        """Return the plugins that implement a hook and the wrappers around it, without the muted ones."""
        participants = self._participants.get(hook)
        if participants is None:
            impls = self.caller(hook).get_hookimpls()
            wrappers = [impl for impl in impls if _wraps(impl) and owner(impl) not in self._muted]
            registered = frozenset(impl.plugin for impl in impls)
            participants = self._participants[hook] = HookParticipants(
                {impl.plugin_name: impl for impl in impls if not _wraps(impl)},
                {impl.plugin_name: impl for impl in wrappers},
                registered,
                self._around(hook, wrappers, registered),
            )
        return participants

    def _around(
        self, hook: str, wrappers: list[pluggy.HookImpl], registered: frozenset[object]
    ) -> pluggy.HookCaller:
        if wrappers:
            return self.subset_hook_caller(hook, registered - {impl.plugin for impl in wrappers})
        empty: pluggy.HookCaller = getattr(self._empty.hook, hook, self.caller(hook))
        return empty

    def subset(self, hook: str, members: Iterable[pluggy.HookImpl]) -> pluggy.HookCaller:
        """Return pluggy's caller of a hook, limited to some of its implementations and wrappers."""
        kept = {impl.plugin for impl in members}
        return self.subset_hook_caller(hook, self.participants(hook).registered - kept)

    def caller(self, hook: str) -> pluggy.HookCaller:
        """Return pluggy's caller of a hook."""
        caller: pluggy.HookCaller = getattr(self.hook, hook)
        return caller

    def hook_names(self) -> list[str]:
        """Return the names of all hooks that have a specification."""
        return sorted(self._hook_names)

    def adopt_hookspecs(self, other: Registry) -> None:
        """Add the hookspecs that another registry has and this one lacks."""
        for hook in set(other.hook_names()) - set(self._hook_names):
            spec = other.caller(hook).spec
            if spec is not None and hook not in self._hook_names:  # an earlier one may have brought it along
                self.add_hookspecs(spec.namespace)

    def call_addhooks(self, plugin: object) -> None:
        """Call a plugin's ``addhooks``, before the plugin itself is registered."""
        bound = [bind(plugin, one) for one in implementations(plugin) if one.hook == "addhooks"]
        self.participants("addhooks").around.call_extra(bound, {"pluginmanager": self})

    def mute(self, name: str, muted: bool) -> None:
        """Leave a plugin's wrappers out of all calls, or include them again."""
        with self._changing:
            if name in self._wrapping and (name in self._muted) != muted:
                self._muted = self._muted | {name} if muted else self._muted - {name}
                self._invalidate()

    def _invalidate(self) -> None:
        self.epoch = getattr(self, "epoch", 0) + 1
        self._participants = {}


def owner(impl: pluggy.HookImpl) -> str:
    """Return the name of the plugin that an implementation belongs to."""
    return impl.plugin_name.removesuffix(WRAPPERS_SUFFIX)


def _wraps(impl: pluggy.HookImpl) -> bool:
    return bool(impl.wrapper or impl.hookwrapper)
