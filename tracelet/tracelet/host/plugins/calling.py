"""The call of one plugin's hook inside the wrappers of all plugins, through pluggy."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

from tracelet.host import locations
from tracelet.host.discovery import LIFECYCLE
from tracelet.host.plugins.registry import Registry, owner

WrapperFailed = Callable[[str, str, BaseException], None]  # plugin's name, hook, what it raised


class PluginCaller:
    """Calls one hook of one plugin inside the wrappers of all plugins, on the plugin's thread. Kept and reused."""

    def __init__(self, registry: Registry, name: str, hook: str, wrapper_failed: WrapperFailed) -> None:
        self.name = name
        self.hook = hook
        self.recorded: RecordedCall | None = None
        self._registry = registry
        self._wrapper_failed = wrapper_failed
        self._epoch = -1
        self._alone: pluggy.HookCaller | None = None
        self._around: pluggy.HookCaller | None = None
        self._implementation: Callable[..., Any] | None = None
        self._wrappers: Mapping[str, pluggy.HookImpl] = {}

    def __call__(self, **kwargs: Any) -> Any:
        """Call with all arguments that the hookspec has, and return the implementation's result."""
        if self._epoch != self._registry.epoch:
            self._refresh()
        if self._alone is not None:
            results = self._alone(**kwargs)
            return results[0] if results else None
        if not self._wrappers and self._around is not None:
            return _first(self._around.call_extra([self._implementation], kwargs))  # type: ignore[list-item]
        return self._call_wrapped(kwargs, frozenset())

    def _refresh(self) -> None:
        epoch = self._registry.epoch
        participants = self._registry.participants(self.hook)
        if self.name not in participants.implementors:
            raise LookupError(f"plugin {self.name!r} does not implement {self.hook}")
        implementation = participants.implementors[self.name]
        self._wrappers, self._around = participants.wrappers, participants.around
        self._implementation = implementation.function
        # A caller for one plugin alone takes pluggy as long to make as there are plugins, so a hook that is called
        # once per life does without.
        alone = not participants.wrappers and self.hook not in LIFECYCLE
        self._alone = self._registry.subset(self.hook, [implementation]) if alone else None
        self.recorded = None
        self._epoch = epoch

    def _call_wrapped(self, kwargs: dict[str, Any], blamed: frozenset[str]) -> Any:
        """Call inside the wrappers. A wrapper that fails is blamed for it, and the call is made without it."""
        recorded = self.recorded = self._fresh_record()
        around = self._around
        if blamed or around is None:
            innocent = [impl for name, impl in self._wrappers.items() if name not in blamed]
            around = self._registry.subset(self.hook, innocent)
        try:
            return _first(around.call_extra([recorded.function], kwargs))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if error is recorded.error:
                raise
            culprit = self._find_wrapper(locations.calls_of_error(error), str(error))
            if culprit is None or culprit.plugin_name in blamed:
                raise
            self._wrapper_failed(owner(culprit), self.hook, error)
            if recorded.ended:
                return recorded.outcome()
            return self._call_wrapped(kwargs, blamed | {culprit.plugin_name})

    def _fresh_record(self) -> RecordedCall:
        """Return a record for the next call: the last one, unless that was abandoned with its thread."""
        recorded = self.recorded
        if recorded is None or recorded.abandoned:
            return RecordedCall(self._registry.participants(self.hook).implementors[self.name].function)
        recorded.reset()
        return recorded

    def wrapper_at(self, calls: Iterable[locations.Call]) -> str | None:
        """Return the plugin whose wrapper of this hook runs in a stack of calls, or ``None``."""
        culprit = self._find_wrapper(calls)
        return owner(culprit) if culprit is not None else None

    def _find_wrapper(self, calls: Iterable[locations.Call], message: str = "") -> pluggy.HookImpl | None:
        """Find the wrapper that raised or hangs: the innermost one whose code took part in the calls."""
        found = None
        for impl in (
            self._wrappers.values()
        ):  # pluggy's own complaint ("did not yield") names the line of the wrapper
            if message and _definition_of(impl.function) in message:
                return impl
        for code, first in calls:
            for impl in self._wrappers.values():
                function = inspect.unwrap(impl.function)
                if (
                    getattr(function, "__code__", None) is code
                    and getattr(function, "__self__", first) is first
                ):
                    found = impl
        return found


class RecordedCall:
    """An implementation that records the outcome of its call, whatever the wrappers around it make of it."""

    def __init__(self, implementation: Callable[..., Any]) -> None:
        self.abandoned = False
        self.ended = False
        self.error: BaseException | None = None
        self._result: Any = None

        @functools.wraps(implementation)  # pluggy reads the signature of what is wrapped
        def function(*args: Any, **kwargs: Any) -> Any:
            if self.abandoned:
                raise RuntimeError("called by a wrapper that was abandoned")
            try:
                self._result = implementation(*args, **kwargs)
            except BaseException as error:
                self.error = error
                raise
            finally:
                self.ended = True
            return self._result

        self.function = function

    def reset(self) -> None:
        """Forget the last call."""
        self.ended = False
        self.error = self._result = None

    def outcome(self) -> Any:
        """Return what the implementation returned, or raise what it raised."""
        if self.error is not None:
            raise self.error from None
        return self._result


def _definition_of(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno} "


def _first(results: Any) -> Any:
    """Return the answer of the one plugin that was called. A wrapper may have replaced pluggy's list by anything."""
    if isinstance(results, list):
        return results[0] if results else None
    return results
