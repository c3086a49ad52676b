"""The table of plugins: what was found under which name, its object, its handle and its state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from tracelet.config import DEADLINES
from tracelet.errors import ConfigError, PluginError, UsageError
from tracelet.host import discovery, intrusions, locations
from tracelet.host.answers import copy_of
from tracelet.host.discovery import BY_HAND, Candidate
from tracelet.host.plugins.handle import Listeners, PluginHandle
from tracelet.host.plugins.registry import Registry
from tracelet.host.states import move
from tracelet.host.worker import NotCalled, Overrun
from tracelet.logs import get_logger
from tracelet.messages import closest
from tracelet.secrets import format_exception, redact
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

log = get_logger("tracelet.plugins")


class PluginTable:
    """All plugins by name, with their objects, handles and states. The first to take a name keeps it.

    ``plugins`` and ``instances`` may be changed or replaced by their owner; ``candidates`` keeps what discovery found.
    """

    def __init__(self, registry: Registry, deadlines: Mapping[str, float]) -> None:
        self.registry = registry
        self.deadlines = deadlines
        self.plugins: dict[str, PluginInfo] = {}
        self.candidates: dict[str, Candidate] = {}
        self._by_identity: dict[tuple[str, str], Candidate] = {}
        self.problems: list[str] = []
        #: Those of the problems that keep nothing from working, so that ``strict`` does not count them.
        self.notes: dict[str, str] = {}  # by text: the name that it is about
        #: Modules that were requested by name; the plugins in them have their own names.
        self.modules: set[str] = set()
        #: Other names that mean a plugin: its module's, or an entry point of the same class.
        self.aliases: dict[str, str] = {}
        #: Plugins that the user switched off, and how.
        self.switched_off: dict[str, str] = {}
        self.instances: dict[str, Any] = {}
        self.handles: dict[str, PluginHandle] = {}
        #: The plugins that were initialized, in that order.
        self.initialized: dict[str, None] = {}
        #: Makes the object that represents a plugin in another process; ``None`` for one in this process.
        self.make_proxy: Callable[[PluginInfo], Any] = lambda info: None
        self._changing = threading.RLock()

    # -- what was found --------------------------------------------------------------------------------

    def add(self, candidate: Candidate) -> bool:
        """Add a plugin, unless it is known already or its name is taken (which is reported, with both origins)."""
        info = candidate.info
        holder = self.plugins.get(info.name)
        # Objects registered by hand are compared themselves: two classes may have one name and one module.
        known = self._known_as(candidate) if info.origin != BY_HAND else None
        if known is not None:
            if known.info.name != info.name:
                self.aliases.setdefault(info.name, known.info.name)
            known.activate = known.activate or candidate.activate
            return False
        if holder is None:
            self.plugins[info.name] = info
            self.candidates[info.name] = candidate
            self._forget_unknown(info.name)
            if candidate.builtin:
                intrusions.trusted.add(info.name)
            if info.error:
                self.report(info.error, info.traceback)
            return True
        if self._is_registered(candidate, holder):
            return False  # the program has registered this very class, under its own name
        if _source_of(info) == _source_of(holder):
            if candidate.activate and info.name in self.candidates:
                self.candidates[info.name].activate = True
        elif candidate.broken:
            return self._add_under_origin(candidate)
        elif self.is_unreadable(info.name) and holder.state is S.ERROR:
            del self.plugins[info.name]
            self._add_under_origin(self.candidates.pop(info.name))
            return self.add(candidate)
        else:
            self.report(
                f"plugin name {info.name!r} is taken: {_label(holder)} keeps it, {_label(info)} is left out;"
                f" rename one, or block both with -p no:{info.name}"
            )
        return False

    def _known_as(self, candidate: Candidate) -> Candidate | None:
        """Return the known plugin that loads the same class or module: it is one plugin, whatever it is called.

        Two entry points of the same class are listed both; if both are used, it is found when they are loaded.
        """
        if candidate.identity is None or candidate.broken:
            return None
        known = self._by_identity.get(candidate.identity)
        if known is None or not self._is_current(known):
            self._by_identity[candidate.identity] = candidate
            return None
        both_installed = known.info.metadata.entry_point and candidate.info.metadata.entry_point
        return None if both_installed and known.info.name != candidate.info.name else known

    def _is_registered(self, candidate: Candidate, holder: PluginInfo) -> bool:
        """Return whether a plugin that was found is one that the program has registered by hand."""
        known = self.candidates.get(holder.name)
        if known is None or known.info is not holder or holder.origin != BY_HAND:
            return False
        return candidate.identity is not None and known.identity == candidate.identity

    def _is_current(self, candidate: Candidate) -> bool:
        return self.plugins.get(candidate.info.name) is candidate.info

    def real_name(self, name: str) -> str:
        """Return the name of the plugin that a name means."""
        return name if name in self.plugins else self.aliases.get(name, name)

    def names_of(self, name: str) -> list[str]:
        """Return all names that mean a plugin, its own first."""
        return [name, *(alias for alias, real in self.aliases.items() if real == name)]

    def _add_under_origin(self, candidate: Candidate) -> bool:
        """Add a plugin that could not be read: its name is only a guess and must not hide a plugin that has it."""
        candidate.info.metadata.name = f"{candidate.info.name} ({candidate.info.origin})"
        return self.add(candidate)

    def report(self, problem: str, traceback: str | None = None) -> None:
        """Keep a problem for the status, and log it once."""
        if problem not in self.problems:
            self.problems.append(problem)
            log.warning("%s%s", problem, f"\n{traceback}" if traceback else "")

    def note_unknown(self, name: str) -> None:
        """Report a name to block that means no plugin. The program may still pass one of that name."""
        text = f"-p no:{name}: no plugin is named {name!r}, so it blocks nothing, unless the program passes one itself"
        self.notes[text] = name
        self.report(text)

    def _forget_unknown(self, name: str) -> None:
        for text in [text for text, about in self.notes.items() if about == name]:
            del self.notes[text]
            self.problems.remove(text)

    def is_unreadable(self, name: str) -> bool:
        """Return whether a plugin could not even be read, so that it is retried only if it is requested by name."""
        candidate = self.candidates.get(name)
        return candidate is not None and candidate.broken and candidate.info is self.plugins.get(name)

    def unknown(self, name: str) -> UsageError:
        """Return the error for a name that no source has."""
        meant = closest(name, self.plugins, cutoff=0.5)
        hint = f"did you mean {meant!r}?" if meant else "`tracelet plugins` lists all that can be found"
        return UsageError(f"no plugin is named {name!r}; {hint}")

    # -- handles and objects ---------------------------------------------------------------------------

    def handle(self, name: str) -> PluginHandle:
        """Return the handle of a plugin. Raises ``KeyError`` for an unknown name."""
        info = self.plugins[name]
        handle = self.handles.get(name)
        if handle is not None and handle.info is info:
            return handle
        with self._changing:
            handle = self.handles.get(name)
            if handle is None or handle.info is not info:
                if handle is not None:
                    self._replace(handle, info)
                listeners = Listeners(self._wrapper_failed, self._overran)
                handle = PluginHandle(name, info, self.registry, self.deadlines, listeners)
                handle.needs_stop = name in self.instances and info.state in (
                    S.INITIALIZED,
                    S.ACTIVE,
                    S.ERROR,
                )
                self.handles[name] = handle
        return handle

    def _replace(self, handle: PluginHandle, info: PluginInfo) -> None:
        """Drop the handle of a name that has another description now; if the class differs, its object too."""
        handle.worker.retire()
        if info.instance is not handle.info.instance and self.instances.get(handle.name) is handle.plugin:
            self.unregister(handle)
            self.instances.pop(handle.name, None)
            self.initialized.pop(handle.name, None)

    def deadline(self, step: str) -> float:
        """Return the seconds that a step may take, if the plugin's own table does not set them."""
        return float(self.deadlines.get(step, DEADLINES[step]))

    def object_of(self, handle: PluginHandle) -> Any:
        """Return the plugin's object, or the class that it will be made from."""
        return self.instances.get(handle.name, handle.info.instance)

    def unregister(self, handle: PluginHandle) -> None:
        """Remove a plugin from pluggy's registry, so that its wrappers wrap nothing any more."""
        if self.registry.has_plugin(handle.name):
            self.registry.unregister(name=handle.name)

    # -- states ----------------------------------------------------------------------------------------

    def mark_initialized(self, handle: PluginHandle) -> None:
        """Note that the plugin has to be stopped at the end, and include its wrappers in calls."""
        handle.needs_stop = True
        self.initialized.pop(handle.name, None)
        self.initialized[handle.name] = None
        self.registry.mute(handle.name, False)

    def move_to(self, handle: PluginHandle, new: S) -> None:
        """Move a plugin to another state and notify the listeners. Raises if the table has no such transition."""
        info = handle.info
        old = move(info, new)
        if old is new:
            return
        if new is not S.ERROR:
            info.error = info.traceback = handle.failure = None
        if new is S.ACTIVE:
            handle.logged_failure = ""
        for name in list(self.registry.participants("plugin_state_changed").implementors):
            listener = self.handles.get(name)
            if listener is not None:
                listener.post("plugin_state_changed", plugin=copy_of(info), old=old, new=new)

    def fail(self, handle: PluginHandle, step: str, error: BaseException) -> None:
        """Put a plugin into ERROR with the reason: a sentence in ``info.error``, the traceback in the log."""
        info = handle.info
        if isinstance(error, NotCalled) and info.state is S.ERROR:
            return  # a consequence of the failure that was reported already
        message = (
            str(error)
            if isinstance(error, (PluginError, ConfigError))
            else discovery.describe_with_location(error)
        )
        if not message.startswith("plugin "):
            message = f"plugin {handle.name!r}: {step} failed: {message}"
        info.error = redact(message)
        info.traceback = _traceback_of(error)
        known = handle.logged_failure == info.error
        handle.failure, handle.logged_failure = error, info.error
        self.move_to(handle, S.ERROR)
        self.registry.mute(handle.name, True)
        if not handle.needs_stop:
            handle.worker.retire()
        if not known:
            shown = info.traceback if info.traceback and not _is_outage(error) else ""
            log.error("%s%s", info.error, f"\n{shown}" if shown else "")

    def _overran(self, handle: PluginHandle, error: Overrun) -> None:
        self.fail(handle, error.step, error)

    def _wrapper_failed(self, plugin: str, hook: str, error: BaseException) -> None:
        """Report and count a wrapper that failed around another plugin's call.

        A wrapper that hangs puts its plugin into ERROR and is never called again.
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
        reason = discovery.describe_with_location(error)
        handle.info.error = f"plugin {plugin!r}: wrapper of {hook} failed: {reason}"
        handle.info.traceback = _traceback_of(error)
        if cost.errors == 1:
            log.error("%s; further failures are only counted\n%s", handle.info.error, handle.info.traceback)


def _source_of(info: PluginInfo) -> tuple[str, str, str]:
    return info.origin, info.module_path, info.class_name


def _label(info: PluginInfo) -> str:
    return f"{info.class_name} from {info.origin}" if info.class_name else f"the one from {info.origin}"


def _is_outage(error: BaseException) -> bool:
    """Return whether a service could not be reached: where in the plugin that happened is of no interest."""
    cause = error.cause if isinstance(error, PluginError) and error.cause is not None else error
    return isinstance(cause, (ConnectionError, TimeoutError)) or getattr(error, "is_outage", False) is True


def _traceback_of(error: BaseException) -> str | None:
    """Return where in the plugin's code it failed, or ``None`` for a fault found by the host."""
    if isinstance(error, Overrun) and error.stack:
        return redact(f"Its thread was here:\n{error.stack}")
    if isinstance(error, PluginError) and isinstance(text := getattr(error, "traceback", None), str):
        # It failed in another process.
        return redact(text) or None
    cause = error.cause if isinstance(error, PluginError) and error.cause is not None else error
    return redact(locations.format_plugin_traceback(cause)) or None
